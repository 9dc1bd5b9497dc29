// protobuf's text form, in which cookies and older ledger metadata are stored. For .cc files of
// this directory.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace stele::metadata {

// Required fields may be missing afterwards: the caller checks those that it needs. Unknown fields
// are refused, as Apache BookKeeper refuses them.
//   kCorruptData
absl::Status ParseProtoText(std::string_view text, google::protobuf::Message* message);

// Several lines, fields in the order of their numbers. Bytes outside printable ASCII are escaped.
std::string PrintProtoText(const google::protobuf::Message& message);

}  // namespace stele::metadata

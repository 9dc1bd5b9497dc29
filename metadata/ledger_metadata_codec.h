// Stored bytes <-> LedgerMetadata, exactly as Apache BookKeeper stores it.
//
//   "BookieMetadataFormatVersion" 0x09 <version, at most 9 digits> 0x0a <body>
//   version 1  lines with tabs          (MetadataFormat::kLines)
//   version 2  protobuf's text form     (MetadataFormat::kText)
//   version 3  varint length, then protobuf's binary form; what follows is ignored (kBinary)
//
// The layouts with worked bytes: docs/METADATA.md.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "metadata/ledger_metadata.h"

namespace stele::metadata {

// More than ZooKeeper stores in a node by default; refused, read or written.
inline constexpr size_t kLedgerMetadataSizeMaxBytes = 1024 * 1024;

// Whatever `bytes` are, the result satisfies what LedgerMetadata::Create() checks, or is
//   kCorruptData  Act on nothing that concerns the ledger: its metadata cannot be understood, which
//                 does not mean that it has none.
absl::StatusOr<LedgerMetadata> ParseLedgerMetadata(std::string_view bytes);

// In metadata.format().
//   kInvalidArgument  too large, or the format cannot express the value
absl::StatusOr<std::string> SerializeLedgerMetadata(const LedgerMetadata& metadata);

}  // namespace stele::metadata

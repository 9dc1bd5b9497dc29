// Java's .properties syntax, as bk_server.conf uses it: key=value, # and ! comments, \ continues a
// line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace stele::bookie {

struct Property {
  std::string key;
  std::string value;  // without surrounding blanks
  int line = 0;       // where it begins, from 1
};

inline constexpr size_t kPropertiesSizeMaxBytes = 1 << 20;

// All properties in order.
//   errors   kConfig, naming the line: not UTF-8, a line without '=' or ':', an empty key, a key
//            twice, a bad escape, more than kPropertiesSizeMaxBytes
absl::StatusOr<std::vector<Property>> ParseProperties(std::string_view text);

// ---- Values that several keys have in common; kConfig.

absl::Status BadValue(std::string_view expected, std::string_view value);

absl::StatusOr<bool> ParseBool(std::string_view value);

// "a, b": at least one part, and none that is empty.
absl::StatusOr<std::vector<std::string>> ParseList(std::string_view value,
                                                   std::string_view expected);

}  // namespace stele::bookie

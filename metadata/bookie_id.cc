#include "metadata/bookie_id.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "common/base/strings.h"

namespace stele::metadata {

bool IsValidBookieId(std::string_view id) {
  if (id.empty() || absl::EqualsIgnoreCase(ToAbsl(id), "readonly")) return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    // The range from colon to underscore, which holds the upper-case letters, is an accident of
    // Apache BookKeeper that ids in use rely on.
    return c == '-' || c == '.' || (c >= '0' && c <= '9') || (c >= ':' && c <= '_') ||
           (c >= 'a' && c <= 'z');
  });
}

}  // namespace stele::metadata

// Debian's abseil has a string_view type of its own. Our interfaces use std::string_view; these two
// bridge the gap.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace stele {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

namespace internal {
template <typename T>
decltype(auto) StrCatPart(const T& part) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return ToAbsl(part);
  } else {
    return (part);
  }
}
}  // namespace internal

// absl::StrCat that also takes std::string_view. Use this one everywhere.
template <typename... Parts>
std::string StrCat(const Parts&... parts) {
  return absl::StrCat(internal::StrCatPart(parts)...);
}

}  // namespace stele

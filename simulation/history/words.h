// Lines of words, as the simulator's texts have them: histories, scenarios, results.
#pragma once

#include <charconv>
#include <string_view>
#include <system_error>

namespace stele::history {

// Takes the part up to the next space.
inline std::string_view TakeWord(std::string_view* line) {
  const size_t space = line->find(' ');
  const std::string_view word = line->substr(0, space);
  line->remove_prefix(space == std::string_view::npos ? line->size() : space + 1);
  return word;
}

// True when all of `text` is a number.
template <typename T>
bool ParseNumber(std::string_view text, T* value, int base = 10) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, *value, base);
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace stele::history

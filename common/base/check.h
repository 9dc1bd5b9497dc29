// Assertions that stay on in every build. Only our own code may be able to make one fail: bytes
// from disks, peers, operators and clocks give errors (errors.h) instead.
#pragma once

#include <cstdint>
#include <string_view>

namespace stele {

// Prints file, line, the expression and up to two values, then aborts.
[[noreturn]] void CheckFailed(const char* file, int line, std::string_view expression);
[[noreturn]] void CheckFailed(const char* file, int line, std::string_view expression, int64_t left,
                              int64_t right);

}  // namespace stele

#define STELE_CHECK(condition)                              \
  do {                                                      \
    if (!(condition)) [[unlikely]]                          \
      ::stele::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

// Compares two integers and prints both when the comparison fails.
#define STELE_CHECK_OP(left, op, right)                                  \
  do {                                                                   \
    const auto stele_check_left = (left);                                \
    const auto stele_check_right = (right);                              \
    if (!(stele_check_left op stele_check_right)) [[unlikely]]           \
      ::stele::CheckFailed(__FILE__, __LINE__, #left " " #op " " #right, \
                           static_cast<int64_t>(stele_check_left),       \
                           static_cast<int64_t>(stele_check_right));     \
  } while (false)

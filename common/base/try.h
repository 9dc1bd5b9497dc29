// Early return on error, for functions that return absl::Status or StatusOr (STELE_TRY) and for
// coroutines (STELE_CO_TRY).
//   STELE_TRY(const Header header, ParseHeader(bytes));     STELE_TRY_OK(file.Sync());
//   STELE_CO_TRY(Buffer bytes, co_await file.ReadAt(0, 8));  STELE_CO_TRY_OK(co_await file.Sync());
#pragma once

#include <utility>

#define STELE_INTERNAL_CONCAT2(a, b) a##b
#define STELE_INTERNAL_CONCAT(a, b) STELE_INTERNAL_CONCAT2(a, b)

#define STELE_INTERNAL_TRY(result, ret, declaration, expression) \
  auto result = (expression);                                    \
  if (!result.ok()) [[unlikely]]                                 \
    ret std::move(result).status();                              \
  declaration = *std::move(result)

#define STELE_TRY(declaration, ...)                                                    \
  STELE_INTERNAL_TRY(STELE_INTERNAL_CONCAT(stele_try_, __LINE__), return, declaration, \
                     (__VA_ARGS__))
#define STELE_CO_TRY(declaration, ...)                                                    \
  STELE_INTERNAL_TRY(STELE_INTERNAL_CONCAT(stele_try_, __LINE__), co_return, declaration, \
                     (__VA_ARGS__))

#define STELE_TRY_OK(...)                                                   \
  do {                                                                      \
    if (auto stele_status = (__VA_ARGS__); !stele_status.ok()) [[unlikely]] \
      return stele_status;                                                  \
  } while (false)
#define STELE_CO_TRY_OK(...)                                                \
  do {                                                                      \
    if (auto stele_status = (__VA_ARGS__); !stele_status.ok()) [[unlikely]] \
      co_return stele_status;                                               \
  } while (false)

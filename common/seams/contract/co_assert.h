// Assertions for coroutines, where gtest's ASSERT_* do not compile: they add a failure and end the
// coroutine.
#pragma once

#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stele::internal {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace stele::internal

#define STELE_CO_ASSERT(condition)              \
  do {                                          \
    if (!(condition)) {                         \
      ADD_FAILURE() << "false: " << #condition; \
      co_return;                                \
    }                                           \
  } while (false)

// For an absl::Status or StatusOr, also from a co_await.
#define STELE_CO_ASSERT_OK(...)                                                       \
  do {                                                                                \
    if (const absl::Status stele_status = ::stele::internal::StatusOf((__VA_ARGS__)); \
        !stele_status.ok()) {                                                         \
      ADD_FAILURE() << #__VA_ARGS__ << ": " << stele_status;                          \
      co_return;                                                                      \
    }                                                                                 \
  } while (false)

#define STELE_CO_EXPECT_OK(...)                                                       \
  do {                                                                                \
    if (const absl::Status stele_status = ::stele::internal::StatusOf((__VA_ARGS__)); \
        !stele_status.ok()) {                                                         \
      ADD_FAILURE() << #__VA_ARGS__ << ": " << stele_status;                          \
    }                                                                                 \
  } while (false)

// STELE_CO_ASSIGN(std::unique_ptr<File> file, co_await files->Open(...));
#define STELE_CO_ASSIGN_INTERNAL(result, declaration, ...)    \
  auto result = (__VA_ARGS__);                                \
  if (!result.ok()) {                                         \
    ADD_FAILURE() << #__VA_ARGS__ << ": " << result.status(); \
    co_return;                                                \
  }                                                           \
  declaration = *std::move(result)
#define STELE_CO_ASSIGN_CONCAT2(a, b) a##b
#define STELE_CO_ASSIGN_CONCAT(a, b) STELE_CO_ASSIGN_CONCAT2(a, b)
#define STELE_CO_ASSIGN(declaration, ...)                                                \
  STELE_CO_ASSIGN_INTERNAL(STELE_CO_ASSIGN_CONCAT(stele_assign_, __LINE__), declaration, \
                           __VA_ARGS__)

// Of a Status or StatusOr: that it failed with this ErrorCode.
#define STELE_CO_EXPECT_CODE(code, ...)                                                     \
  do {                                                                                      \
    const absl::Status stele_status = ::stele::internal::StatusOf((__VA_ARGS__));           \
    EXPECT_EQ(::stele::CodeOf(stele_status), code) << #__VA_ARGS__ << ": " << stele_status; \
  } while (false)

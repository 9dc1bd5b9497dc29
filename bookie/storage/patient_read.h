// ReadPatiently: what the disk does not give now it may give a moment later.
#pragma once

#include <iterator>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/errors.h"
#include "common/seams/env.h"

namespace stele::bookie {

// Between the tries.
inline constexpr absl::Duration kReadPauses[] = {absl::Milliseconds(50), absl::Milliseconds(500),
                                                 absl::Seconds(2)};
inline constexpr int kReadTriesMax = 1 + static_cast<int>(std::size(kReadPauses));

// The result of read(), a Task<absl::StatusOr<...>>, which is called again while that is kIoError.
template <typename Read>
auto ReadPatiently(Env env, Read read) -> std::invoke_result_t<Read&> {
  auto result = co_await read();
  for (const absl::Duration pause : kReadPauses) {
    if (CodeOf(result.status()) != ErrorCode::kIoError) break;
    co_await SleepFor(env.executor, env.clock, pause);
    result = co_await read();
  }
  co_return std::move(result);
}

}  // namespace stele::bookie

// Input: a stream that people pipe in (standard input, a file), read without blocking the shard.
#pragma once

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/real/shard.h"

namespace stele::shell {

class Input {
 public:
  // Does not own `fd`. `shard` outlives it.
  Input(real::Shard* shard, int fd);
  // A read that is under way ends soon.
  ~Input() { Stop(); }

  // The next bytes: some as soon as there are any, none at the end or after Stop().
  Task<absl::StatusOr<Buffer>> Read();

  // From now on the stream is at its end.
  void Stop();

 private:
  struct State;

  real::Shard* shard_;
  std::shared_ptr<State> state_;
};

}  // namespace stele::shell

// Recorder: what callbacks said, for a test that waits until they have said it.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "common/async/executor.h"
#include "common/async/notification.h"
#include "common/async/task.h"

namespace stele::metadata {

// Threads: one shard.
template <typename T>
class Recorder {
 public:
  explicit Recorder(Executor* executor) : changed_(executor) {}

  void Add(T item) {
    items_.push_back(std::move(item));
    changed_.NotifyAll();
  }
  const std::vector<T>& items() const { return items_; }

  Task<void> WaitUntil(std::function<bool(const std::vector<T>&)> done) {
    while (!done(items_)) co_await changed_.Wait();
  }
  Task<void> WaitForCount(size_t count) {
    return WaitUntil([count](const std::vector<T>& items) { return items.size() >= count; });
  }

 private:
  Notification changed_;
  std::vector<T> items_;
};

}  // namespace stele::metadata

// GatedStore: a metadata store whose writes a test can hold back.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/async/notification.h"
#include "metadata/testing/forwarding_store.h"

namespace stele::client {

class GatedStore final : public metadata::ForwardingStore {
 public:
  GatedStore(Executor* executor, std::unique_ptr<metadata::MetadataStore> store)
      : ForwardingStore(std::move(store)), opened_(executor) {}

  // While held, replacements of values wait before they reach the server.
  void HoldPuts() { is_held_ = true; }
  void ReleasePuts() {
    is_held_ = false;
    opened_.NotifyAll();
  }
  int puts_waiting() const { return puts_waiting_; }
  // Of all replacements so far, also those that failed.
  int puts() const { return puts_; }

  Task<absl::StatusOr<metadata::Version>> Put(std::string path, std::string value,
                                              metadata::Version expected) override {
    ++puts_;
    ++puts_waiting_;
    while (is_held_) co_await opened_.Wait();
    --puts_waiting_;
    co_return co_await ForwardingStore::Put(std::move(path), std::move(value), expected);
  }

 private:
  bool is_held_ = false;
  int puts_waiting_ = 0;
  int puts_ = 0;
  Notification opened_;
};

}  // namespace stele::client

// GatedStore: a metadata store whose writes a test can hold back, and whose reads it can make fail.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/async/notification.h"
#include "common/base/errors.h"
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
  // Of ledgers; kOk: no longer.
  void FailLedgerGets(ErrorCode code) { get_error_ = code; }
  int puts_waiting() const { return puts_waiting_; }
  // Of all replacements so far, also those that failed.
  int puts() const { return puts_; }

  Task<absl::StatusOr<metadata::Node>> Get(std::string path) override {
    const bool is_ledger = path.find("/L") != std::string::npos;
    if (is_ledger && get_error_ != ErrorCode::kOk) co_return MakeError(get_error_, "made to fail");
    co_return co_await ForwardingStore::Get(std::move(path));
  }
  Task<absl::StatusOr<metadata::Version>> Put(std::string path, std::string value,
                                              metadata::Version expected) override {
    ++puts_;
    ++puts_waiting_;
    while (is_held_) co_await opened_.Wait();
    --puts_waiting_;
    co_return co_await ForwardingStore::Put(std::move(path), std::move(value), expected);
  }

 private:
  ErrorCode get_error_ = ErrorCode::kOk;
  bool is_held_ = false;
  int puts_waiting_ = 0;
  int puts_ = 0;
  Notification opened_;
};

}  // namespace stele::client

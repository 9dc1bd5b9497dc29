// GatedStore: a metadata store whose writes a test can hold back.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/async/notification.h"
#include "metadata/metadata_store.h"

namespace stele::client {

class GatedStore : public metadata::MetadataStore {
 public:
  GatedStore(Executor* executor, std::unique_ptr<metadata::MetadataStore> store)
      : store_(std::move(store)), opened_(executor) {}

  // While held, replacements of values wait before they reach the server.
  void HoldPuts() { is_held_ = true; }
  void ReleasePuts() {
    is_held_ = false;
    opened_.NotifyAll();
  }
  int puts_waiting() const { return puts_waiting_; }
  // Of all replacements so far, also those that failed.
  int puts() const { return puts_; }

  Task<absl::StatusOr<metadata::Node>> Get(std::string path) override {
    return store_->Get(std::move(path));
  }
  Task<absl::Status> Create(std::string path, std::string value, metadata::NodeKind kind) override {
    return store_->Create(std::move(path), std::move(value), kind);
  }
  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     metadata::NodeKind kind) override {
    return store_->CreateSequential(std::move(path_prefix), std::move(value), kind);
  }
  Task<absl::StatusOr<metadata::Version>> Put(std::string path, std::string value,
                                              metadata::Version expected) override {
    ++puts_;
    ++puts_waiting_;
    while (is_held_) co_await opened_.Wait();
    --puts_waiting_;
    co_return co_await store_->Put(std::move(path), std::move(value), expected);
  }
  Task<absl::Status> Delete(std::string path, metadata::Version expected) override {
    return store_->Delete(std::move(path), expected);
  }
  Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) override {
    return store_->Children(std::move(path));
  }
  std::unique_ptr<metadata::Watch> WatchNode(std::string path,
                                             metadata::WatchCallback changed) override {
    return store_->WatchNode(std::move(path), std::move(changed));
  }
  std::unique_ptr<metadata::Watch> WatchChildren(std::string path,
                                                 metadata::WatchCallback changed) override {
    return store_->WatchChildren(std::move(path), std::move(changed));
  }
  std::unique_ptr<metadata::Watch> WatchSession(metadata::SessionCallback changed) override {
    return store_->WatchSession(std::move(changed));
  }
  Task<void> Close() override { return store_->Close(); }

 private:
  std::unique_ptr<metadata::MetadataStore> store_;
  bool is_held_ = false;
  int puts_waiting_ = 0;
  int puts_ = 0;
  Notification opened_;
};

}  // namespace stele::client

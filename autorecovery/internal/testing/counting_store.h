// CountingStore: a metadata store that counts what is asked of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "metadata/metadata_store.h"

namespace stele::autorecovery {

class CountingStore final : public metadata::MetadataStore {
 public:
  explicit CountingStore(std::unique_ptr<metadata::MetadataStore> store)
      : store_(std::move(store)) {}

  int64_t operations() const { return operations_; }

  Task<absl::StatusOr<metadata::Node>> Get(std::string path) override {
    ++operations_;
    return store_->Get(std::move(path));
  }
  Task<absl::Status> Create(std::string path, std::string value, metadata::NodeKind kind) override {
    ++operations_;
    return store_->Create(std::move(path), std::move(value), kind);
  }
  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     metadata::NodeKind kind) override {
    ++operations_;
    return store_->CreateSequential(std::move(path_prefix), std::move(value), kind);
  }
  Task<absl::StatusOr<metadata::Version>> Put(std::string path, std::string value,
                                              metadata::Version expected) override {
    ++operations_;
    return store_->Put(std::move(path), std::move(value), expected);
  }
  Task<absl::Status> Delete(std::string path, metadata::Version expected) override {
    ++operations_;
    return store_->Delete(std::move(path), expected);
  }
  Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) override {
    ++operations_;
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
  int64_t operations_ = 0;
};

}  // namespace stele::autorecovery

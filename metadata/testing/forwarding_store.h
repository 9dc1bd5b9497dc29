// ForwardingStore: hands every call to another store. A test's store overrides what it changes.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "metadata/metadata_store.h"

namespace stele::metadata {

class ForwardingStore : public MetadataStore {
 public:
  explicit ForwardingStore(std::unique_ptr<MetadataStore> store) : store_(std::move(store)) {}

  Task<absl::StatusOr<Node>> Get(std::string path) override { return store_->Get(std::move(path)); }
  Task<absl::Status> Create(std::string path, std::string value, NodeKind kind) override {
    return store_->Create(std::move(path), std::move(value), kind);
  }
  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     NodeKind kind) override {
    return store_->CreateSequential(std::move(path_prefix), std::move(value), kind);
  }
  Task<absl::StatusOr<Version>> Put(std::string path, std::string value,
                                    Version expected) override {
    return store_->Put(std::move(path), std::move(value), expected);
  }
  Task<absl::Status> Delete(std::string path, Version expected) override {
    return store_->Delete(std::move(path), expected);
  }
  Task<absl::Status> DeleteTogether(std::vector<Deletion> nodes) override {
    return store_->DeleteTogether(std::move(nodes));
  }
  Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) override {
    return store_->Children(std::move(path));
  }
  std::unique_ptr<Watch> WatchNode(std::string path, WatchCallback changed) override {
    return store_->WatchNode(std::move(path), std::move(changed));
  }
  std::unique_ptr<Watch> WatchChildren(std::string path, WatchCallback changed) override {
    return store_->WatchChildren(std::move(path), std::move(changed));
  }
  std::unique_ptr<Watch> WatchSession(SessionCallback changed) override {
    return store_->WatchSession(std::move(changed));
  }
  Task<void> Close() override { return store_->Close(); }

 private:
  const std::unique_ptr<MetadataStore> store_;
};

}  // namespace stele::metadata

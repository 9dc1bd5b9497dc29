// CountingStore: a metadata store that counts what is asked of it, and has too much to do for some
// of it when the test wants that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "metadata/testing/forwarding_store.h"

namespace stele::autorecovery {

class CountingStore final : public metadata::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  int64_t operations() const { return operations_; }
  // Reads of the nodes whose paths contain it end with kOverloaded; nothing: none.
  void OverloadReads(std::optional<std::string> path_part) { overloaded_ = std::move(path_part); }

  Task<absl::StatusOr<metadata::Node>> Get(std::string path) override {
    ++operations_;
    if (overloaded_.has_value() && path.find(*overloaded_) != std::string::npos) return Refuse();
    return ForwardingStore::Get(std::move(path));
  }
  Task<absl::Status> Create(std::string path, std::string value, metadata::NodeKind kind) override {
    ++operations_;
    return ForwardingStore::Create(std::move(path), std::move(value), kind);
  }
  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     metadata::NodeKind kind) override {
    ++operations_;
    return ForwardingStore::CreateSequential(std::move(path_prefix), std::move(value), kind);
  }
  Task<absl::StatusOr<metadata::Version>> Put(std::string path, std::string value,
                                              metadata::Version expected) override {
    ++operations_;
    return ForwardingStore::Put(std::move(path), std::move(value), expected);
  }
  Task<absl::Status> Delete(std::string path, metadata::Version expected) override {
    ++operations_;
    return ForwardingStore::Delete(std::move(path), expected);
  }
  Task<absl::Status> DeleteTogether(std::vector<metadata::Deletion> nodes) override {
    ++operations_;
    return ForwardingStore::DeleteTogether(std::move(nodes));
  }
  Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) override {
    ++operations_;
    return ForwardingStore::Children(std::move(path));
  }

 private:
  static Task<absl::StatusOr<metadata::Node>> Refuse() {
    co_return MakeError(ErrorCode::kOverloaded, "the test wants it");
  }

  int64_t operations_ = 0;
  std::optional<std::string> overloaded_;
};

}  // namespace stele::autorecovery

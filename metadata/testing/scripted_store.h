// ScriptedStore: passes everything to another MetadataStore, except what a test has planned: an
// operation that fails before it is sent, one whose answer is lost, something that a rival does at
// just the wrong moment.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

class ScriptedStore : public MetadataStore {
 public:
  enum class Op { kGet, kCreate, kCreateSequential, kPut, kDelete, kDeleteTogether, kChildren };
  enum class Fault {
    kNotSent,     // kMetadataUnavailable, not applied
    kLostAnswer,  // applied, then kMetadataUnavailable with an unknown effect
    kRefused,     // kUnauthorized, not applied
    kOverloaded,  // kOverloaded, not applied
  };
  using Rival = absl::AnyInvocable<Task<void>()>;

  // `inner` must outlive it.
  explicit ScriptedStore(MetadataStore* inner) : inner_(inner) {}

  // The next `times` operations `op` on a path that contains `path_part`; of nodes that are deleted
  // together, on the first.
  void Fail(Op op, std::string path_part, Fault fault, int times = 1);
  // Before the next such operation but `skipped` is sent, `rival` runs to its end.
  void Before(Op op, std::string path_part, Rival rival, int skipped = 0);

  // How many operations were asked for.
  int CountOf(Op op) const { return counts_[static_cast<size_t>(op)]; }

  Task<absl::StatusOr<Node>> Get(std::string path) override;
  Task<absl::Status> Create(std::string path, std::string value, NodeKind kind) override;
  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     NodeKind kind) override;
  Task<absl::StatusOr<Version>> Put(std::string path, std::string value, Version expected) override;
  Task<absl::Status> Delete(std::string path, Version expected) override;
  Task<absl::Status> DeleteTogether(std::vector<Deletion> nodes) override;
  Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) override;
  std::unique_ptr<Watch> WatchNode(std::string path, WatchCallback changed) override {
    return inner_->WatchNode(std::move(path), std::move(changed));
  }
  std::unique_ptr<Watch> WatchChildren(std::string path, WatchCallback changed) override {
    return inner_->WatchChildren(std::move(path), std::move(changed));
  }
  std::unique_ptr<Watch> WatchSession(SessionCallback changed) override {
    return inner_->WatchSession(std::move(changed));
  }
  Task<void> Close() override { return inner_->Close(); }

 private:
  struct Planned {
    Op op;
    std::string path_part;
    Fault fault;
    int times;
    Rival rival;  // instead of the fault
    int skipped;
  };
  enum class Outcome { kPass, kNotSent, kLostAnswer, kRefused, kOverloaded };

  // Counts, runs rivals, and says what to do with this operation.
  Task<Outcome> Begin(Op op, std::string path);
  template <typename Result>
  Task<Result> Play(Op op, std::string path, Task<Result> operation);

  MetadataStore* inner_;
  std::list<Planned> planned_;
  std::vector<int> counts_ = std::vector<int>(7);
};

}  // namespace stele::metadata

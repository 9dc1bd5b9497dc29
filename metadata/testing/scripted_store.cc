#include "metadata/testing/scripted_store.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"

namespace stele::metadata {

void ScriptedStore::Fail(Op op, std::string path_part, Fault fault, int times) {
  planned_.push_back({op, std::move(path_part), fault, times, nullptr, 0});
}

void ScriptedStore::Before(Op op, std::string path_part, Rival rival, int skipped) {
  planned_.push_back({op, std::move(path_part), Fault::kNotSent, 1, std::move(rival), skipped});
}

Task<ScriptedStore::Outcome> ScriptedStore::Begin(Op op, std::string path) {
  ++counts_[static_cast<size_t>(op)];
  for (auto plan = planned_.begin(); plan != planned_.end(); ++plan) {
    if (plan->op != op || path.find(plan->path_part) == std::string::npos) continue;
    if (plan->skipped-- > 0) continue;
    if (plan->rival != nullptr) {
      Rival rival = std::move(plan->rival);
      planned_.erase(plan);
      co_await rival();
      co_return Outcome::kPass;
    }
    const Fault fault = plan->fault;
    if (--plan->times == 0) planned_.erase(plan);
    switch (fault) {
      case Fault::kNotSent: co_return Outcome::kNotSent;
      case Fault::kLostAnswer: co_return Outcome::kLostAnswer;
      case Fault::kRefused: co_return Outcome::kRefused;
      case Fault::kOverloaded: co_return Outcome::kOverloaded;
    }
  }
  co_return Outcome::kPass;
}

template <typename Result>
Task<Result> ScriptedStore::Play(Op op, std::string path, Task<Result> operation) {
  switch (co_await Begin(op, std::move(path))) {
    case Outcome::kPass: co_return co_await std::move(operation);
    case Outcome::kNotSent:
      co_return MakeError(ErrorCode::kMetadataUnavailable, "scripted: not sent");
    case Outcome::kRefused: co_return MakeError(ErrorCode::kUnauthorized, "scripted: refused");
    case Outcome::kOverloaded: co_return MakeError(ErrorCode::kOverloaded, "scripted: too much");
    case Outcome::kLostAnswer: {
      const Result applied = co_await std::move(operation);
      co_return MakeError(
          ErrorCode::kMetadataUnavailable, Effect::kUnknown,
          applied.ok() ? "scripted: applied, answer lost" : "scripted: answer lost");
    }
  }
  STELE_CHECK(false);
}

Task<absl::StatusOr<Node>> ScriptedStore::Get(std::string path) {
  return Play(Op::kGet, path, inner_->Get(path));
}

Task<absl::Status> ScriptedStore::Create(std::string path, std::string value, NodeKind kind) {
  return Play(Op::kCreate, path, inner_->Create(path, std::move(value), kind));
}

Task<absl::StatusOr<std::string>> ScriptedStore::CreateSequential(std::string path_prefix,
                                                                  std::string value,
                                                                  NodeKind kind) {
  return Play(Op::kCreateSequential, path_prefix,
              inner_->CreateSequential(path_prefix, std::move(value), kind));
}

Task<absl::StatusOr<Version>> ScriptedStore::Put(std::string path, std::string value,
                                                 Version expected) {
  return Play(Op::kPut, path, inner_->Put(path, std::move(value), expected));
}

Task<absl::Status> ScriptedStore::Delete(std::string path, Version expected) {
  return Play(Op::kDelete, path, inner_->Delete(path, expected));
}

Task<absl::Status> ScriptedStore::DeleteTogether(std::vector<Deletion> nodes) {
  const std::string first = nodes.front().path;
  return Play(Op::kDeleteTogether, first, inner_->DeleteTogether(std::move(nodes)));
}

Task<absl::StatusOr<std::vector<std::string>>> ScriptedStore::Children(std::string path) {
  return Play(Op::kChildren, path, inner_->Children(path));
}

}  // namespace stele::metadata

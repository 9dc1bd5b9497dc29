// Subscriptions: the callbacks behind the Watch objects of a store. A callback may destroy its own
// Watch, others, or the store; a Watch may outlive the store.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

// Args: what a callback is told. Made by std::make_shared. Threads: one shard.
template <typename... Args>
class Subscriptions : public std::enable_shared_from_this<Subscriptions<Args...>> {
 public:
  using Callback = absl::AnyInvocable<void(Args...)>;

  // `on_removed` is told the number of a subscription that was ended, until Detach().
  explicit Subscriptions(absl::AnyInvocable<void(uint64_t)> on_removed)
      : on_removed_(std::move(on_removed)) {}

  struct Added {
    uint64_t id;
    std::unique_ptr<Watch> watch;
  };
  Added Add(Callback callback) {
    const uint64_t id = ++last_id_;
    entries_.emplace(id, std::make_shared<Callback>(std::move(callback)));
    return {.id = id, .watch = std::make_unique<Subscription>(this->weak_from_this(), id)};
  }

  // Ignores a subscription that has ended.
  void Notify(uint64_t id, Args... args) {
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) return;
    // Kept alive here: the callback may end its own subscription.
    const std::shared_ptr<Callback> callback = entry->second;
    (*callback)(args...);
  }

  void NotifyAll(Args... args) {
    const auto self = this->shared_from_this();
    std::vector<uint64_t> ids;
    for (const auto& [id, callback] : entries_) ids.push_back(id);
    for (const uint64_t id : ids) Notify(id, args...);
  }

  // Ends all subscriptions without telling anybody. The owner calls it when it goes.
  void Detach() {
    on_removed_ = nullptr;
    entries_.clear();
  }

 private:
  class Subscription : public Watch {
   public:
    Subscription(std::weak_ptr<Subscriptions> owner, uint64_t id)
        : owner_(std::move(owner)), id_(id) {}
    ~Subscription() override {
      if (const auto owner = owner_.lock(); owner != nullptr) owner->Remove(id_);
    }

   private:
    std::weak_ptr<Subscriptions> owner_;
    uint64_t id_;
  };

  void Remove(uint64_t id) {
    if (entries_.erase(id) > 0 && on_removed_ != nullptr) on_removed_(id);
  }

  absl::AnyInvocable<void(uint64_t)> on_removed_;
  absl::btree_map<uint64_t, std::shared_ptr<Callback>> entries_;
  uint64_t last_id_ = 0;
};

}  // namespace stele::metadata

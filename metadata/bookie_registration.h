// BookieRegistration: keeps a bookie's registration in the metadata store what it should be:
// writable, read-only or none, through lost answers, disconnections and expired sessions.
//
// The registration of an earlier session. A bookie that was killed finds its own old registration,
// which the store keeps until that session times out. Apache's bookie waits; this one takes it over
// at once when it can only be its own, which takes two independent proofs:
//   1. OldRegistration::kTakeOver, which says that the caller holds the locks of all its
//      directories and that their cookies, and the one in the store, name this id. A second process
//      of this id would need the same directories, or a copy of them.
//   2. The old registration names the same host and port as ours. A process that runs on a copy of
//      the directories elsewhere has another address; one here could not have our port.
// Everything else under our name is waited for, as Apache does, and then given up.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/bookie_service_info.h"
#include "metadata/cluster_paths.h"
#include "metadata/metadata_store.h"
#include "metadata/signal.h"

namespace stele::metadata {

enum class BookieMode { kWritable, kReadOnly };

enum class OldRegistration { kWait, kTakeOver };

struct BookieRegistrationOptions {
  // How long somebody else's registration is waited for: the session timeout of the store.
  absl::Duration wait_for_other = absl::Seconds(10);
  OldRegistration old_registration = OldRegistration::kWait;
};

// Belongs to one shard. Destroying it leaves the registration to the end of the session. Its tasks
// do not outlive it.
class BookieRegistration {
 public:
  // Called once, from the ready queue: another process has taken our id while we held it. The
  // bookie must stop: two of one id would both be believed. It may destroy the registration.
  using LostCallback = absl::AnyInvocable<void(absl::Status) &&>;

  // `env` (executor, clock, random) and `store` must outlive it. `bookie` is a valid id; `info` has
  // an endpoint for kBookieProtocol.
  BookieRegistration(Env env, MetadataStore* store, ClusterPaths paths, BookieId bookie,
                     const BookieServiceInfo& info, BookieRegistrationOptions options,
                     LostCallback lost);

  // Registers in `mode`, or switches to it; from then on the registration is kept, over expired
  // sessions too. Completes when it is there. The new registration is made before the old one is
  // removed, so a switching bookie never seems to be down. A later call supersedes an earlier one,
  // which then completes with it. Waits while the store cannot be reached.
  //   kKeyExists  another process is registered under our id
  //   kUnauthorized, kStopped, kCorruptData  of the store
  Task<absl::Status> Register(BookieMode mode);

  // Removes the registration.
  Task<absl::Status> Unregister();

  // How this process is registered in the present session, as far as it knows; nullopt: not.
  std::optional<BookieMode> registered() const { return held_; }

 private:
  Task<absl::Status> Request(std::optional<BookieMode> mode);
  // Makes what is what is wanted, whenever there is reason to look.
  Task<void> Run();
  Task<absl::Status> Reconcile(std::optional<BookieMode> mode);
  Task<absl::Status> Make(BookieMode mode);
  // Removes our registration at `path`, of this session or an old one. Somebody else's is
  // kKeyExists.
  Task<absl::Status> RemoveOld(std::string path);
  Task<absl::Status> RemoveOwn(std::string path);
  // Ok when `node`, which is not of this session, should be gone: look again.
  Task<absl::Status> ClearAway(std::string path, Node node);
  Task<absl::Status> WaitUntilGone(std::string path);
  bool IsOurOld(const Node& node) const;
  absl::Status Taken() const;
  std::string PathOf(BookieMode mode) const;
  void OnSession(SessionState state);
  void Settle(uint64_t request, absl::Status result);

  Env env_;
  MetadataStore* store_;
  ClusterPaths paths_;
  BookieId bookie_;
  std::string payload_;
  Endpoint endpoint_;
  BookieRegistrationOptions options_;
  std::shared_ptr<LostCallback> lost_;
  bool lost_reported_ = false;

  std::optional<BookieMode> wanted_;
  uint64_t requested_ = 0;  // counts the calls
  uint64_t settled_ = 0;    // the last call that has its result
  absl::Status result_;     // of that one
  Notification settlement_;
  uint64_t session_ = 0;  // counts the expiries
  // How we are registered in this session. Somebody else's node there is no old one of ours.
  std::optional<BookieMode> held_;
  Signal look_;
  Signal other_changed_;
  std::unique_ptr<Watch> session_watch_;
  std::unique_ptr<Watch> writable_watch_;
  std::unique_ptr<Watch> read_only_watch_;
  TaskScope tasks_;
};

}  // namespace stele::metadata

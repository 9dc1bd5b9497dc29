#include "metadata/bookie_registration.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/backoff.h"
#include "metadata/bookie_id.h"

namespace stele::metadata {
namespace {

// Ok also when the node was gone or has changed: whoever deletes looks again.
absl::Status Deleted(const absl::Status& status) {
  const ErrorCode code = CodeOf(status);
  const bool look_again = code == ErrorCode::kNoSuchKey || code == ErrorCode::kMetadataConflict;
  return look_again ? absl::OkStatus() : status;
}

}  // namespace

BookieRegistration::BookieRegistration(Env env, MetadataStore* store, ClusterPaths paths,
                                       BookieId bookie, const BookieServiceInfo& info,
                                       BookieRegistrationOptions options, LostCallback lost)
    : env_(env),
      store_(store),
      paths_(std::move(paths)),
      bookie_(std::move(bookie)),
      payload_(SerializeBookieServiceInfo(info)),
      options_(options),
      lost_(std::make_shared<LostCallback>(std::move(lost))),
      settlement_(env.executor),
      look_(env.executor),
      other_changed_(env.executor),
      tasks_(env.executor) {
  STELE_CHECK(IsValidBookieId(bookie_.value()));
  absl::StatusOr<Endpoint> endpoint = BookieEndpointOf(bookie_, payload_);
  STELE_CHECK(endpoint.ok());
  endpoint_ = *std::move(endpoint);
  session_watch_ = store_->WatchSession([this](SessionState state) { OnSession(state); });
  writable_watch_ = store_->WatchNode(PathOf(BookieMode::kWritable), [this] { look_.Raise(); });
  read_only_watch_ = store_->WatchNode(PathOf(BookieMode::kReadOnly), [this] { look_.Raise(); });
  tasks_.Spawn(Run());
}

Task<absl::Status> BookieRegistration::Register(BookieMode mode) { return Request(mode); }

Task<absl::Status> BookieRegistration::Unregister() { return Request(std::nullopt); }

Task<absl::Status> BookieRegistration::Request(std::optional<BookieMode> mode) {
  wanted_ = mode;
  const uint64_t request = ++requested_;
  look_.Raise();
  while (settled_ < request) co_await settlement_.Wait();
  co_return result_;
}

void BookieRegistration::OnSession(SessionState state) {
  if (state == SessionState::kExpired) {
    ++session_;
    held_.reset();
  }
  look_.Raise();
}

Task<void> BookieRegistration::Run() {
  std::optional<Backoff> backoff;
  for (;;) {
    co_await look_.Wait();
    const uint64_t request = requested_;
    const uint64_t session = session_;
    const std::optional<BookieMode> mode = wanted_;
    const absl::Status status = co_await Reconcile(mode);
    if (session == session_) held_ = status.ok() ? mode : std::nullopt;
    if (CodeOf(status) == ErrorCode::kStopped) {
      Settle(request, status);
      co_return;
    }
    // What was done may be out of date already: then look_ is raised.
    if (request != requested_ || session != session_) continue;
    if (status.ok()) {
      backoff.reset();
      Settle(request, status);
      continue;
    }
    const bool must_answer = settled_ < request && !IsTemporary(status);
    if (must_answer || CodeOf(status) == ErrorCode::kKeyExists) {
      wanted_.reset();
      look_.Raise();  // to remove what is half made
      Settle(request, status);
      continue;
    }
    // Unregistered, the bookie goes on serving; it only has to come back.
    if (!backoff.has_value()) backoff.emplace(env_.random, RetryOptions());
    co_await SleepFor(env_.executor, env_.clock, backoff->Next());
    look_.Raise();
  }
}

void BookieRegistration::Settle(uint64_t request, absl::Status result) {
  if (settled_ < request) {
    settled_ = request;
    result_ = std::move(result);
    settlement_.NotifyAll();
  } else if (CodeOf(result) == ErrorCode::kKeyExists && !std::exchange(lost_reported_, true)) {
    // Nobody waits for this result. The job must find out whether we still exist.
    env_.executor->Post([weak = std::weak_ptr<LostCallback>(lost_), result] {
      if (const std::shared_ptr<LostCallback> lost = weak.lock()) std::move (*lost)(result);
    });
  }
}

Task<absl::Status> BookieRegistration::Reconcile(std::optional<BookieMode> mode) {
  if (!mode.has_value()) {
    STELE_CO_TRY_OK(co_await RemoveOwn(PathOf(BookieMode::kWritable)));
    co_return co_await RemoveOwn(PathOf(BookieMode::kReadOnly));
  }
  STELE_CO_TRY_OK(co_await Make(*mode));
  const BookieMode other =
      *mode == BookieMode::kWritable ? BookieMode::kReadOnly : BookieMode::kWritable;
  co_return co_await RemoveOld(PathOf(other));
}

Task<absl::Status> BookieRegistration::Make(BookieMode mode) {
  const std::string path = PathOf(mode);
  for (;;) {
    const absl::StatusOr<Node> node = co_await store_->Get(path);
    if (node.ok() && node->owner == EphemeralOwner::kThisSession) co_return absl::OkStatus();
    if (node.ok()) {
      if (held_ == mode) co_return Taken();
      STELE_CO_TRY_OK(co_await ClearAway(path, *node));
      continue;
    }
    if (CodeOf(node.status()) != ErrorCode::kNoSuchKey) co_return node.status();
    const absl::Status created = co_await store_->Create(path, payload_, NodeKind::kEphemeral);
    // A create whose answer was lost is found to be ours when it is looked for again.
    if (CodeOf(created) != ErrorCode::kKeyExists) co_return created;
  }
}

Task<absl::Status> BookieRegistration::RemoveOld(std::string path) {
  for (;;) {
    const absl::StatusOr<Node> node = co_await store_->Get(path);
    if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return absl::OkStatus();
    STELE_CO_TRY_OK(node.status());
    if (node->owner == EphemeralOwner::kThisSession) {
      STELE_CO_TRY_OK(Deleted(co_await store_->Delete(path, node->version)));
    } else {
      STELE_CO_TRY_OK(co_await ClearAway(path, *node));
    }
  }
}

Task<absl::Status> BookieRegistration::RemoveOwn(std::string path) {
  const absl::StatusOr<Node> node = co_await store_->Get(path);
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return absl::OkStatus();
  STELE_CO_TRY_OK(node.status());
  if (node->owner != EphemeralOwner::kThisSession) co_return absl::OkStatus();
  co_return Deleted(co_await store_->Delete(path, node->version));
}

Task<absl::Status> BookieRegistration::ClearAway(std::string path, Node node) {
  if (IsOurOld(node)) {
    STELE_SOMETIMES(kRegistrationTakenOver, true);
    co_return Deleted(co_await store_->Delete(std::move(path), node.version));
  }
  co_return co_await WaitUntilGone(std::move(path));
}

Task<absl::Status> BookieRegistration::WaitUntilGone(std::string path) {
  const MonotonicTime deadline = env_.clock->Now() + options_.wait_for_other;
  const std::unique_ptr<Watch> watch = store_->WatchNode(path, [this] { other_changed_.Raise(); });
  const std::unique_ptr<Timer> timer =
      env_.clock->CallAt(deadline, [this] { other_changed_.Raise(); });
  for (;;) {
    const absl::StatusOr<Node> node = co_await store_->Get(path);
    if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return absl::OkStatus();
    STELE_CO_TRY_OK(node.status());
    if (node->owner == EphemeralOwner::kThisSession) co_return absl::OkStatus();
    if (env_.clock->Now() >= deadline) co_return Taken();
    co_await other_changed_.Wait();
  }
}

bool BookieRegistration::IsOurOld(const Node& node) const {
  if (options_.old_registration != OldRegistration::kTakeOver) return false;
  if (node.owner != EphemeralOwner::kOther) return false;
  const absl::StatusOr<Endpoint> theirs = BookieEndpointOf(bookie_, node.value);
  return theirs.ok() && *theirs == endpoint_;
}

absl::Status BookieRegistration::Taken() const {
  return MakeError(ErrorCode::kKeyExists,
                   StrCat("another process is registered as bookie ", bookie_.value()));
}

std::string BookieRegistration::PathOf(BookieMode mode) const {
  return mode == BookieMode::kWritable ? paths_.Writable(bookie_) : paths_.ReadOnly(bookie_);
}

}  // namespace stele::metadata

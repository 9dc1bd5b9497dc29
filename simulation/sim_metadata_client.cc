#include "simulation/sim_metadata_client.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"

namespace stele::simulation {

using metadata::SessionState;

SimMetadataClient::SimMetadataClient(SimMetadataServer* server, SimExecutor* executor)
    : server_(server),
      executor_(executor),
      scheduler_(executor->scheduler()),
      watch_callbacks_(std::make_shared<metadata::Subscriptions<>>([this](uint64_t watch) {
        const auto found = watches_.find(watch);
        if (found == watches_.end()) return;
        server_->Disarm(session_, found->second, watch);
        watches_.erase(found);
      })),
      session_callbacks_(std::make_shared<metadata::Subscriptions<SessionState>>([](uint64_t) {})) {
}

// ---- Messages

int64_t SimMetadataClient::ArrivalAfter(int64_t* last_nanoseconds) {
  const int64_t drawn = (scheduler_->Now() + server_->DrawDelay()).nanoseconds();
  *last_nanoseconds = std::max(*last_nanoseconds + 1, drawn);
  return *last_nanoseconds;
}

void SimMetadataClient::ToServer(Job job) {
  if (!server_->IsReachable(*this)) return;
  scheduler_->CallAt(scheduler_->world(),
                     MonotonicTime::FromNanoseconds(ArrivalAfter(&last_request_nanoseconds_)),
                     [self = shared_from_this(), link = link_, job = std::move(job)]() mutable {
                       if (self->link_ == link) std::move(job)();
                     });
}

void SimMetadataClient::ToClient(Job job) {
  if (!server_->IsReachable(*this)) return;
  scheduler_->CallAt(executor_,
                     MonotonicTime::FromNanoseconds(ArrivalAfter(&last_reply_nanoseconds_)),
                     [self = shared_from_this(), link = link_, job = std::move(job)]() mutable {
                       if (self->link_ == link && !self->destroyed_) std::move(job)();
                     });
}

void SimMetadataClient::Later(void (SimMetadataClient::*step)()) {
  scheduler_->CallAfter(executor_, server_->DrawDelay(), [self = shared_from_this(), step] {
    if (!self->destroyed_ && !self->closed_) (self.get()->*step)();
  });
}

// ---- Operations

Task<MetadataReply> SimMetadataClient::Perform(MetadataRequest request) {
  if (closed_) co_return MetadataReply{MakeError(ErrorCode::kStopped, "the store is closed")};
  const SeamVerdict verdict =
      executor_->alive()
          ? scheduler_->AskSeamHook({SeamKind::kMetadata, executor_->process(), request.path})
          : SeamVerdict::kProceed;
  if (verdict == SeamVerdict::kFail) {
    co_return MetadataReply{
        MakeError(ErrorCode::kMetadataUnavailable, StrCat(request.path, ": the seam fails"))};
  }
  if (verdict == SeamVerdict::kCrashBefore) executor_->process()->Crash();
  Completion<MetadataReply> done(executor_);
  const uint64_t operation = ++operations_made_;
  pending_.emplace(operation, Pending{.request = std::move(request),
                                      .completer = done.GetCompleter(),
                                      .loses_answer = verdict == SeamVerdict::kLoseAnswer,
                                      .dies_after = verdict == SeamVerdict::kCrashAfter});
  const ScopedTimer deadline(
      scheduler_, scheduler_->CallAfter(executor_, server_->options_.operation_timeout,
                                        [self = shared_from_this(), operation] {
                                          self->Abort(operation, ErrorCode::kMetadataUnavailable,
                                                      "no answer in time");
                                        }));
  if (connected_) Transmit(operation);
  co_return co_await done;
}

void SimMetadataClient::Transmit(uint64_t operation) {
  Pending& pending = pending_.at(operation);
  pending.sent = true;
  ToServer([self = shared_from_this(), operation, request = pending.request] {
    std::optional<MetadataReply> reply = self->server_->OnRequest(*self, request);
    const auto waiting = self->pending_.find(operation);
    // Once: a read is asked again on the next link.
    const bool lost =
        waiting != self->pending_.end() && std::exchange(waiting->second.loses_answer, false);
    if (!reply.has_value() || lost) return self->server_->BreakLink(self);
    self->SendHeldEvents();
    self->ToClient([self, operation, reply = *std::move(reply)]() mutable {
      self->Complete(operation, std::move(reply));
    });
  });
}

void SimMetadataClient::Complete(uint64_t operation, MetadataReply reply) {
  const auto found = pending_.find(operation);
  if (found == pending_.end()) return;
  Completer<MetadataReply> completer = found->second.completer;
  const bool dies = found->second.dies_after;
  pending_.erase(found);
  if (dies) {
    executor_->process()->Crash();
  } else {
    completer.Set(std::move(reply));
  }
}

void SimMetadataClient::Abort(uint64_t operation, ErrorCode code, std::string_view why) {
  const auto found = pending_.find(operation);
  if (found == pending_.end()) return;
  const MetadataRequest& request = found->second.request;
  const Effect effect =
      found->second.sent && IsWrite(request.operation) ? Effect::kUnknown : Effect::kNone;
  Complete(operation, MetadataReply{MakeError(code, effect, StrCat(request.path, ": ", why))});
}

// ---- Watches

std::unique_ptr<metadata::Watch> SimMetadataClient::AddWatch(SimMetadataTree::Changed what,
                                                             std::string path,
                                                             metadata::WatchCallback changed) {
  auto [watch, subscription] = watch_callbacks_->Add(std::move(changed));
  watches_[watch] = {what, std::move(path)};
  if (connected_ && !closed_) TransmitArm(watch);
  return std::move(subscription);
}

std::unique_ptr<metadata::Watch> SimMetadataClient::AddSessionWatch(
    metadata::SessionCallback changed) {
  return session_callbacks_->Add(std::move(changed)).watch;
}

void SimMetadataClient::TransmitArm(uint64_t watch) {
  ToServer([self = shared_from_this(), watch] {
    const auto found = self->watches_.find(watch);
    if (found == self->watches_.end()) return;
    self->server_->Arm(self->session_, found->second, watch);
    self->SendEvent(watch);
  });
}

void SimMetadataClient::SendEvent(uint64_t watch) {
  const absl::Duration delay = server_->DrawWatchDelay();
  if (delay == absl::ZeroDuration()) return SendEventNow(watch);
  if (!events_held_.insert(watch).second) return;
  scheduler_->faults().Count("metadata.late_watch");
  scheduler_->CallAfter(scheduler_->world(), delay, [self = shared_from_this(), watch] {
    if (self->events_held_.erase(watch) > 0) self->SendEventNow(watch);
  });
}

void SimMetadataClient::SendHeldEvents() {
  for (const uint64_t watch : std::exchange(events_held_, {})) SendEventNow(watch);
}

void SimMetadataClient::SendEventNow(uint64_t watch) {
  // One that is under way tells of this change too: whoever looks then sees it.
  if (!server_->IsReachable(*this) || !events_under_way_.insert(watch).second) return;
  ToClient([self = shared_from_this(), watch] {
    self->events_under_way_.erase(watch);
    self->watch_callbacks_->Notify(watch);
  });
}

// ---- The session

void SimMetadataClient::Open() {
  if (!server_->IsReachable(*this)) return;
  BeginSession();
}

void SimMetadataClient::OnCut() {
  ++link_;
  Later(&SimMetadataClient::NoticeCut);
}

void SimMetadataClient::OnRestored() {
  ++link_;
  Later(&SimMetadataClient::Reestablish);
}

void SimMetadataClient::NoticeCut() {
  if (connected_ && connected_link_ != link_) LoseContact();
}

void SimMetadataClient::LoseContact() {
  connected_ = false;
  std::vector<uint64_t> sent;
  for (const auto& [operation, pending] : pending_) {
    if (pending.sent) sent.push_back(operation);
  }
  for (const uint64_t operation : sent) {
    Pending& pending = pending_.at(operation);
    if (IsWrite(pending.request.operation)) {
      Abort(operation, ErrorCode::kMetadataUnavailable, "the connection was lost");
    } else {
      pending.sent = false;  // asked again on the next link
    }
  }
  session_callbacks_->NotifyAll(SessionState::kDisconnected);
}

void SimMetadataClient::Reestablish() {
  if (!server_->IsReachable(*this) || (connected_ && connected_link_ == link_)) return;
  if (connected_) LoseContact();
  if (destroyed_ || closed_) return;
  if (server_->HasSession(session_)) {
    BeginLink();
    return;
  }
  if (session_ != 0) session_callbacks_->NotifyAll(SessionState::kExpired);
  if (!destroyed_ && !closed_) Later(&SimMetadataClient::BeginSession);
}

void SimMetadataClient::BeginSession() {
  if (!server_->IsReachable(*this) || connected_) return;
  session_ = server_->NewSession(shared_from_this());
  BeginLink();
}

void SimMetadataClient::BeginLink() {
  connected_ = true;
  connected_link_ = link_;
  events_held_.clear();  // all watches are armed again below, and tell
  events_under_way_.clear();
  server_->StopTimeout(session_);
  std::vector<uint64_t> waiting;
  for (const auto& [operation, pending] : pending_) {
    if (!pending.sent) waiting.push_back(operation);
  }
  for (const uint64_t operation : waiting) Transmit(operation);
  for (const auto& [watch, key] : watches_) TransmitArm(watch);
  session_callbacks_->NotifyAll(SessionState::kConnected);
}

// ---- The end

Task<void> SimMetadataClient::Close() {
  if (closed_) co_return;
  closed_ = true;
  std::vector<uint64_t> operations;
  for (const auto& [operation, pending] : pending_) operations.push_back(operation);
  for (const uint64_t operation : operations) {
    Abort(operation, ErrorCode::kStopped, "the store is closing");
  }
  watch_callbacks_->Detach();
  session_callbacks_->Detach();
  if (!connected_) co_return;  // the session ends by its timeout
  Completion<bool> done(executor_);
  const ScopedTimer deadline(
      scheduler_,
      scheduler_->CallAfter(executor_, server_->options_.operation_timeout,
                            [completer = done.GetCompleter()]() mutable { completer.Set(false); }));
  ToServer([self = shared_from_this(), completer = done.GetCompleter()]() mutable {
    self->server_->EndSession(self->session_);
    self->ToClient([completer = std::move(completer)]() mutable { completer.Set(true); });
  });
  co_await done;
}

void SimMetadataClient::Destroy() {
  destroyed_ = true;
  watch_callbacks_->Detach();
  session_callbacks_->Detach();
  pending_.clear();
  server_->Forget(shared_from_this());
}

}  // namespace stele::simulation

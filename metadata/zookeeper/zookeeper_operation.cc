#include "metadata/zookeeper/zookeeper_operation.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::metadata {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(50);

}  // namespace

Task<std::optional<ZooKeeperReply>> ZooKeeperRequests::Await(Send* send, MonotonicTime deadline) {
  // Forgets the request also when the task is destroyed.
  struct Entry {
    ZooKeeperRequests* requests;
    uint64_t id;
    ~Entry() { requests->waiting_.erase(id); }
  };
  Completion<Answer> answered(executor_);
  const Entry entry{this, ++last_id_};
  waiting_.emplace(entry.id, answered.GetCompleter());
  const std::unique_ptr<Timer> timer = clock_->CallAt(
      deadline, [completer = answered.GetCompleter()]() mutable { completer.Set(std::nullopt); });
  (*send)(connection_->session(),
          [completer = answered.GetCompleter()](ZooKeeperReply reply) mutable {
            completer.Set(std::move(reply));
          });
  co_return co_await answered;
}

void ZooKeeperRequests::LoseAll() {
  for (auto& [id, completer] : waiting_)
    completer.Set(ZooKeeperReply{.code = ZooKeeperCode::kLost});
}

void ZooKeeperRequests::StopAll() {
  stopped_ = true;
  for (auto& [id, completer] : waiting_) completer.Set(std::nullopt);
}

absl::Status ZooKeeperOperation::Admit(size_t operations_max) const {
  if (requests_->stopped()) return MakeError(ErrorCode::kStopped, "the metadata store is closing");
  if (requests_->operations_ <= operations_max) return absl::OkStatus();
  return MakeError(ErrorCode::kOverloaded, "too many metadata operations are waiting");
}

absl::Status ZooKeeperOperation::Unavailable(std::string_view why) const {
  return MakeError(ErrorCode::kMetadataUnavailable, effect_, why);
}

absl::Status ZooKeeperOperation::Failure() const {
  if (requests_->stopped()) {
    return MakeError(ErrorCode::kStopped, effect_, "the metadata store is closing");
  }
  const ZooKeeperConnection& connection = *requests_->connection();
  return Unavailable(connection.connected()
                         ? std::string("ZooKeeper does not answer in time")
                         : StrCat("ZooKeeper cannot be reached: ", connection.problem()));
}

Task<absl::Status> ZooKeeperOperation::WaitForConnection() {
  while (!requests_->connection()->connected() || requests_->stopped()) {
    if (requests_->stopped() || requests_->clock()->Now() >= deadline_) co_return Failure();
    co_await requests_->connection()->WaitForChange(deadline_);
  }
  co_return absl::OkStatus();
}

Task<void> ZooKeeperOperation::Pause() {
  const MonotonicTime until = std::min(deadline_, requests_->clock()->Now() + kPause);
  co_await requests_->connection()->WaitForChange(until);
}

Task<absl::StatusOr<ZooKeeperReply>> ZooKeeperOperation::Write(Send send) {
  while (true) {
    STELE_CO_TRY_OK(co_await WaitForConnection());
    epoch_of_last_write_ = requests_->connection()->epoch();
    if (bound_to_epoch_.value_or(epoch_of_last_write_) != epoch_of_last_write_) {
      co_return ZooKeeperReply{.code = ZooKeeperCode::kNoNode};
    }
    std::optional<ZooKeeperReply> reply = co_await requests_->Await(&send, deadline_);
    const bool is_clear = reply.has_value() && reply->code != ZooKeeperCode::kLost &&
                          reply->code != ZooKeeperCode::kRefused;
    if (!is_clear) effect_ = Effect::kUnknown;
    if (!reply.has_value()) co_return Failure();
    if (reply->code != ZooKeeperCode::kNotApplied) co_return *std::move(reply);
    co_await Pause();
  }
}

Task<absl::StatusOr<ZooKeeperReply>> ZooKeeperOperation::Repeat(Send send) {
  while (true) {
    STELE_CO_TRY_OK(co_await WaitForConnection());
    std::optional<ZooKeeperReply> reply = co_await requests_->Await(&send, deadline_);
    if (!reply.has_value()) co_return Failure();
    const bool is_answer =
        reply->code != ZooKeeperCode::kNotApplied && reply->code != ZooKeeperCode::kLost;
    if (is_answer) co_return *std::move(reply);
    co_await Pause();
  }
}

Task<absl::Status> ZooKeeperOperation::WaitForSameSession() {
  STELE_CO_TRY_OK(co_await WaitForConnection());
  if (IsSameSession()) co_return absl::OkStatus();
  co_return Unavailable("the ZooKeeper session ended while a write was on its way");
}

}  // namespace stele::metadata

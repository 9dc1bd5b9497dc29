#include "metadata/leader_election.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/decimal.h"
#include "metadata/retry.h"

namespace stele::metadata {
namespace {

constexpr std::string_view kVotePrefix = "V_";
// A watch that is late or lost costs at most this.
constexpr absl::Duration kLookAgain = absl::Seconds(5);

}  // namespace

std::vector<Vote> SortVotes(const std::vector<std::string>& names) {
  std::vector<Vote> votes;
  for (const std::string& name : names) {
    if (name.rfind(kVotePrefix, 0) != 0) continue;
    const std::optional<int64_t> number =
        ParseDecimal(std::string_view(name).substr(kVotePrefix.size()));
    if (number.has_value()) votes.push_back({name, *number});
  }
  std::sort(votes.begin(), votes.end(),
            [](const Vote& a, const Vote& b) { return a.number < b.number; });
  return votes;
}

LeaderElection::LeaderElection(Env env, MetadataStore* store, const ClusterPaths& paths,
                               std::string candidate)
    : env_(env),
      store_(store),
      paths_(paths),
      candidate_(std::move(candidate)),
      look_(env.executor) {
  session_watch_ = store_->WatchSession([this](SessionState) { look_.Raise(); });
}

Task<absl::StatusOr<std::vector<Vote>>> LeaderElection::Votes() {
  absl::StatusOr<std::vector<std::string>> names = co_await store_->Children(paths_.election());
  if (CodeOf(names.status()) == ErrorCode::kNoSuchKey) co_return std::vector<Vote>();
  STELE_CO_TRY_OK(names.status());
  co_return SortVotes(*names);
}

Task<absl::StatusOr<std::optional<Vote>>> LeaderElection::FindOwn(std::vector<Vote> votes) {
  for (const Vote& vote : votes) {
    if (vote.name == own_) co_return std::optional<Vote>(vote);
  }
  // A vote whose answer was lost must be found: a second one behind it would wait for it for ever.
  for (const Vote& vote : votes) {
    const absl::StatusOr<Node> node =
        co_await store_->Get(StrCat(paths_.election(), "/", vote.name));
    if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) continue;
    STELE_CO_TRY_OK(node.status());
    if (node->owner == EphemeralOwner::kThisSession) {
      own_ = vote.name;
      co_return std::optional<Vote>(vote);
    }
  }
  own_.reset();
  co_return std::optional<Vote>();
}

Task<absl::Status> LeaderElection::WaitUntilElected() {
  Backoff backoff(env_.random, {});
  for (;;) {
    absl::Status status;
    absl::StatusOr<std::vector<Vote>> votes = co_await Votes();
    status = votes.status();
    if (votes.ok()) {
      const absl::StatusOr<std::optional<Vote>> own = co_await FindOwn(*votes);
      status = own.status();
      if (own.ok() && own->has_value()) {
        const auto place = std::find(votes->begin(), votes->end(), **own);
        if (place == votes->begin()) {
          // For people only, who should rather look at the votes.
          (co_await store_->Put(paths_.election(), SerializeOwner(candidate_), kAnyVersion))
              .status()
              .IgnoreError();
          co_return absl::OkStatus();
        }
        Follow(std::prev(place)->name);
        const std::unique_ptr<Timer> timer =
            env_.clock->CallAt(env_.clock->Now() + kLookAgain, [this] { look_.Raise(); });
        co_await look_.Wait();
        continue;
      }
      if (own.ok()) {
        const absl::StatusOr<std::string> made = co_await store_->CreateSequential(
            paths_.vote_prefix(), SerializeOwner(candidate_), NodeKind::kEphemeral);
        status = made.status();
        if (made.ok()) own_ = made->substr(paths_.election().size() + 1);
      }
    }
    if (status.ok()) continue;
    if (CodeOf(status) != ErrorCode::kMetadataUnavailable) co_return status;
    co_await SleepFor(env_.executor, env_.clock, backoff.Next());
  }
}

void LeaderElection::Follow(const std::string& predecessor) {
  if (predecessor == watched_) return;
  watched_ = predecessor;
  vote_watch_ =
      store_->WatchNode(StrCat(paths_.election(), "/", predecessor), [this] { look_.Raise(); });
}

Task<absl::StatusOr<bool>> LeaderElection::IsLeader() {
  STELE_CO_TRY(const std::vector<Vote> votes, co_await Votes());
  co_return own_.has_value() && !votes.empty() && votes.front().name == *own_;
}

Task<void> LeaderElection::Resign() {
  if (!own_.has_value()) co_return;
  // When this fails the vote ends with the session.
  (co_await store_->Delete(StrCat(paths_.election(), "/", *std::exchange(own_, std::nullopt)),
                           kAnyVersion))
      .IgnoreError();
}

Task<absl::StatusOr<std::optional<std::string>>> CurrentLeader(MetadataStore* store,
                                                               ClusterPaths cluster_paths) {
  const UnderreplicationPaths paths(cluster_paths);
  for (;;) {
    const absl::StatusOr<std::vector<std::string>> names =
        co_await store->Children(paths.election());
    if (CodeOf(names.status()) == ErrorCode::kNoSuchKey) co_return std::optional<std::string>();
    STELE_CO_TRY_OK(names.status());
    const std::vector<Vote> votes = SortVotes(*names);
    if (votes.empty()) co_return std::optional<std::string>();
    const absl::StatusOr<Node> node =
        co_await store->Get(StrCat(paths.election(), "/", votes.front().name));
    if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) continue;
    STELE_CO_TRY_OK(node.status());
    co_return std::optional<std::string>(ParseOwner(node->value));
  }
}

}  // namespace stele::metadata

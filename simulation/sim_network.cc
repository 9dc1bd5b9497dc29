#include "simulation/sim_network.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_link.h"
#include "simulation/sim_process.h"

namespace stele::simulation {
namespace {

// The first port that Listen chooses for port 0, and the port that every connecting end shows.
constexpr uint16_t kFirstChosenPort = 20'000;
constexpr uint16_t kConnectingPort = 60'000;

}  // namespace

class SimListener : public Listener {
 public:
  SimListener(SimNetwork* network, SimExecutor* on, Endpoint where, Endpoint as_asked,
              TransportLimits with, AcceptHandler* accept)
      : executor(on),
        limits(with),
        handler(accept),
        network_(network),
        where_(std::move(where)),
        as_asked_(std::move(as_asked)) {
    network_->listeners_[where_] = this;
  }
  ~SimListener() override { network_->listeners_.erase(where_); }
  Endpoint endpoint() const override { return as_asked_; }

  SimExecutor* executor;
  TransportLimits limits;
  AcceptHandler* handler;

 private:
  SimNetwork* network_;
  Endpoint where_;
  Endpoint as_asked_;
};

SimNetwork::SimNetwork(Scheduler* scheduler, SimNetworkOptions options)
    : scheduler_(scheduler), options_(options), random_(scheduler->random().Child("network")) {}

SimNetwork::~SimNetwork() { STELE_CHECK(listeners_.empty()); }

// ---- Delays

absl::Duration SimNetwork::DrawBelow(absl::Duration bound) {
  const auto nanoseconds = static_cast<uint64_t>(absl::ToInt64Nanoseconds(bound));
  return absl::Nanoseconds(static_cast<int64_t>(random_.Below(nanoseconds + 1)));
}

const LinkConditions* SimNetwork::ConditionsOf(const std::string& from,
                                               const std::string& to) const {
  if (conditions_.empty()) return nullptr;
  const auto found = conditions_.find({from, to});
  return found == conditions_.end() ? nullptr : &found->second.conditions;
}

absl::Duration SimNetwork::DrawDelay(const std::string& from, const std::string& to) {
  absl::Duration delay = options_.delay_min + DrawBelow(options_.delay_spread);
  const LinkConditions* conditions = ConditionsOf(from, to);
  if (conditions == nullptr) return delay;
  if (conditions->delay_tail > absl::ZeroDuration()) {
    // Half of the draws stop at each step: an exponential tail without floating point. A step of
    // 0.7 means keeps the mean.
    const absl::Duration step = conditions->delay_tail * 7 / 10;
    const int steps = std::countr_zero(random_.Below(UINT64_MAX) | uint64_t{1} << 20);
    delay += step * steps + DrawBelow(step);
  }
  if (random_.Chance(conditions->spikes, 1'000)) {
    scheduler_->faults().Count("network.spike");
    delay *= 100;
  }
  if (random_.Chance(conditions->stalls, 1'000)) {
    scheduler_->faults().Count("network.stall");
    delay += absl::Milliseconds(int64_t{200} << random_.Below(6));
  }
  return delay;
}

absl::Duration SimNetwork::TransferTime(const std::string& from, const std::string& to,
                                        size_t bytes) {
  if (conditions_.empty()) return absl::ZeroDuration();
  const auto found = conditions_.find({from, to});
  if (found == conditions_.end() || found->second.conditions.bytes_per_second == 0) {
    return absl::ZeroDuration();
  }
  LinkState& link = found->second;
  const int64_t now = scheduler_->Now().nanoseconds();
  const uint64_t taken = bytes * 1'000'000'000 / link.conditions.bytes_per_second;
  link.busy_until_nanoseconds =
      std::max(now, link.busy_until_nanoseconds) + static_cast<int64_t>(taken);
  return absl::Nanoseconds(link.busy_until_nanoseconds - now);
}

// ---- Faults

void SimNetwork::Block(const std::string& from, const std::string& to) {
  if (blocked_.insert({from, to}).second) scheduler_->faults().Count("network.block");
}

void SimNetwork::Unblock(const std::string& from, const std::string& to) {
  if (blocked_.erase({from, to}) == 0) return;
  std::vector<std::shared_ptr<SimLink>> links;
  LinksBetween(from, to, &links);
  for (const std::shared_ptr<SimLink>& link : links) link->Resume();
}

void SimNetwork::Partition(const std::string& a, const std::string& b) {
  Block(a, b);
  Block(b, a);
}

void SimNetwork::Heal(const std::string& a, const std::string& b) {
  Unblock(a, b);
  Unblock(b, a);
}

void SimNetwork::HealAll() {
  const auto blocked = blocked_;
  for (const auto& [from, to] : blocked) Unblock(from, to);
}

void SimNetwork::SetConditions(const std::string& from, const std::string& to,
                               LinkConditions conditions) {
  conditions_[{from, to}].conditions = conditions;
}

void SimNetwork::ClearConditions() { conditions_.clear(); }

void SimNetwork::SwizzleClog(std::vector<DirectedLink> links, absl::Duration duration) {
  const absl::Duration half = duration / 2;
  for (DirectedLink& link : links) {
    const absl::Duration begin = DrawBelow(half);
    const absl::Duration end = half + DrawBelow(half);
    scheduler_->CallAfter(scheduler_->world(), begin, [this, link] {
      scheduler_->faults().Count("network.swizzle");
      Block(link.first, link.second);
    });
    scheduler_->CallAfter(scheduler_->world(), end,
                          [this, link] { Unblock(link.first, link.second); });
  }
}

void SimNetwork::ResetConnections(const std::string& a, const std::string& b) {
  std::vector<std::shared_ptr<SimLink>> links;
  LinksBetween(a, b, &links);
  scheduler_->faults().Count("network.reset", links.size());
  for (const std::shared_ptr<SimLink>& link : links) link->Reset();
}

void SimNetwork::ResetWithZombies(const std::string& from, const std::string& to,
                                  absl::Duration delay_max) {
  std::vector<std::shared_ptr<SimLink>> links;
  LinksBetween(from, to, &links);
  for (const std::shared_ptr<SimLink>& link : links) {
    link->ResetWithZombies(link->host(0) == from ? 0 : 1, DrawBelow(delay_max));
  }
}

void SimNetwork::HalfOpen(const std::string& dead, const std::string& other, Silence silence) {
  std::vector<std::shared_ptr<SimLink>> links;
  LinksBetween(dead, other, &links);
  scheduler_->faults().Count("network.half_open", links.size());
  for (const std::shared_ptr<SimLink>& link : links) {
    link->BreakSilently(link->host(0) == dead ? 0 : 1, silence);
  }
}

void SimNetwork::ShutWindow(const std::string& host) {
  if (shut_windows_.insert(host).second) scheduler_->faults().Count("network.shut_window");
}

void SimNetwork::OpenWindow(const std::string& host) {
  if (shut_windows_.erase(host) == 0) return;
  for (const auto& [id, weak] : std::map(links_)) {
    const std::shared_ptr<SimLink> link = weak.lock();
    if (link != nullptr) link->OnWindowOpened(host);
  }
}

void SimNetwork::HealAllFaults() {
  ClearConditions();
  HealAll();
  const std::set<std::string> shut = shut_windows_;
  for (const std::string& host : shut) OpenWindow(host);
}

void SimNetwork::ResetLater(const std::shared_ptr<SimLink>& link, absl::Duration delay) {
  scheduler_->CallAfter(scheduler_->world(), delay, [weak = std::weak_ptr<SimLink>(link)] {
    if (const std::shared_ptr<SimLink> still = weak.lock(); still != nullptr) still->Reset();
  });
}

void SimNetwork::LinksBetween(const std::string& a, const std::string& b,
                              std::vector<std::shared_ptr<SimLink>>* links) {
  for (const auto& [id, weak] : links_) {
    std::shared_ptr<SimLink> link = weak.lock();
    if (link == nullptr) continue;
    if ((link->host(0) == a && link->host(1) == b) || (link->host(0) == b && link->host(1) == a)) {
      links->push_back(std::move(link));
    }
  }
}

void SimNetwork::FinishSending(Connection* connection) {
  static_cast<SimConnection*>(connection)->FinishSending();
}

// ---- Connecting

void SimNetwork::Connect(Attempt attempt) {
  const absl::Duration delay = DrawDelay(attempt.from_host, attempt.to.host);
  TryAgain(std::move(attempt), delay);
}

void SimNetwork::TryAgain(Attempt attempt, absl::Duration delay) {
  SimExecutor* executor = attempt.executor;
  scheduler_->CallAfter(executor, delay, [this, attempt = std::move(attempt)]() mutable {
    Arrive(std::move(attempt));
  });
}

void SimNetwork::Refuse(const Attempt& attempt, std::string_view why) {
  scheduler_->CallAfter(
      attempt.executor, DrawDelay(attempt.to.host, attempt.from_host),
      [completer = attempt.completer,
       text = StrCat(attempt.to.host, ":", attempt.to.port, ": ", why)]() mutable {
        completer.Set(MakeError(ErrorCode::kConnectionLost, text));
      });
}

void SimNetwork::Arrive(Attempt attempt) {
  if (attempt.completer.IsSet()) return;
  using Fault = LinkConditions::Connect;
  const LinkConditions* conditions = ConditionsOf(attempt.from_host, attempt.to.host);
  const Fault fault = conditions == nullptr ? Fault::kNormal : conditions->connect;
  if (fault == Fault::kBlackholed) scheduler_->faults().Count("network.connect_blackholed");
  if (fault == Fault::kBlackholed || IsBlocked(attempt.from_host, attempt.to.host) ||
      IsBlocked(attempt.to.host, attempt.from_host)) {
    TryAgain(std::move(attempt), options_.connect_retry);
    return;
  }
  if (fault == Fault::kSlow && !std::exchange(attempt.was_slow, true)) {
    scheduler_->faults().Count("network.connect_slow");
    TryAgain(std::move(attempt), absl::Milliseconds(500) + DrawBelow(absl::Seconds(10)));
    return;
  }
  if (fault == Fault::kRefused) {
    scheduler_->faults().Count("network.connect_refused");
    Refuse(attempt, "refused");
    return;
  }
  const auto found = listeners_.find(attempt.to);
  if (found == listeners_.end()) {
    Refuse(attempt, "nobody listens");
    return;
  }
  SimExecutor* executor = attempt.executor;
  SimListener* listener = found->second;
  const uint64_t id = links_made_++;
  scheduler_->trace().Record(TraceKind::kConnection, id * 2, 0);
  auto link = std::make_shared<SimLink>(
      this, id, SimLink::Setup{executor, attempt.from_host, kConnectingPort, attempt.limits},
      SimLink::Setup{listener->executor, attempt.to.host, attempt.to.port, listener->limits});
  links_[id] = link;
  scheduler_->Enqueue(
      listener->executor,
      [this, to = attempt.to, accepted = std::make_unique<SimConnection>(link, 1)]() mutable {
        const auto still = listeners_.find(to);
        if (still != listeners_.end()) still->second->handler->OnAccept(std::move(accepted));
      });
  scheduler_->CallAfter(executor, DrawDelay(attempt.to.host, attempt.from_host),
                        [completer = attempt.completer,
                         connected = std::make_unique<SimConnection>(link, 0)]() mutable {
                          completer.Set(ConnectResult(std::move(connected)));
                        });
  if (fault == Fault::kAcceptedThenReset) {
    scheduler_->faults().Count("network.connect_reset");
    ResetLater(link, DrawBelow(absl::Milliseconds(20)));
  }
}

// ---- The transport of a shard

std::string SimTransport::Resolve(const std::string& host) const {
  if (host.empty() || host == "localhost" || host == "127.0.0.1" || host == "0.0.0.0") {
    return host_;
  }
  return host;
}

Task<absl::StatusOr<std::unique_ptr<Connection>>> SimTransport::Connect(Endpoint to,
                                                                        TransportLimits limits,
                                                                        absl::Duration timeout) {
  Completion<SimNetwork::ConnectResult> done(executor_);
  to.host = Resolve(to.host);
  const ScopedTimer deadline(
      network_->scheduler(),
      network_->scheduler()->CallAfter(
          executor_, timeout, [completer = done.GetCompleter(), to]() mutable {
            completer.Set(
                MakeError(ErrorCode::kDeadline, StrCat("connecting to ", to.host, ":", to.port)));
          }));
  const SeamVerdict verdict =
      executor_->alive()
          ? network_->scheduler()->AskSeamHook({SeamKind::kConnect, executor_->process(), to.host})
          : SeamVerdict::kProceed;
  if (verdict == SeamVerdict::kFail || verdict == SeamVerdict::kLoseAnswer) {
    co_return MakeError(ErrorCode::kConnectionLost, StrCat(to.host, ": the seam fails"));
  }
  if (verdict == SeamVerdict::kCrashBefore || verdict == SeamVerdict::kCrashAfter) {
    executor_->process()->Crash();
  }
  network_->Connect({executor_, host_, std::move(to), limits, done.GetCompleter()});
  co_return co_await done;
}

absl::StatusOr<std::unique_ptr<Listener>> SimTransport::Listen(Endpoint at, TransportLimits limits,
                                                               AcceptHandler* handler) {
  if (Resolve(at.host) != host_) {
    return MakeError(ErrorCode::kIoError, StrCat(at.host, " is not an address of ", host_));
  }
  if (at.port == 0) {
    uint16_t& last = network_->last_port_[host_];
    do {
      last = std::max<uint16_t>(kFirstChosenPort, static_cast<uint16_t>(last + 1));
    } while (network_->listeners_.contains({host_, last}));
    at.port = last;
  }
  const Endpoint where{host_, at.port};
  if (network_->listeners_.contains(where)) {
    return MakeError(ErrorCode::kIoError, StrCat(where.host, ":", where.port, " is in use"));
  }
  return std::make_unique<SimListener>(network_, executor_, where, at, limits, handler);
}

}  // namespace stele::simulation

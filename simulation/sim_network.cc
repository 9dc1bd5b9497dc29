#include "simulation/sim_network.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_link.h"

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

absl::Duration SimNetwork::DrawDelay() {
  const auto spread = static_cast<uint64_t>(absl::ToInt64Nanoseconds(options_.delay_spread));
  return options_.delay_min + absl::Nanoseconds(static_cast<int64_t>(random_.Below(spread + 1)));
}

// ---- Faults

void SimNetwork::Block(const std::string& from, const std::string& to) {
  blocked_.insert({from, to});
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

void SimNetwork::ResetConnections(const std::string& a, const std::string& b) {
  std::vector<std::shared_ptr<SimLink>> links;
  LinksBetween(a, b, &links);
  for (const std::shared_ptr<SimLink>& link : links) link->Reset();
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
  SimExecutor* executor = attempt.executor;
  scheduler_->CallAfter(executor, DrawDelay(), [this, attempt = std::move(attempt)]() mutable {
    Arrive(std::move(attempt));
  });
}

void SimNetwork::Arrive(Attempt attempt) {
  if (attempt.completer.IsSet()) return;
  SimExecutor* executor = attempt.executor;
  if (IsBlocked(attempt.from_host, attempt.to.host) ||
      IsBlocked(attempt.to.host, attempt.from_host)) {
    scheduler_->CallAfter(
        executor, options_.connect_retry,
        [this, attempt = std::move(attempt)]() mutable { Arrive(std::move(attempt)); });
    return;
  }
  const auto found = listeners_.find(attempt.to);
  if (found == listeners_.end()) {
    scheduler_->CallAfter(
        executor, DrawDelay(), [completer = attempt.completer, to = attempt.to]() mutable {
          completer.Set(MakeError(ErrorCode::kConnectionLost,
                                  StrCat("nobody listens at ", to.host, ":", to.port)));
        });
    return;
  }
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
  scheduler_->CallAfter(executor, DrawDelay(),
                        [completer = attempt.completer,
                         connected = std::make_unique<SimConnection>(link, 0)]() mutable {
                          completer.Set(ConnectResult(std::move(connected)));
                        });
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

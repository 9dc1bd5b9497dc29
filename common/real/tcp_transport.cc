#include "common/real/tcp_transport.h"

#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/errno_error.h"
#include "common/real/tcp_listener.h"

namespace stele::real {
namespace {

// A name server that does not answer keeps a thread for tens of seconds.
constexpr size_t kResolverThreadsMax = 4;

// How long a closed connection waits for its peer to see the end, and how many may do so.
constexpr absl::Duration kLingerMax = absl::Seconds(5);
constexpr size_t kLingeringMax = 1024;

absl::Status ConnectDeadline(std::string_view where) {
  return MakeError(ErrorCode::kDeadline, StrCat("connect to ", where, ": no answer in time"));
}

// Waits until a connecting socket is decided.
class ConnectWait final : public ReadinessHandler {
 public:
  ConnectWait(EventLoop* loop, int fd, Completer<bool> decided)
      : decided_(std::move(decided)), watcher_(loop, fd, this) {
    watcher_.WaitWritable();
  }
  void OnReadable() override {}
  void OnWritable() override { decided_.Set(true); }

 private:
  Completer<bool> decided_;
  FdWatcher watcher_;
};

}  // namespace

// A connection that has sent everything: reads and forgets what the peer still sends, until the
// peer closes too.
class TcpTransport::Lingering final : private ReadinessHandler {
 public:
  Lingering(TcpTransport* transport, UniqueFd fd)
      : transport_(transport), fd_(std::move(fd)), watcher_(transport->loop_, fd_.get(), this) {
    timer_ = transport->clock_->CallAt(transport->clock_->Now() + kLingerMax, [this] { End(); });
    watcher_.WaitReadable();
  }

 private:
  void OnReadable() override {
    ArrivalBlock& scratch = transport_->context_.arrival;
    scratch.Reserve();
    const ssize_t size = recv(fd_.get(), scratch.tail(), scratch.tail_size(), 0);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) return End();
    watcher_.WaitReadable();
  }
  void End() { transport_->lingering_.erase(fd_.get()); }

  TcpTransport* const transport_;
  UniqueFd fd_;
  FdWatcher watcher_;
  std::unique_ptr<Timer> timer_;
};

TcpTransport::TcpTransport(EventLoop* loop, Clock* clock)
    : loop_(loop), clock_(clock), resolver_(kResolverThreadsMax) {
  context_.loop = loop;
  context_.clock = clock;
  context_.linger = [this](UniqueFd fd) { Linger(std::move(fd)); };
  loop_->AddFlusher(this);
}

TcpTransport::~TcpTransport() { loop_->RemoveFlusher(this); }

void TcpTransport::Flush() {
  // A link that is marked while this runs is of the next turn.
  flushing_.swap(context_.to_flush);
  for (const std::shared_ptr<TcpLink>& link : flushing_) link->Flush();
  flushing_.clear();
}

void TcpTransport::Linger(UniqueFd fd) {
  const int number = fd.get();
  if (lingering_.size() >= kLingeringMax) return;
  lingering_[number] = std::make_unique<Lingering>(this, std::move(fd));
}

std::shared_ptr<TcpLink> TcpTransport::MakeLink(UniqueFd fd, TransportLimits limits) {
  SetConnectionOptions(fd.get());
  std::string peer = PeerAddress(fd.get()).ToString();
  return std::make_shared<TcpLink>(&context_, std::move(fd), limits, std::move(peer));
}

std::unique_ptr<Connection> TcpTransport::Accept(UniqueFd fd, TransportLimits limits) {
  std::shared_ptr<TcpLink> link = MakeLink(std::move(fd), limits);
  link->ExpectFirstByte();
  return std::make_unique<TcpConnection>(std::move(link));
}

Task<absl::StatusOr<std::unique_ptr<Connection>>> TcpTransport::Connect(Endpoint to,
                                                                        TransportLimits limits,
                                                                        absl::Duration timeout) {
  const MonotonicTime deadline = clock_->Now() + timeout;
  STELE_CO_TRY(const std::vector<SocketAddress> addresses, co_await LookUp(to, deadline));
  absl::Status failed;
  for (size_t i = 0; i < addresses.size(); ++i) {
    const MonotonicTime now = clock_->Now();
    const auto tries_left = static_cast<int64_t>(addresses.size() - i);
    absl::StatusOr<UniqueFd> fd =
        co_await ConnectTo(addresses[i], now + (deadline - now) / tries_left);
    if (fd.ok()) {
      co_return std::make_unique<TcpConnection>(MakeLink(*std::move(fd), limits));
    }
    failed = fd.status();
  }
  co_return WithContext(failed, ToString(to));
}

Task<absl::StatusOr<std::vector<SocketAddress>>> TcpTransport::LookUp(Endpoint endpoint,
                                                                      MonotonicTime deadline) {
  using Result = absl::StatusOr<std::vector<SocketAddress>>;
  Result numeric = Resolve(endpoint, Names::kNone);
  if (numeric.ok()) co_return numeric;

  Completion<Result> found(loop_);
  const std::unique_ptr<Timer> timer =
      clock_->CallAt(deadline, [completer = found.GetCompleter(), endpoint]() mutable {
        completer.Set(ConnectDeadline(ToString(endpoint)));
      });
  resolver_.Submit([loop = loop_, completer = found.GetCompleter(), endpoint]() mutable {
    loop->PostFromAnyThread(
        [completer = std::move(completer), result = Resolve(endpoint, Names::kLookUp)]() mutable {
          completer.Set(std::move(result));
        });
  });
  co_return co_await found;
}

Task<absl::StatusOr<UniqueFd>> TcpTransport::ConnectTo(SocketAddress address,
                                                       MonotonicTime deadline) {
  const std::string where = address.ToString();
  STELE_CO_TRY(UniqueFd fd, MakeSocket(address.storage.ss_family));
  // A signal does not stop a non-blocking connect.
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 &&
      errno != EINPROGRESS && errno != EINTR) {
    co_return SocketError(errno, "connect to", where);
  }
  Completion<bool> decided(loop_);
  {
    const ConnectWait wait(loop_, fd.get(), decided.GetCompleter());
    const std::unique_ptr<Timer> timer = clock_->CallAt(
        deadline, [completer = decided.GetCompleter()]() mutable { completer.Set(false); });
    if (!co_await decided) co_return ConnectDeadline(where);
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) co_return SocketError(error, "connect to", where);
  // With nobody listening on a port of the range that the system chooses from, a socket can be
  // given that very port and connect to itself.
  if (LocalAddress(fd.get()).ToString() == where) {
    co_return SocketError(ECONNREFUSED, "connect to", where);
  }
  co_return fd;
}

absl::StatusOr<std::unique_ptr<Listener>> TcpTransport::Listen(Endpoint at, TransportLimits limits,
                                                               AcceptHandler* handler) {
  STELE_TRY(UniqueFd fd, OpenListeningSocket(at));
  at.port = LocalAddress(fd.get()).port();
  return std::make_unique<TcpListener>(this, loop_, clock_, std::move(fd), std::move(at), limits,
                                       handler);
}

}  // namespace stele::real

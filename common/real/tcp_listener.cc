#include "common/real/tcp_listener.h"

#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/errno_error.h"
#include "common/real/socket_address.h"
#include "common/real/tcp_transport.h"

namespace stele::real {
namespace {

// Connections taken in one turn; the others wait for the next.
constexpr int kAcceptsPerTurnMax = 64;

// After too many in a short time, or when the system had no descriptor or memory left.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<UniqueFd> OpenListeningSocket(const Endpoint& at) {
  const absl::StatusOr<std::vector<SocketAddress>> addresses = Resolve(at, Names::kLookUp);
  if (!addresses.ok()) {
    return MakeError(ErrorCode::kIoError, ToStd(addresses.status().message()));
  }
  const SocketAddress& address = addresses->front();
  UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.IsOpen()) return FileError(errno, "listen at", ToString(at));
  // Lets a restarted server have its port while old connections fade; it does not share the port
  // with a listener that lives.
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      listen(fd.get(), SOMAXCONN) != 0) {
    return FileError(errno, "listen at", ToString(at));
  }
  return fd;
}

TcpListener::TcpListener(TcpTransport* transport, EventLoop* loop, Clock* clock, UniqueFd fd,
                         Endpoint at, TransportLimits limits, AcceptHandler* handler)
    : transport_(transport),
      clock_(clock),
      fd_(std::move(fd)),
      at_(std::move(at)),
      limits_(limits),
      handler_(handler),
      watcher_(loop, fd_.get(), this) {
  watcher_.WaitReadable();
}

TcpListener::~TcpListener() {
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void TcpListener::OnReadable() {
  bool destroyed = false;
  destroyed_ = &destroyed;
  const int per_second = transport_->link_limits().accepts_per_second_max;
  for (int i = 0; i < kAcceptsPerTurnMax; ++i) {
    if (!rate_.MayTake(clock_->Now(), per_second)) return Pause();
    const int fd = accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      rate_.Spend(clock_->Now(), per_second);
      handler_->OnAccept(transport_->Accept(UniqueFd(fd), limits_));
      if (destroyed) return;
    } else if (errno == EAGAIN) {
      break;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return Pause();
    }
    // Any other error is that of a connection which is gone already: the next one.
  }
  destroyed_ = nullptr;
  watcher_.WaitReadable();
}

void TcpListener::Pause() {
  destroyed_ = nullptr;
  retry_ = clock_->CallAt(clock_->Now() + kAcceptPause, [this] { OnReadable(); });
}

}  // namespace stele::real

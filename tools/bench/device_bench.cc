#include "tools/bench/device_bench.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bench {
namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kFileSize = 64 << 20;

absl::Status SystemError(std::string_view what) {
  return MakeError(ErrorCode::kIoError, StrCat(what, ": ", std::strerror(errno)));
}

int64_t NowNanoseconds() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Removes the file at the end: an unlinked file would make each synced write wait for the file
// system's own journal.
struct RemoveAtEnd {
  std::string path;
  ~RemoveAtEnd() { unlink(path.c_str()); }
};

absl::Status MeasureWrites(const DeviceOptions& options, DeviceFigures& figures) {
  const std::string path = StrCat(options.directory, "/stele-bench-device.tmp");
  const RemoveAtEnd remove{path};
  Descriptor prepare(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!prepare.ok()) return SystemError(path);
  const std::vector<char> zeroes(1 << 20, 0);
  for (size_t at = 0; at < kFileSize; at += zeroes.size()) {
    if (pwrite(prepare.get(), zeroes.data(), zeroes.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(zeroes.size())) {
      return SystemError(path);
    }
  }
  if (fsync(prepare.get()) != 0) return SystemError(path);
  Descriptor file(open(path.c_str(), O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC));
  if (!file.ok() && errno == EINVAL) {
    figures.direct = false;
    file = Descriptor(open(path.c_str(), O_WRONLY | O_DSYNC | O_CLOEXEC));
  }
  if (!file.ok()) return SystemError(path);
  MutableBuffer block(kBlock, kBlock);
  std::memset(block.data(), 0x5a, kBlock);
  for (int i = 0; i < options.writes; ++i) {
    const auto at = static_cast<off_t>(static_cast<size_t>(i) * kBlock % kFileSize);
    const int64_t start = NowNanoseconds();
    if (pwrite(file.get(), block.data(), kBlock, at) != static_cast<ssize_t>(kBlock)) {
      return SystemError("4 KiB write");
    }
    figures.write_nanoseconds.Record(NowNanoseconds() - start);
  }
  return absl::OkStatus();
}

bool SendAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

bool ReceiveAll(int fd, char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t got = recv(fd, bytes, size, 0);
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

absl::Status MeasureRoundTrips(const DeviceOptions& options, DeviceFigures& figures) {
  const Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (!listener.ok() || bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener.get(), 1) != 0 ||
      getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return SystemError("loopback listener");
  }
  const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!client.ok() || connect(client.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    return SystemError("loopback connection");
  }
  const Descriptor server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!server.ok()) return SystemError("loopback accept");
  const int on = 1;
  setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(server.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  std::thread echo([&] {
    std::vector<char> request(static_cast<size_t>(options.request_size_bytes));
    const std::vector<char> reply(static_cast<size_t>(options.reply_size_bytes));
    while (ReceiveAll(server.get(), request.data(), request.size()) &&
           SendAll(server.get(), reply.data(), reply.size())) {
    }
  });
  const std::vector<char> request(static_cast<size_t>(options.request_size_bytes));
  std::vector<char> reply(static_cast<size_t>(options.reply_size_bytes));
  bool ok = true;
  for (int i = 0; i < options.round_trips && ok; ++i) {
    const int64_t start = NowNanoseconds();
    ok = SendAll(client.get(), request.data(), request.size()) &&
         ReceiveAll(client.get(), reply.data(), reply.size());
    figures.round_trip_nanoseconds.Record(NowNanoseconds() - start);
  }
  shutdown(client.get(), SHUT_RDWR);
  echo.join();
  return ok ? absl::OkStatus() : SystemError("loopback round trip");
}

}  // namespace

absl::StatusOr<DeviceFigures> MeasureDevice(const DeviceOptions& options) {
  DeviceFigures figures;
  STELE_TRY_OK(MeasureWrites(options, figures));
  STELE_TRY_OK(MeasureRoundTrips(options, figures));
  return figures;
}

}  // namespace stele::bench

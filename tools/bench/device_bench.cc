#include "tools/bench/device_bench.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
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

struct BlockFile {
  Descriptor file;
  bool direct = true;
};

// Zeroed, so that a write changes nothing but data.
absl::StatusOr<BlockFile> MakeBlockFile(const std::string& path) {
  const Descriptor prepare(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!prepare.ok()) return SystemError(path);
  const std::vector<char> zeroes(1 << 20, 0);
  for (size_t at = 0; at < kFileSize; at += zeroes.size()) {
    if (pwrite(prepare.get(), zeroes.data(), zeroes.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(zeroes.size())) {
      return SystemError(path);
    }
  }
  if (fsync(prepare.get()) != 0) return SystemError(path);
  BlockFile made{Descriptor(open(path.c_str(), O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC))};
  if (!made.file.ok() && errno == EINVAL) {
    made = {Descriptor(open(path.c_str(), O_WRONLY | O_DSYNC | O_CLOEXEC)), /*direct=*/false};
  }
  if (!made.file.ok()) return SystemError(path);
  return made;
}

MutableBuffer MakeBlock() {
  MutableBuffer block(kBlock, kBlock);
  std::memset(block.data(), 0x5a, kBlock);
  return block;
}

bool WriteBlock(int fd, const MutableBuffer& block, int64_t number) {
  const auto at = static_cast<off_t>(static_cast<size_t>(number) * kBlock % kFileSize);
  return pwrite(fd, block.data(), kBlock, at) == static_cast<ssize_t>(kBlock);
}

absl::Status MeasureWrites(const DeviceOptions& options, DeviceFigures& figures) {
  const std::string path = StrCat(options.directory, "/stele-bench-device.tmp");
  const RemoveAtEnd remove{path};
  STELE_TRY(const BlockFile made, MakeBlockFile(path));
  figures.direct = made.direct;
  const MutableBuffer block = MakeBlock();
  for (int i = 0; i < options.writes; ++i) {
    const int64_t start = NowNanoseconds();
    if (!WriteBlock(made.file.get(), block, i)) return SystemError("4 KiB write");
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

struct Connection {
  Descriptor client;
  Descriptor server;
};

absl::StatusOr<Connection> Connect() {
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
  Connection made;
  made.client = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made.client.ok() ||
      connect(made.client.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    return SystemError("loopback connection");
  }
  made.server = Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!made.server.ok()) return SystemError("loopback accept");
  const int on = 1;
  setsockopt(made.client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(made.server.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return made;
}

// Answers each request until the connection ends; on_request may refuse by false.
template <typename OnRequest>
void Serve(int fd, const DeviceOptions& options, OnRequest on_request) {
  std::vector<char> request(static_cast<size_t>(options.request_size_bytes));
  const std::vector<char> reply(static_cast<size_t>(options.reply_size_bytes));
  while (ReceiveAll(fd, request.data(), request.size()) && on_request() &&
         SendAll(fd, reply.data(), reply.size())) {
  }
  shutdown(fd, SHUT_RDWR);
}

absl::Status MeasureRoundTrips(const DeviceOptions& options, DeviceFigures& figures) {
  STELE_TRY(const Connection connection, Connect());
  const int client = connection.client.get();
  std::thread echo([&] { Serve(connection.server.get(), options, [] { return true; }); });
  const std::vector<char> request(static_cast<size_t>(options.request_size_bytes));
  std::vector<char> reply(static_cast<size_t>(options.reply_size_bytes));
  bool ok = true;
  for (int i = 0; i < options.round_trips && ok; ++i) {
    const int64_t start = NowNanoseconds();
    ok = SendAll(client, request.data(), request.size()) &&
         ReceiveAll(client, reply.data(), reply.size());
    figures.round_trip_nanoseconds.Record(NowNanoseconds() - start);
  }
  shutdown(client, SHUT_RDWR);
  echo.join();
  return ok ? absl::OkStatus() : SystemError("loopback round trip");
}

// One copy of the stand-in for a cluster: a thread that writes a block before it answers.
struct Copy {
  explicit Copy(std::string file) : remove{std::move(file)} {}
  ~Copy() {
    if (connection.client.ok()) shutdown(connection.client.get(), SHUT_RDWR);
    if (thread.joinable()) thread.join();
  }

  RemoveAtEnd remove;
  BlockFile blocks;
  Connection connection;
  int64_t answers = 0;
  std::thread thread;
};

absl::Status StartCopy(const DeviceOptions& options, Copy& copy) {
  STELE_TRY(copy.blocks, MakeBlockFile(copy.remove.path));
  STELE_TRY(copy.connection, Connect());
  copy.thread = std::thread([&options, &copy] {
    const MutableBuffer block = MakeBlock();
    int64_t writes = 0;
    Serve(copy.connection.server.get(), options,
          [&] { return WriteBlock(copy.blocks.file.get(), block, writes++); });
  });
  return absl::OkStatus();
}

// Waits until `enough` of the copies have given `answers`.
absl::Status AwaitAnswers(std::vector<std::unique_ptr<Copy>>& copies, int enough, int64_t answers,
                          std::vector<char>& reply) {
  for (;;) {
    std::vector<pollfd> polled;
    int done = 0;
    for (const auto& copy : copies) {
      done += copy->answers >= answers ? 1 : 0;
      polled.push_back({copy->connection.client.get(), POLLIN, 0});
    }
    if (done >= enough) return absl::OkStatus();
    if (poll(polled.data(), polled.size(), -1) < 0) return SystemError("poll");
    for (size_t i = 0; i < copies.size(); ++i) {
      if (polled[i].revents == 0) continue;
      if (!ReceiveAll(polled[i].fd, reply.data(), reply.size())) return SystemError("a copy");
      ++copies[i]->answers;
    }
  }
}

absl::Status MeasureCopies(const DeviceOptions& options, DeviceFigures& figures) {
  std::vector<std::unique_ptr<Copy>> copies;
  for (int i = 0; i < kCopies; ++i) {
    copies.push_back(
        std::make_unique<Copy>(StrCat(options.directory, "/stele-bench-device-", i, ".tmp")));
    STELE_TRY_OK(StartCopy(options, *copies.back()));
  }
  const std::vector<char> request(static_cast<size_t>(options.request_size_bytes));
  std::vector<char> reply(static_cast<size_t>(options.reply_size_bytes));
  for (int64_t i = 1; i <= options.writes; ++i) {
    const int64_t start = NowNanoseconds();
    for (const auto& copy : copies) {
      if (!SendAll(copy->connection.client.get(), request.data(), request.size())) {
        return SystemError("a copy");
      }
    }
    STELE_TRY_OK(AwaitAnswers(copies, kCopiesAwaited, i, reply));
    figures.copies_nanoseconds.Record(NowNanoseconds() - start);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DeviceFigures> MeasureDevice(const DeviceOptions& options) {
  DeviceFigures figures;
  STELE_TRY_OK(MeasureWrites(options, figures));
  STELE_TRY_OK(MeasureRoundTrips(options, figures));
  STELE_TRY_OK(MeasureCopies(options, figures));
  return figures;
}

}  // namespace stele::bench

// Transport: the only way to the network. It carries frames: the length prefix of the wire protocol
// (u32, big-endian, without itself) is added and removed here, so that whole frames arrive and a
// wrong length never reaches a codec.
//
// Per connection frames arrive in order or the connection is lost; between connections there is no
// order. All calls and callbacks are on the shard that owns the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/buffer.h"

namespace stele {

struct Endpoint {
  std::string host;   // name or address
  uint16_t port = 0;  // 0 with Listen: any free port
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// Who this process is and whom it trusts. Made by the kind of transport that uses it: common/real
// of files, or by simulation. Immutable; shared by shards.
class TlsCredentials {
 public:
  virtual ~TlsCredentials() = default;
};

struct TlsUpgrade {
  enum class Side { kServer, kClient };
  Side side = Side::kServer;
  std::shared_ptr<const TlsCredentials> credentials;
  // kClient: the name or address that the server's certificate must be for; empty: any that is
  // trusted.
  std::string server_name;
  absl::Duration deadline = absl::Seconds(10);  // for the whole handshake
};

// What the peer has proven.
struct TlsPeer {
  bool has_certificate = false;
  std::string subject;                            // for logs
  std::vector<std::string> organizational_units;  // of the subject, in its order
};

// Receives what happens on one connection. Its owner keeps it alive until Connection::Close() or
// the connection's end.
class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;

  // One or more frames that arrived together, without their length prefixes. Each Buffer is a view
  // into a read block that it shares with its neighbours: copy what is kept long. The handler may
  // call Close() inside.
  virtual void OnFrames(std::span<Buffer> frames) = 0;

  // The handshake that StartTls began is done; what follows, both ways, is inside TLS.
  virtual void OnTlsStarted(const TlsPeer& peer) {}

  // The queue of outgoing bytes, having been above the low-water mark, is below it again.
  virtual void OnWritable() {}

  // The peer will send nothing more but may still read: finish the replies it waits for, then
  // CloseAfterSending(). Called once; only OnWritable and OnClosed follow.
  virtual void OnPeerFinished() = 0;

  // The connection is gone; the last call. Not called after Close().
  //   kOk              CloseAfterSending has done its work
  //   kConnectionLost  closed by the peer or the network
  //   kCorruptData     a frame above the limit or of no length
  //   kDeadline        a frame or a TLS handshake was begun and not finished in time
  //   kUnauthorized    TLS: no common ground, or a certificate that one side does not accept
  virtual void OnClosed(absl::Status why) = 0;
};

class Connection {
 public:
  // Closes at once, as Close().
  virtual ~Connection() = default;

  // Begins to read; call once. Frames may be sent before.
  virtual void Start(ConnectionHandler* handler) = 0;

  // Queues one frame made of `head` and then `body`. All frames queued in one turn of the loop
  // leave in as few system calls as possible. Never waits: the caller watches queued_bytes().
  // Ignored on a connection that is closed.
  //   head   copied;  body   copied when small, else kept until it is sent
  virtual void Send(std::string_view head, Buffer body) = 0;

  // What was sent before leaves in clear; all else, both ways, is inside TLS and waits for the
  // handshake. Called in OnFrames for the last frame of that call, or later: bytes of the peer that
  // are here already and no handshake end the connection with kUnauthorized. No frame arrives until
  // OnTlsStarted; OnClosed comes when the handshake fails. Once per connection, after Start.
  virtual void StartTls(TlsUpgrade upgrade) = 0;

  // Bytes queued and not yet taken by the operating system.
  virtual size_t queued_bytes() const = 0;

  // While paused nothing is read from the peer, whose own queue then fills: this is the
  // back-pressure. Frames of the block that is being delivered may still arrive once.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;

  // Drops the connection and everything queued. No callback follows. The peer sees OnPeerFinished
  // or OnClosed(kConnectionLost).
  virtual void Close() = 0;

  // Sends what is queued, then closes; later calls of Send are ignored. OnClosed follows: ok when
  // everything was taken by the operating system, which delivers it also to a peer that is sending.
  virtual void CloseAfterSending() = 0;

  // The peer's address, for logs.
  virtual const std::string& peer() const = 0;
};

class AcceptHandler {
 public:
  virtual ~AcceptHandler() = default;
  // Call Start() on it, or drop it to refuse.
  virtual void OnAccept(std::unique_ptr<Connection> connection) = 0;
};

// Destroying it stops listening; accepted connections stay.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Endpoint endpoint() const = 0;  // with the port that was chosen
};

struct TransportLimits {
  // Compared with the frame's length plus its 4 bytes of prefix, as Java's nettyMaxFrameSizeBytes.
  size_t frame_size_max_bytes = 5 * 1024 * 1024;
  // A frame that was begun must be complete after this time.
  absl::Duration frame_deadline = absl::Seconds(30);
};

class Transport {
 public:
  virtual ~Transport() = default;

  // kConnectionLost (refused, unreachable, name unknown) or kDeadline; nothing was sent.
  virtual Task<absl::StatusOr<std::unique_ptr<Connection>>> Connect(Endpoint to,
                                                                    TransportLimits limits,
                                                                    absl::Duration timeout) = 0;

  // `handler` must outlive the listener.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(Endpoint at, TransportLimits limits,
                                                           AcceptHandler* handler) = 0;
};

}  // namespace stele

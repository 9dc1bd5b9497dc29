// What a gRPC endpoint is asked and what it answers, as bytes. Pure: sockets are in
// common/real/grpc_server.h, and a test calls a Handler like any other function.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/seams/clock.h"

namespace stele::rpc {

struct Request {
  std::string method;         // "/package.Service/Method"
  std::string message;        // serialised
  std::string authorization;  // that metadata
  std::string peer;           // address and port, for logs
};

// Who asked, as long as his call is being answered. Lives on the handler's shard.
class Caller {
 public:
  Caller(Executor* executor, Clock* clock) : clock_(clock), changed_(executor) {}
  virtual ~Caller() = default;

  // Sends him one message; completes when he has room for the next. False: he has gone, or his time
  // is over, and nobody wants the rest.
  virtual Task<bool> Send(std::string message) = 0;
  // Waits. False, without waiting longer: as above.
  Task<bool> Pause(absl::Duration duration);

 protected:
  bool is_gone() const { return is_gone_; }
  void SetGone();

 private:
  Clock* const clock_;
  bool is_gone_ = false;
  Notification changed_;
};

enum class Replies {
  kOne,
  kStream,  // any number, over any time
};

struct Method {
  std::string name;
  Replies replies = Replies::kOne;
};

class Handler {
 public:
  virtual ~Handler() = default;
  // What it answers. Does not change once a server has it.
  virtual std::vector<Method> Methods() const = 0;
  // On the handler's shard. What is sent before an error stays sent. Handler and caller outlive the
  // task.
  virtual Task<absl::Status> Answer(Request request, Caller* caller) = 0;
};

}  // namespace stele::rpc

// Router: which function answers which method. Changes pass the guard first and are written to the
// log, those that are refused too.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/observe/log.h"
#include "common/observe/metrics_text.h"
#include "common/rpc/rpc.h"

namespace stele::rpc {

enum class Access {
  kLook,    // whoever reaches the port may
  kChange,  // whoever has the token
};

// The replies to one call, as messages.
template <typename Reply>
class ReplyStream {
 public:
  explicit ReplyStream(Caller* caller) : caller_(caller) {}
  // Caller::Send, Caller::Pause.
  Task<bool> Send(const Reply& reply) { return caller_->Send(reply.SerializeAsString()); }
  Task<bool> Pause(absl::Duration duration) { return caller_->Pause(duration); }

 private:
  Caller* caller_;
};

class Router final : public Handler {
 public:
  template <typename Message, typename Reply>
  using Answerer = absl::AnyInvocable<Task<absl::StatusOr<Reply>>(Message)>;
  template <typename Message, typename Reply>
  using StreamAnswerer = absl::AnyInvocable<Task<absl::Status>(Message, ReplyStream<Reply>)>;

  //   token   as for http::AdmitChange
  Router(std::string token, observe::Log* log) : token_(std::move(token)), log_(log) {}

  // All of these before the first call. `method` is "/package.Service/Method".
  template <typename Message, typename Reply>
  void Add(Access access, std::string method, Answerer<Message, Reply> answerer) {
    AddRoute(std::move(method), access, Replies::kOne,
             [answer = std::make_unique<Answerer<Message, Reply>>(std::move(answerer))](
                 std::string message, Caller* caller) {
               return AnswerOnce<Message, Reply>(answer.get(), std::move(message), caller);
             });
  }
  template <typename Message, typename Reply>
  void AddStream(Access access, std::string method, StreamAnswerer<Message, Reply> answerer) {
    AddRoute(std::move(method), access, Replies::kStream,
             [answer = std::make_unique<StreamAnswerer<Message, Reply>>(std::move(answerer))](
                 std::string message, Caller* caller) {
               return AnswerStream<Message, Reply>(answer.get(), std::move(message), caller);
             });
  }

  // "package.Service" of each method.
  std::set<std::string> Services() const;

  std::vector<Method> Methods() const override;
  Task<absl::Status> Answer(Request request, Caller* caller) override;

  // How many calls ended with which code, under the name and with the labels that gRPC's exporters
  // agree on: grpc_server_handled_total. Each method has its OK from the start.
  void Export(observe::MetricsText& into) const;

 private:
  using Raw = absl::AnyInvocable<Task<absl::Status>(std::string, Caller*)>;
  struct Route {
    Access access;
    Replies replies;
    Raw answer;
    absl::btree_map<absl::StatusCode, int64_t> handled;  // calls that have ended
  };

  template <typename Message, typename Reply>
  static Task<absl::Status> AnswerOnce(Answerer<Message, Reply>* answer, std::string bytes,
                                       Caller* caller) {
    Message message;
    if (!message.ParseFromString(bytes)) co_return NotUnderstood();
    const absl::StatusOr<Reply> reply = co_await (*answer)(std::move(message));
    if (!reply.ok()) co_return reply.status();
    co_await caller->Send(reply->SerializeAsString());
    co_return absl::OkStatus();
  }
  template <typename Message, typename Reply>
  static Task<absl::Status> AnswerStream(StreamAnswerer<Message, Reply>* answer, std::string bytes,
                                         Caller* caller) {
    Message message;
    if (!message.ParseFromString(bytes)) co_return NotUnderstood();
    co_return co_await (*answer)(std::move(message), ReplyStream<Reply>(caller));
  }

  static absl::Status NotUnderstood();
  // Task<> of the function of a method, with the guard and the log before it.
  Task<absl::Status> AnswerKnown(Route* route, Request request, Caller* caller);
  void AddRoute(std::string method, Access access, Replies replies, Raw answer);
  void LogChange(const Request& request, std::string_view outcome);

  const std::string token_;
  observe::Log* const log_;
  absl::btree_map<std::string, Route> routes_;
};

}  // namespace stele::rpc

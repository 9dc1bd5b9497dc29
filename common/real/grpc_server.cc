#include "common/real/grpc_server.h"

#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/service_type.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "common/async/completion.h"
#include "common/async/task_scope.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/mutex.h"
#include "common/real/socket_address.h"
#include "common/real/tcp_listener.h"
#include "common/real/unique_fd.h"

namespace stele::real {
namespace {

using grpc::ByteBuffer;
using grpc::CallbackServerContext;

constexpr size_t kMemoryMaxBytes = 32 << 20;  // for what gRPC reads and sends
constexpr int kThreadsMax = 4;                // for reflection, whose calls have a thread each
constexpr size_t kErrorTextMaxBytes = 1024;   // it travels in a header
constexpr absl::Duration kPingInterval = absl::Seconds(30);
constexpr std::chrono::milliseconds kAcceptRetryDelay(100);  // when descriptors have run out

std::string ToString(const ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

// absl's codes are gRPC's.
grpc::Status ToGrpc(const absl::Status& status) {
  std::string text(status.message());
  text.resize(std::min(text.size(), kErrorTextMaxBytes));
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), text);
}

}  // namespace

// Hands accepted sockets to gRPC, which has no limit of its own on their number. A duplicate of
// each tells when gRPC is done with it: gRPC shuts a socket down before it closes it.
class Acceptor {
 public:
  Acceptor(UniqueFd listening, size_t connections_max,
           std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> to)
      : listening_(std::move(listening)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        connections_max_(connections_max),
        to_(std::move(to)) {
    STELE_CHECK(wake_.IsOpen());
    thread_ = std::thread([this] { Run(); });
  }
  ~Acceptor() {
    stop_ = true;
    STELE_CHECK(eventfd_write(wake_.get(), 1) == 0);
    thread_.join();
  }

 private:
  void Run() {
    while (!stop_) {
      std::vector<pollfd> watched = {{.fd = wake_.get(), .events = POLLIN},
                                     {.fd = listening_.get(), .events = POLLIN}};
      for (const UniqueFd& fd : open_) watched.push_back({.fd = fd.get()});
      if (poll(watched.data(), watched.size(), -1) < 0) continue;
      std::vector<UniqueFd> still_open;
      for (size_t i = 0; i < open_.size(); ++i) {
        if (watched[i + 2].revents == 0) still_open.push_back(std::move(open_[i]));
      }
      open_ = std::move(still_open);
      if (watched[1].revents != 0) Accept();
    }
  }

  void Accept() {
    UniqueFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    UniqueFd duplicate(fd.IsOpen() ? fcntl(fd.get(), F_DUPFD_CLOEXEC, 0) : -1);
    if (!duplicate.IsOpen()) {
      if (errno == EMFILE || errno == ENFILE) std::this_thread::sleep_for(kAcceptRetryDelay);
      return;
    }
    if (open_.size() >= connections_max_) return;
    open_.push_back(std::move(duplicate));
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.listener_fd = listening_.get();
    connection.fd = fd.Release();
    to_->HandleNewConnection(&connection);
  }

  UniqueFd listening_;
  UniqueFd wake_;
  const size_t connections_max_;
  const std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> to_;
  std::vector<UniqueFd> open_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class GrpcServer::Parts {
 public:
  Parts(Endpoint at, GrpcLimits limits, Executor* executor, Clock* clock, rpc::Handler* handler)
      : at_(std::move(at)),
        limits_(limits),
        executor_(executor),
        clock_(clock),
        handler_(handler),
        link_(std::make_shared<Parts*>(this)),
        scope_(std::in_place, executor) {}
  ~Parts();

  absl::Status Start(UniqueFd listening);
  const Endpoint& at() const { return at_; }

 private:
  class Service;
  class Call;
  class ShardCaller;

  // On gRPC's threads.
  grpc::ServerWriteReactor<ByteBuffer>* Receive(const rpc::Method& method,
                                                CallbackServerContext* context,
                                                const ByteBuffer* message);
  bool Admit(Call* call) ABSL_LOCKS_EXCLUDED(mutex_);
  void Forget(Call* call) ABSL_LOCKS_EXCLUDED(mutex_);
  // Runs `job` on the shard, unless the server has gone.
  void PostToShard(absl::AnyInvocable<void(Parts*)> job);
  // On the shard.
  Task<void> Serve(std::shared_ptr<Call> call);

  Endpoint at_;
  const GrpcLimits limits_;
  Executor* const executor_;
  Clock* const clock_;
  rpc::Handler* const handler_;
  std::vector<std::unique_ptr<Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Acceptor> acceptor_;

  Mutex mutex_;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<Call*> calls_ ABSL_GUARDED_BY(mutex_);
  size_t streams_ ABSL_GUARDED_BY(mutex_) = 0;

  // Jobs that are still queued on the shard find it cut. Used there only.
  std::shared_ptr<Parts*> link_;
  std::optional<TaskScope> scope_;
};

// One call, as gRPC sees it. It lives until gRPC is done with it and nobody on the shard has it.
class GrpcServer::Parts::Call final : public grpc::ServerWriteReactor<ByteBuffer>,
                                      public std::enable_shared_from_this<Call> {
 public:
  Call(Parts* server, CallbackServerContext* context, rpc::Replies replies)
      : server_(server), context_(context), replies_(replies) {}

  void Keep() { self_ = shared_from_this(); }
  rpc::Replies replies() const { return replies_; }

  // From any thread, and once in effect.
  void End(const absl::Status& status) {
    if (!has_ended_.exchange(true)) Finish(ToGrpc(status));
  }
  // On the shard; its buffer lives until the write is done.
  void Write(const std::string& message) {
    const grpc::Slice slice(message);
    buffer_ = ByteBuffer(&slice, 1);
    StartWrite(&buffer_);
  }
  void Cancel() { context_->TryCancel(); }

  // On gRPC's threads.
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override {
    server_->Forget(this);
    self_.reset();
  }

  rpc::Request request;           // until it is answered
  ShardCaller* caller = nullptr;  // on the shard; while it is answered

 private:
  Parts* const server_;
  CallbackServerContext* const context_;
  const rpc::Replies replies_;
  std::atomic<bool> has_ended_ = false;
  ByteBuffer buffer_;
  std::shared_ptr<Call> self_;
};

class GrpcServer::Parts::ShardCaller final : public rpc::Caller {
 public:
  ShardCaller(Parts* server, Call* call)
      : Caller(server->executor_, server->clock_), server_(server), call_(call) {
    call_->caller = this;
  }
  ~ShardCaller() override { call_->caller = nullptr; }

  Task<bool> Send(std::string message) override {
    if (is_gone()) co_return false;
    Completion<bool> written(server_->executor_);
    written_.emplace(written.GetCompleter());
    call_->Write(message);
    const std::unique_ptr<Timer> timer = server_->clock_->CallAt(
        server_->clock_->Now() + server_->limits_.deadline, [call = call_] { call->Cancel(); });
    const bool ok = co_await written;
    co_return ok && !is_gone();
  }
  void OnWritten(bool ok) { written_->Set(ok); }
  void OnCancelled() { SetGone(); }

 private:
  Parts* const server_;
  Call* const call_;
  std::optional<Completer<bool>> written_;
};

void GrpcServer::Parts::Call::OnWriteDone(bool ok) {
  server_->PostToShard([call = shared_from_this(), ok](Parts*) {
    if (call->caller != nullptr) call->caller->OnWritten(ok);
  });
}

void GrpcServer::Parts::Call::OnCancel() {
  server_->PostToShard([call = shared_from_this()](Parts*) {
    if (call->caller != nullptr) call->caller->OnCancelled();
  });
}

// The methods of one service, as bytes. To gRPC all of them are streams of replies: what an
// ordinary call gets is one with one message.
class GrpcServer::Parts::Service final : public grpc::Service {
 public:
  Service(Parts* server, std::vector<rpc::Method> methods) : methods_(std::move(methods)) {
    using grpc::internal::CallbackServerStreamingHandler;
    using grpc::internal::RpcMethod;
    using grpc::internal::RpcServiceMethod;
    for (size_t i = 0; i < methods_.size(); ++i) {
      const rpc::Method& method = methods_[i];  // gRPC keeps the pointer to its name
      AddMethod(new RpcServiceMethod(method.name.c_str(), RpcMethod::SERVER_STREAMING, nullptr));
      MarkMethodRawCallback(
          static_cast<int>(i),
          new CallbackServerStreamingHandler<ByteBuffer, ByteBuffer>(
              [server, &method](CallbackServerContext* context, const ByteBuffer* message) {
                return server->Receive(method, context, message);
              }));
    }
  }

 private:
  const std::vector<rpc::Method> methods_;
};

GrpcServer::Parts::~Parts() {
  *link_ = nullptr;
  scope_.reset();  // nobody writes to a call after its end
  acceptor_.reset();
  std::vector<std::shared_ptr<Call>> calls;
  {
    const MutexLock lock(&mutex_);
    is_stopping_ = true;
    for (Call* const call : calls_) calls.push_back(call->shared_from_this());
  }
  for (const auto& call : calls) call->End(absl::UnavailableError("the process is stopping"));
  calls.clear();
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

absl::Status GrpcServer::Parts::Start(UniqueFd listening) {
  at_.port = LocalAddress(listening.get()).port();
  gpr_set_log_function([](gpr_log_func_args*) {});  // strangers would write it
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  const auto milliseconds = [](absl::Duration time) {
    return static_cast<int>(absl::ToInt64Milliseconds(time));
  };
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits_.message_max_bytes));
  // What a few bytes can blow up to is nobody's business here.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits_.calls_per_connection_max);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                             static_cast<int>(limits_.metadata_max_bytes));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             milliseconds(limits_.greeting_max));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, milliseconds(limits_.idle_max));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(kPingInterval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(limits_.deadline));
  builder.SetResourceQuota(
      grpc::ResourceQuota("admin").Resize(kMemoryMaxBytes).SetMaxThreads(kThreadsMax));
  // For reflection alone.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  std::map<std::string, std::vector<rpc::Method>> services;
  for (const rpc::Method& method : handler_->Methods()) {
    services[method.name.substr(0, method.name.rfind('/'))].push_back(method);
  }
  for (auto& [name, methods] : services) {
    services_.push_back(std::make_unique<Service>(this, std::move(methods)));
    builder.RegisterService(services_.back().get());
  }
  using Connections = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  auto acceptor = builder.experimental().AddExternalConnectionAcceptor(
      Connections::FROM_FD, grpc::InsecureServerCredentials());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return MakeError(ErrorCode::kIoError, "gRPC did not start");
  acceptor_ = std::make_unique<Acceptor>(std::move(listening), limits_.connections_max,
                                         std::move(acceptor));
  return absl::OkStatus();
}

grpc::ServerWriteReactor<ByteBuffer>* GrpcServer::Parts::Receive(const rpc::Method& method,
                                                                 CallbackServerContext* context,
                                                                 const ByteBuffer* message) {
  const auto call = std::make_shared<Call>(this, context, method.replies);
  call->Keep();
  if (!Admit(call.get())) {
    call->End(absl::ResourceExhaustedError("too many calls at the same time"));
    return call.get();
  }
  call->request = {.method = method.name, .message = ToString(*message), .peer = context->peer()};
  const auto found = context->client_metadata().find("authorization");
  if (found != context->client_metadata().end()) {
    call->request.authorization.assign(found->second.data(), found->second.size());
  }
  PostToShard([call](Parts* self) { self->scope_->Spawn(self->Serve(call)); });
  return call.get();
}

bool GrpcServer::Parts::Admit(Call* call) {
  const bool is_stream = call->replies() == rpc::Replies::kStream;
  const MutexLock lock(&mutex_);
  if (is_stopping_ || calls_.size() >= limits_.calls_max) return false;
  if (is_stream && streams_ >= limits_.streams_max) return false;
  calls_.insert(call);
  if (is_stream) ++streams_;
  return true;
}

void GrpcServer::Parts::Forget(Call* call) {
  const MutexLock lock(&mutex_);
  if (calls_.erase(call) > 0 && call->replies() == rpc::Replies::kStream) --streams_;
}

void GrpcServer::Parts::PostToShard(absl::AnyInvocable<void(Parts*)> job) {
  executor_->PostFromAnyThread([link = link_, job = std::move(job)]() mutable {
    if (*link != nullptr) job(*link);
  });
}

Task<void> GrpcServer::Parts::Serve(std::shared_ptr<Call> call) {
  ShardCaller caller(this, call.get());
  const absl::Status status = co_await handler_->Answer(std::move(call->request), &caller);
  call->End(status);
}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(Endpoint at, GrpcLimits limits,
                                                              Executor* executor, Clock* clock,
                                                              rpc::Handler* handler) {
  STELE_TRY(UniqueFd listening, OpenListeningSocket(at));
  auto parts = std::make_unique<Parts>(std::move(at), limits, executor, clock, handler);
  STELE_TRY_OK(parts->Start(std::move(listening)));
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(parts)));
}

GrpcServer::GrpcServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
GrpcServer::~GrpcServer() = default;

Endpoint GrpcServer::endpoint() const { return parts_->at(); }

}  // namespace stele::real

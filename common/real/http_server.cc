#include "common/real/http_server.h"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "common/async/task_scope.h"
#include "common/base/try.h"
#include "common/real/socket_address.h"
#include "common/real/tcp_listener.h"

namespace stele::real {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using beast::http::field;
using boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptRetryDelay(100);  // when descriptors have run out
// A refused peer may still be sending: it is heard out so that it can read why, but not for long.
constexpr std::chrono::seconds kLingerMax(1);
constexpr size_t kLingerMaxBytes = 1 << 20;

// The answer to a request that cannot be read; 0: none, the peer is gone or too slow.
int StatusOf(const error_code& why) {
  using beast::http::error;
  if (why == error::header_limit || why == error::buffer_overflow) return 431;
  if (why == error::body_limit) return 413;
  if (why == error::end_of_stream || why == error::partial_message) return 0;
  return why.category() == make_error_code(error::bad_target).category() ? 400 : 0;
}

}  // namespace

class HttpServer::Parts {
 public:
  Parts(Endpoint at, HttpLimits limits, Executor* executor, http::Handler* handler)
      : at_(std::move(at)),
        limits_(limits),
        executor_(executor),
        handler_(handler),
        acceptor_(io_),
        accept_retry_(io_),
        link_(std::make_shared<Parts*>(this)),
        scope_(executor) {}
  ~Parts();

  void Start(UniqueFd listening);
  const Endpoint& at() const { return at_; }

 private:
  class Session;

  // On the server's thread.
  void Accept();
  void OnAccepted(const error_code& error, tcp::socket socket);
  void Ask(uint64_t session, http::Request request);
  void End(uint64_t session) { sessions_.erase(session); }
  // On the shard.
  Task<void> Serve(uint64_t session, http::Request request);

  Endpoint at_;
  const HttpLimits limits_;
  Executor* const executor_;
  http::Handler* const handler_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer accept_retry_;
  std::map<uint64_t, std::shared_ptr<Session>> sessions_;
  uint64_t next_session_ = 0;
  std::thread thread_;
  // Jobs that are still queued on the shard find it cut. Used there only.
  std::shared_ptr<Parts*> link_;
  TaskScope scope_;
};

// One connection: read, ask, write, again. A refused request ends it.
class HttpServer::Parts::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Parts* server, uint64_t number, tcp::socket socket)
      : server_(server),
        number_(number),
        stream_(std::move(socket)),
        buffer_(server->limits_.head_max_bytes + server->limits_.body_max_bytes) {}

  void Read() {
    parser_.emplace();
    parser_->header_limit(server_->limits_.head_max_bytes);
    parser_->body_limit(server_->limits_.body_max_bytes);
    stream_.expires_after(absl::ToChronoNanoseconds(server_->limits_.deadline));
    beast::http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, size_t) { self->OnHead(error); });
  }

  void Respond(http::Response response) {
    const bool more = is_kept_ && ++answered_ < server_->limits_.requests_per_connection_max;
    Write(std::move(response), more);
  }

 private:
  using Message = beast::http::response<beast::http::string_body>;

  void OnHead(const error_code& error) {
    if (error) return Refuse(StatusOf(error));
    // A length can be checked before a byte of the body is taken; chunks cannot, and both at once
    // are a way to smuggle requests.
    if (parser_->chunked()) {
      return Refuse(parser_->get().count(field::content_length) > 0 ? 400 : 411);
    }
    beast::http::async_read(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code read_error, size_t) {
                              self->OnRequest(read_error);
                            });
  }

  void OnRequest(const error_code& error) {
    if (error) return Refuse(StatusOf(error));
    auto& message = parser_->get();
    const std::string_view target(message.target().data(), message.target().size());
    absl::StatusOr<http::Target> parsed = http::ParseTarget(target);
    if (!parsed.ok()) return Refuse(400);
    is_kept_ = message.keep_alive();
    is_head_ = message.method() == beast::http::verb::head;
    http_version_ = message.version();
    http::Request request{.method = std::string(message.method_string()),
                          .target = *std::move(parsed),
                          .body = std::move(message.body()),
                          .authorization = std::string(message[field::authorization]),
                          .has_origin = message.count(field::origin) > 0};
    error_code unknown;
    const tcp::endpoint peer = stream_.socket().remote_endpoint(unknown);
    if (!unknown) request.peer = peer.address().to_string() + ":" + std::to_string(peer.port());
    parser_.reset();
    server_->Ask(number_, std::move(request));
  }

  void Refuse(int status) {
    if (status == 0) return server_->End(number_);
    const std::string_view reason(beast::http::obsolete_reason(beast::http::int_to_status(status)));
    Write(http::Text(status, reason), false);
  }

  void Write(http::Response response, bool more) {
    message_.emplace();
    message_->version(http_version_);
    message_->result(static_cast<unsigned>(response.status));
    message_->set(field::content_type, response.content_type);
    message_->set(field::cache_control, "no-store");
    message_->set("X-Content-Type-Options", "nosniff");
    if (!response.allow.empty()) message_->set(field::allow, response.allow);
    if (!response.content_security_policy.empty()) {
      message_->set("Content-Security-Policy", response.content_security_policy);
      message_->set("Referrer-Policy", "no-referrer");
    }
    message_->keep_alive(more);
    message_->body() = is_head_ ? std::string() : std::move(response.body);
    message_->prepare_payload();
    stream_.expires_after(absl::ToChronoNanoseconds(server_->limits_.deadline));
    beast::http::async_write(stream_, *message_,
                             [self = shared_from_this(), more](error_code error, size_t) {
                               self->OnWritten(error, more);
                             });
  }

  void OnWritten(const error_code& error, bool more) {
    message_.reset();
    if (error) return server_->End(number_);
    if (more) return Read();
    error_code failed;
    if (stream_.socket().shutdown(tcp::socket::shutdown_send, failed)) return server_->End(number_);
    stream_.expires_after(kLingerMax);
    HearOut();
  }

  void HearOut() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(server_->limits_.head_max_bytes),
                            [self = shared_from_this()](error_code error, size_t size) {
                              self->heard_out_bytes_ += size;
                              if (error || self->heard_out_bytes_ > kLingerMaxBytes) {
                                return self->server_->End(self->number_);
                              }
                              self->HearOut();
                            });
  }

  Parts* const server_;
  const uint64_t number_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<beast::http::request_parser<beast::http::string_body>> parser_;
  std::optional<Message> message_;
  unsigned http_version_ = 11;
  bool is_kept_ = false;
  bool is_head_ = false;
  int answered_ = 0;
  size_t heard_out_bytes_ = 0;
};

HttpServer::Parts::~Parts() {
  *link_ = nullptr;
  io_.stop();
  if (thread_.joinable()) thread_.join();
}

void HttpServer::Parts::Start(UniqueFd listening) {
  const SocketAddress bound = LocalAddress(listening.get());
  at_.port = bound.port();
  acceptor_.assign(bound.storage.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(),
                   listening.Release());
  Accept();
  thread_ = std::thread([this] { io_.run(); });
}

void HttpServer::Parts::Accept() {
  acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
    OnAccepted(error, std::move(socket));
  });
}

void HttpServer::Parts::OnAccepted(const error_code& error, tcp::socket socket) {
  if (error) {
    accept_retry_.expires_after(kAcceptRetryDelay);
    accept_retry_.async_wait([this](const error_code&) { Accept(); });
    return;
  }
  if (sessions_.size() < limits_.connections_max) {
    const uint64_t number = next_session_++;
    const auto session = std::make_shared<Session>(this, number, std::move(socket));
    sessions_.emplace(number, session);
    session->Read();
  }
  Accept();
}

void HttpServer::Parts::Ask(uint64_t session, http::Request request) {
  executor_->PostFromAnyThread([link = link_, session, request = std::move(request)]() mutable {
    Parts* const self = *link;
    if (self != nullptr) self->scope_.Spawn(self->Serve(session, std::move(request)));
  });
}

Task<void> HttpServer::Parts::Serve(uint64_t session, http::Request request) {
  http::Response response = co_await handler_->Answer(std::move(request));
  asio::post(io_, [this, session, response = std::move(response)]() mutable {
    const auto found = sessions_.find(session);
    if (found != sessions_.end()) found->second->Respond(std::move(response));
  });
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(Endpoint at, HttpLimits limits,
                                                              Executor* executor,
                                                              http::Handler* handler) {
  STELE_TRY(UniqueFd listening, OpenListeningSocket(at));
  auto parts = std::make_unique<Parts>(std::move(at), limits, executor, handler);
  parts->Start(std::move(listening));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
}

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
HttpServer::~HttpServer() = default;

Endpoint HttpServer::endpoint() const { return parts_->at(); }

}  // namespace stele::real

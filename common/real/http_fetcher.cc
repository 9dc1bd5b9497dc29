#include "common/real/http_fetcher.h"

#include <map>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::real {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using Result = absl::StatusOr<std::string>;

ErrorCode CodeOfFailure(const error_code& why) {
  using beast::http::error;
  if (why == error::body_limit || why == error::header_limit || why == error::buffer_overflow) {
    return ErrorCode::kOverloaded;
  }
  if (why == error::end_of_stream || why == error::partial_message) {
    return ErrorCode::kConnectionLost;
  }
  return why.category() == make_error_code(error::bad_target).category()
             ? ErrorCode::kCorruptData
             : ErrorCode::kConnectionLost;
}

}  // namespace

class RealHttpFetcher::Parts {
 public:
  Parts(Executor* executor, FetchLimits limits)
      : executor_(executor),
        limits_(limits),
        work_(asio::make_work_guard(io_)),
        link_(std::make_shared<Parts*>(this)),
        thread_([this] { io_.run(); }) {}
  ~Parts() {
    *link_ = nullptr;
    io_.stop();
    thread_.join();
  }

  struct Request {
    beast::http::verb method;
    std::string path;
    std::string body;
    std::string authorization;  // that header; empty: none
  };
  Task<Result> Ask(Endpoint whom, Request request);

 private:
  class Exchange;

  // On the fetcher's thread.
  void Report(uint64_t number, Result result) {
    executor_->PostFromAnyThread([link = link_, number, result = std::move(result)]() mutable {
      if (*link != nullptr) (*link)->Settle(number, std::move(result));
    });
  }
  // On the shard.
  void Settle(uint64_t number, Result result) {
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return;
    Completer<Result> waiter = std::move(found->second);
    waiting_.erase(found);
    waiter.Set(std::move(result));
  }

  Executor* const executor_;
  const FetchLimits limits_;
  std::map<uint64_t, Completer<Result>> waiting_;  // the shard's
  uint64_t next_ = 0;                              // the shard's
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  // Jobs that are still queued on the shard find it cut. Used there only.
  std::shared_ptr<Parts*> link_;
  std::thread thread_;
};

// One request: look up, connect, write, read. The first end that is reported counts.
class RealHttpFetcher::Parts::Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Parts* fetcher, uint64_t number, Endpoint whom, Request asked)
      : fetcher_(fetcher),
        number_(number),
        whom_(std::move(whom)),
        asked_(std::move(asked)),
        resolver_(fetcher->io_),
        stream_(fetcher->io_),
        timer_(fetcher->io_),
        buffer_(fetcher->limits_.head_max_bytes + (64u << 10)) {}

  void Start() {
    timer_.expires_after(absl::ToChronoNanoseconds(fetcher_->limits_.deadline));
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error) return;
      self->End(MakeError(ErrorCode::kDeadline, "no answer in time"));
    });
    resolver_.async_resolve(
        whom_.host, StrCat(whom_.port), tcp::resolver::numeric_service,
        [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
          if (error) return self->Fail(error);
          self->Connect(found);
        });
  }

 private:
  void Connect(const tcp::resolver::results_type& found) {
    stream_.async_connect(found,
                          [self = shared_from_this()](error_code error, const tcp::endpoint&) {
                            if (error) return self->Fail(error);
                            self->Write();
                          });
  }
  void Write() {
    request_.method(asked_.method);
    request_.target(asked_.path);
    request_.version(11);
    request_.set(beast::http::field::host, StrCat(whom_.host, ":", whom_.port));
    if (!asked_.authorization.empty()) {
      request_.set(beast::http::field::authorization, asked_.authorization);
    }
    request_.body() = asked_.body;
    request_.prepare_payload();
    request_.keep_alive(false);
    beast::http::async_write(stream_, request_,
                             [self = shared_from_this()](error_code error, size_t) {
                               if (error) return self->Fail(error);
                               self->Read();
                             });
  }
  void Read() {
    parser_.header_limit(fetcher_->limits_.head_max_bytes);
    parser_.body_limit(fetcher_->limits_.body_max_bytes);
    beast::http::async_read(stream_, buffer_, parser_,
                            [self = shared_from_this()](error_code error, size_t) {
                              if (error) return self->Fail(error);
                              self->OnAnswer();
                            });
  }
  void OnAnswer() {
    if (parser_.get().result_int() != 200) {
      return End(MakeError(ErrorCode::kReadFailed,
                           StrCat(asked_.path, " is answered by ", parser_.get().result_int())));
    }
    End(std::move(parser_.get().body()));
  }
  void Fail(const error_code& why) { End(MakeError(CodeOfFailure(why), why.message())); }
  void End(Result result) {
    if (std::exchange(has_ended_, true)) return;
    timer_.cancel();
    resolver_.cancel();
    stream_.close();
    fetcher_->Report(number_, std::move(result));
  }

  Parts* const fetcher_;
  const uint64_t number_;
  const Endpoint whom_;
  const Request asked_;
  tcp::resolver resolver_;
  beast::tcp_stream stream_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_;
  beast::http::request<beast::http::string_body> request_;
  beast::http::response_parser<beast::http::string_body> parser_;
  bool has_ended_ = false;
};

Task<Result> RealHttpFetcher::Parts::Ask(Endpoint whom, Request request) {
  Completion<Result> answered(executor_);
  const uint64_t number = next_++;
  waiting_.emplace(number, answered.GetCompleter());
  asio::post(io_, [this, number, whom = std::move(whom), request = std::move(request)]() mutable {
    std::make_shared<Exchange>(this, number, std::move(whom), std::move(request))->Start();
  });
  co_return co_await answered;
}

RealHttpFetcher::RealHttpFetcher(Executor* executor, FetchLimits limits)
    : parts_(std::make_unique<Parts>(executor, limits)) {}
RealHttpFetcher::~RealHttpFetcher() = default;

Task<absl::StatusOr<std::string>> RealHttpFetcher::Get(Endpoint from, std::string path) {
  return parts_->Ask(std::move(from), {.method = beast::http::verb::get, .path = std::move(path)});
}

Task<absl::StatusOr<std::string>> RealHttpFetcher::Put(Endpoint to, std::string path,
                                                       std::string body, std::string token) {
  return parts_->Ask(std::move(to), {.method = beast::http::verb::put,
                                     .path = std::move(path),
                                     .body = std::move(body),
                                     .authorization = StrCat("Bearer ", token)});
}

}  // namespace stele::real

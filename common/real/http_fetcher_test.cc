#include "common/real/http_fetcher.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/http_server.h"
#include "common/real/shard.h"

namespace stele::real {
namespace {

// Answers by the path that it is asked for.
class PathHandler final : public http::Handler {
 public:
  explicit PathHandler(Executor* executor) : never_(executor) {}
  Task<http::Response> Answer(http::Request request) override {
    if (request.target.path == "/never") co_await never_;
    if (request.target.path == "/long") co_return http::Text(200, std::string(5'000, 'x'));
    if (request.method == "PUT") {
      co_return http::Text(200, StrCat(request.authorization, ": ", request.body));
    }
    if (request.target.path == "/metrics") co_return http::Text(200, "a 1");
    co_return http::Text(404, "no such path");
  }

 private:
  Completion<bool> never_;
};

class HttpFetcherTest : public testing::Test {
 protected:
  HttpFetcherTest() : handler_(shard_.executor()) {
    server_ = *HttpServer::Start({"127.0.0.1", 0}, {}, shard_.executor(), &handler_);
    fetcher_ = std::make_unique<RealHttpFetcher>(
        shard_.executor(),
        FetchLimits{.deadline = absl::Milliseconds(500), .body_max_bytes = 4'000});
  }
  absl::StatusOr<std::string> Get(std::string path) {
    return shard_.RunUntil(fetcher_->Get(server_->endpoint(), std::move(path)));
  }
  ErrorCode CodeOfGet(std::string path) { return CodeOf(Get(std::move(path)).status()); }

  Shard shard_;
  PathHandler handler_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<RealHttpFetcher> fetcher_;
};

TEST_F(HttpFetcherTest, TheBodyOfAnAnswer) { EXPECT_EQ(*Get("/metrics"), "a 1\n"); }

TEST_F(HttpFetcherTest, AChangeCarriesTheToken) {
  const auto answer =
      shard_.RunUntil(fetcher_->Put(server_->endpoint(), "/change", "{\"a\": 1}", "secret"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, "Bearer secret: {\"a\": 1}\n");
}

TEST_F(HttpFetcherTest, WhatIsNoAnswerHasACodeAndAnEnd) {
  EXPECT_EQ(CodeOfGet("/nowhere"), ErrorCode::kReadFailed);
  EXPECT_EQ(CodeOfGet("/long"), ErrorCode::kOverloaded);
  EXPECT_EQ(CodeOfGet("/never"), ErrorCode::kDeadline);
  EXPECT_EQ(*Get("/metrics"), "a 1\n");
  server_.reset();  // with the answer that it was making
}

TEST_F(HttpFetcherTest, NobodyThere) {
  const Endpoint at = server_->endpoint();
  server_.reset();
  EXPECT_EQ(CodeOf(shard_.RunUntil(fetcher_->Get(at, "/")).status()), ErrorCode::kConnectionLost);
}

TEST_F(HttpFetcherTest, ItMayEndWhileItIsAsked) {
  TaskScope scope(shard_.executor());
  scope.Spawn([](HttpFetcher* fetcher, Endpoint at) -> Task<void> {
    (co_await fetcher->Get(at, "/never")).IgnoreError();
  }(fetcher_.get(), server_->endpoint()));
}

}  // namespace
}  // namespace stele::real

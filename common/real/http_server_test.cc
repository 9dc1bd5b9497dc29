#include "common/real/http_server.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "common/async/completion.h"
#include "common/base/strings.h"
#include "common/real/raw_peer.h"
#include "common/real/shard.h"

namespace stele::real {
namespace {

// Says what it was asked.
class EchoHandler final : public http::Handler {
 public:
  Task<http::Response> Answer(http::Request request) override {
    std::string line = StrCat(request.method, " ", request.target.path);
    for (const auto& [name, value] : request.target.query) line += StrCat(" ", name, "=", value);
    if (!request.body.empty()) line += StrCat(" body ", request.body.size());
    if (!request.authorization.empty()) line += StrCat(" as ", request.authorization);
    if (request.has_origin) line += " origin";
    co_return http::Text(200, line);
  }
};

class HttpServerTest : public testing::Test {
 protected:
  void Serve(HttpLimits limits = {}) {
    auto server = HttpServer::Start({"127.0.0.1", 0}, limits, shard_.executor(), &handler_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    shard_.Start();
  }
  ~HttpServerTest() override { shard_.Stop(); }

  Endpoint at() const { return server_->endpoint(); }
  // All that comes until the server closes.
  std::string Exchange(std::string_view bytes) {
    RawPeer peer(at());
    peer.Send(bytes);
    return peer.ReceiveAll();
  }
  static std::string StatusLineOf(const std::string& answer) {
    return answer.substr(0, answer.find("\r\n"));
  }

  Shard shard_;
  EchoHandler handler_;
  std::unique_ptr<HttpServer> server_;
};

constexpr std::string_view kLast = "Connection: close\r\n\r\n";

TEST_F(HttpServerTest, AHandlerSeesTheDecodedRequest) {
  Serve();
  const std::string answer = Exchange(
      StrCat("PUT /a%20b?x=1&y=%26&z HTTP/1.1\r\nAuthorization: Bearer t\r\nOrigin: http://e\r\n"
             "Content-Length: 3\r\n",
             kLast, "abc"));
  EXPECT_EQ(StatusLineOf(answer), "HTTP/1.1 200 OK");
  EXPECT_TRUE(answer.ends_with("\r\n\r\nPUT /a b x=1 y=& z= body 3 as Bearer t origin\n"))
      << answer;
}

TEST_F(HttpServerTest, RequestsOfOneConnectionAreAnsweredInOrder) {
  Serve();
  const std::string answer =
      Exchange(StrCat("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n", kLast));
  const size_t one = answer.find("GET /1\n");
  const size_t two = answer.find("GET /2\n");
  const size_t three = answer.find("GET /3\n");
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
  EXPECT_NE(three, std::string::npos);
}

TEST_F(HttpServerTest, HeadersAndBodiesAreBounded) {
  Serve();
  const std::string head = "GET / HTTP/1.1\r\nX: ";
  const std::string end = StrCat("\r\n", kLast);
  EXPECT_EQ(StatusLineOf(Exchange(StrCat(head, std::string(15'000, 'x'), end))), "HTTP/1.1 200 OK");
  EXPECT_EQ(StatusLineOf(Exchange(StrCat(head, std::string(16'385, 'x'), end))),
            "HTTP/1.1 431 Request Header Fields Too Large");
  const auto put = [](size_t size) {
    return StrCat("PUT / HTTP/1.1\r\nContent-Length: ", size, "\r\n", kLast,
                  std::string(size, 'b'));
  };
  EXPECT_EQ(StatusLineOf(Exchange(put(65'536))), "HTTP/1.1 200 OK");
  EXPECT_EQ(StatusLineOf(Exchange(put(65'537))), "HTTP/1.1 413 Payload Too Large");
  EXPECT_EQ(
      StatusLineOf(Exchange("PUT / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n")),
      "HTTP/1.1 413 Payload Too Large");
}

TEST_F(HttpServerTest, WhatIsNotHttpIsRefusedAndTheConnectionEnds) {
  Serve();
  for (const std::string_view bytes : {
           std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
           std::string_view("garbage\r\n\r\n"),
           std::string_view("GET /a\0b HTTP/1.1\r\n\r\n", 21),
           std::string_view("GET /%00 HTTP/1.1\r\n\r\n"),
           std::string_view("GET /%zz HTTP/1.1\r\n\r\n"),
           std::string_view("GET /%4 HTTP/1.1\r\n\r\n"),
           std::string_view("GET /?a=1&a=2 HTTP/1.1\r\n\r\n"),
           std::string_view("GET relative HTTP/1.1\r\n\r\n"),
           std::string_view("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
           std::string_view("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
           std::string_view(
               "PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
               "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
           std::string_view(
               "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
               "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
           std::string_view("GET / HTTP/1.1\r\nbroken header\r\n\r\n"),
           std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
       }) {
    const std::string answer = Exchange(bytes);
    EXPECT_EQ(StatusLineOf(answer), "HTTP/1.1 400 Bad Request") << bytes;
    EXPECT_EQ(answer.find("smuggled"), std::string::npos) << bytes;
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << bytes;
  }
}

TEST_F(HttpServerTest, ChunkedBodiesAreRefused) {
  Serve();
  EXPECT_EQ(
      StatusLineOf(Exchange("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")),
      "HTTP/1.1 411 Length Required");
}

TEST_F(HttpServerTest, GarbageBehindARequestEndsTheConnectionAfterItsAnswer) {
  Serve();
  const std::string answer = Exchange("GET /ok HTTP/1.1\r\n\r\n\x01\x02\x03 nonsense\r\n\r\n");
  EXPECT_NE(answer.find("GET /ok\n"), std::string::npos);
  EXPECT_NE(answer.find("400 Bad Request"), std::string::npos);
}

TEST_F(HttpServerTest, APeerThatHasFinishedStillGetsItsAnswer) {
  Serve();
  RawPeer peer(at());
  peer.Send("GET /half HTTP/1.1\r\n\r\n");
  peer.Finish();
  EXPECT_TRUE(peer.ReceiveAll().ends_with("GET /half\n"));
}

TEST_F(HttpServerTest, ARequestThatDoesNotComeWholeIsGivenUp) {
  Serve({.deadline = absl::Milliseconds(50)});
  RawPeer silent(at());
  RawPeer slow_head(at());
  slow_head.Send("GET / HTTP/1.1\r\nX: ");
  RawPeer slow_body(at());
  slow_body.Send("PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(silent.ReceiveAll(), "");
  EXPECT_EQ(slow_head.ReceiveAll(), "");
  EXPECT_EQ(slow_body.ReceiveAll(), "");
}

TEST_F(HttpServerTest, ConnectionsAreBoundedAndTheirPlacesComeBack) {
  Serve({.connections_max = 2});
  auto first = std::make_unique<RawPeer>(at());
  first->Send("GET /1 HTTP/1.1\r\n\r\n");
  EXPECT_NE(first->Receive(15).size(), 0u);
  RawPeer second(at());
  second.Send("GET /2 HTTP/1.1\r\n\r\n");
  EXPECT_NE(second.Receive(15).size(), 0u);
  RawPeer third(at());
  third.Send("GET /3 HTTP/1.1\r\n\r\n");
  EXPECT_EQ(third.ReceiveAll(), "");
  first->Finish();
  first->ReceiveAll();  // ends when the server has let it go
  const std::string answer = Exchange(StrCat("GET /4 HTTP/1.1\r\n", kLast));
  EXPECT_TRUE(answer.ends_with("GET /4\n")) << answer;
}

TEST_F(HttpServerTest, ABusyPortIsAnError) {
  Serve();
  const auto second = HttpServer::Start(at(), {}, shard_.executor(), &handler_);
  EXPECT_FALSE(second.ok());
}

// Waits for ever.
class SilentHandler final : public http::Handler {
 public:
  explicit SilentHandler(Executor* executor) : never_(executor) {}
  Task<http::Response> Answer(http::Request) override {
    co_await never_;
    co_return http::Text(200, "never");
  }

 private:
  Completion<bool> never_;
};

TEST(HttpServerStopTest, AnswersThatAreBeingMadeEndWithTheServer) {
  Shard shard;
  SilentHandler handler(shard.executor());
  auto server = HttpServer::Start({"127.0.0.1", 0}, {}, shard.executor(), &handler);
  ASSERT_TRUE(server.ok());
  shard.Start();
  RawPeer peer((*server)->endpoint());
  peer.Send("GET / HTTP/1.1\r\n\r\n");
  shard.Stop();
  server->reset();
  EXPECT_EQ(peer.ReceiveAll(), "");
}

}  // namespace
}  // namespace stele::real

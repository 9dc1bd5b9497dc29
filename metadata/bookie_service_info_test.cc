#include "metadata/bookie_service_info.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::metadata {
namespace {

// What a stock bookie of Apache BookKeeper 4.17 registers.
const BookieServiceInfo kStock = {
    .endpoints = {
        {.id = "bookie", .port = 3181, .host = "10.0.0.1", .protocol = "bookie-rpc"},
        {.id = "httpserver", .port = 8080, .host = "0.0.0.0", .protocol = "http"},
    }};

std::string StockBytes() {
  return StrCat("\x32\x21\x0a\x06", "bookie", "\x10\xed\x18\x1a\x08", "10.0.0.1", "\x22\x0a",
                "bookie-rpc", "\x32\x1e\x0a\x0a", "httpserver", "\x10\x90\x3f\x1a\x07", "0.0.0.0",
                "\x22\x04", "http");
}

TEST(BookieServiceInfoTest, WorkedBytesOfAStockBookie) {
  EXPECT_EQ(StockBytes().size(), 67u);
  EXPECT_EQ(SerializeBookieServiceInfo(kStock), StockBytes());
  EXPECT_EQ(*ParseBookieServiceInfo(BookieId("any"), StockBytes()), kStock);
  EXPECT_EQ(*BookieEndpointOf(BookieId("any"), StockBytes()), (Endpoint{"10.0.0.1", 3181}));
}

TEST(BookieServiceInfoTest, AllFieldsSurviveInAFixedOrder) {
  BookieServiceInfo info = kStock;
  info.endpoints[0].extensions = {"tls"};
  info.endpoints[0].auth = {"sasl", "token"};
  for (int i = 0; i < 20; ++i) info.properties[StrCat("key", i)] = StrCat("value", i);
  const std::string bytes = SerializeBookieServiceInfo(info);
  EXPECT_EQ(*ParseBookieServiceInfo(BookieId("any"), bytes), info);
  EXPECT_LT(bytes.find("key11"), bytes.find("key12"));
  EXPECT_EQ(SerializeBookieServiceInfo(info), bytes);
}

TEST(BookieServiceInfoTest, WhereItsAdminPortIsReached) {
  EXPECT_EQ(*AdminEndpointOf(BookieId("any"), StockBytes()), (Endpoint{"10.0.0.1", 8080}));
  const auto code_of = [](const BookieServiceInfo& info) {
    return CodeOf(AdminEndpointOf(BookieId("any"), SerializeBookieServiceInfo(info)).status());
  };
  BookieServiceInfo info = kStock;
  info.endpoints[1].host = "10.9.9.9";
  EXPECT_EQ(*AdminEndpointOf(BookieId("any"), SerializeBookieServiceInfo(info)),
            (Endpoint{"10.9.9.9", 8080}));
  info.endpoints[1].host = "127.0.0.1";  // that of the bookie, not ours
  EXPECT_EQ(code_of(info), ErrorCode::kUnsupported);
  info.endpoints[0].host = "127.0.0.1";
  EXPECT_EQ(*AdminEndpointOf(BookieId("any"), SerializeBookieServiceInfo(info)),
            (Endpoint{"127.0.0.1", 8080}));
  info.endpoints.pop_back();
  EXPECT_EQ(code_of(info), ErrorCode::kNoSuchKey);
}

TEST(BookieServiceInfoTest, NoBytesAreALegacyRegistration) {
  const auto info = ParseBookieServiceInfo(BookieId("host.example:3181"), "");
  ASSERT_TRUE(info.ok());
  ASSERT_EQ(info->endpoints.size(), 1u);
  EXPECT_EQ(info->endpoints[0].id, "host.example:3181");
  EXPECT_EQ(info->endpoints[0].protocol, "bookie-rpc");
  EXPECT_EQ(*BookieEndpointOf(BookieId("host.example:3181"), ""), (Endpoint{"host.example", 3181}));
  for (const char* id :
       {"bookie-1", ":3181", "host:", "host:0", "host:65536", "host:x", "::1:3181"}) {
    EXPECT_EQ(CodeOf(BookieEndpointOf(BookieId(id), "").status()), ErrorCode::kCorruptData) << id;
  }
}

TEST(BookieServiceInfoTest, DamagedRegistrationsAreCorruptData) {
  const BookieId bookie("host:1");
  const std::string stock = StockBytes();
  for (size_t size = 1; size < stock.size(); ++size) {
    if (size == 35) continue;  // the end of the first endpoint
    EXPECT_EQ(CodeOf(ParseBookieServiceInfo(bookie, stock.substr(0, size)).status()),
              ErrorCode::kCorruptData)
        << size;
  }
  EXPECT_EQ(CodeOf(ParseBookieServiceInfo(bookie, std::string(1 << 20, '\x32')).status()),
            ErrorCode::kCorruptData);
  // Readable, but not to be connected to.
  BookieServiceInfo info = kStock;
  info.endpoints[0].port = 0;
  EXPECT_EQ(CodeOf(BookieEndpointOf(bookie, SerializeBookieServiceInfo(info)).status()),
            ErrorCode::kCorruptData);
}

}  // namespace
}  // namespace stele::metadata

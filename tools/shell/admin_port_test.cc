#include "tools/shell/admin_port.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::shell {
namespace {

absl::Status StatusOf(const std::string& address, const std::string& token_path,
                      bool tls_is_required) {
  return PortOfFlag("--grpc", address, token_path, tls_is_required).status();
}

TEST(PortOfFlagTest, AnAddressIsAHostAndAPort) {
  const auto port = PortOfFlag("--grpc", "10.0.0.7:8082", "/token", false);
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_TRUE(port->is_on);
  EXPECT_EQ(port->at.host, "10.0.0.7");
  EXPECT_EQ(port->at.port, 8082);
  EXPECT_EQ(port->token_path, "/token");
  EXPECT_FALSE(PortOfFlag("--grpc", "", "/token", true)->is_on);
  for (const char* wrong : {"nowhere", "host:", "host:1x", "host:-1", "host:65536"}) {
    EXPECT_EQ(CodeOf(StatusOf(wrong, "", false)), ErrorCode::kConfig) << wrong;
  }
}

// The same as of a bookie (bookie_config_test).
TEST(PortOfFlagTest, WhereTlsIsRequiredNoTokenIsSentInClear) {
  EXPECT_EQ(StatusOf("0.0.0.0:8082", "/token", true).message(),
            "--grpc-token-file: there is no TLS on this port, and stele.tlsRequired is on: listen "
            "at 127.0.0.1, with a proxy in front, or leave it out");
  EXPECT_TRUE(StatusOf("0.0.0.0:8082", "/token", false).ok());
  EXPECT_TRUE(StatusOf("0.0.0.0:8082", "", true).ok());
  EXPECT_TRUE(StatusOf("127.0.0.1:8082", "/token", true).ok());
}

}  // namespace
}  // namespace stele::shell

#include "integration_tests/zookeeper_server.h"

#include <gtest/gtest.h>

namespace stele::integration {
namespace {

TEST(ZooKeeperServerTest, ServesDiesAndComesBackOnItsPort) {
  ZooKeeperServer server;
  EXPECT_NE(server.Ask("srvr").find("Mode: standalone"), std::string::npos);
  server.Kill();
  EXPECT_EQ(server.Ask("srvr"), "");
  server.Restart();
  EXPECT_NE(server.Ask("srvr").find("Mode: standalone"), std::string::npos);
}

}  // namespace
}  // namespace stele::integration

#include "tools/shell/host_address.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::shell {
namespace {

TEST(HostAddressTest, AnInterfaceGivesItsAddress) {
  const auto found = FindHostAddress({.interface = "lo"});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->ip, "127.0.0.1");
  EXPECT_EQ(found->host, "127.0.0.1");
  EXPECT_TRUE(found->is_loopback);
}

TEST(HostAddressTest, AnInterfaceThatIsMissingIsNamed) {
  const auto found = FindHostAddress({.interface = "eth99"});
  EXPECT_EQ(CodeOf(found.status()), ErrorCode::kConfig);
  EXPECT_NE(found.status().message().find("eth99"), std::string::npos);
}

TEST(HostAddressTest, AShortNameHasNoDomain) {
  const auto found =
      FindHostAddress({.interface = "lo", .use_host_name = true, .use_short_name = true});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->host.find('.'), std::string::npos) << found->host;
  EXPECT_FALSE(found->host.empty());
}

}  // namespace
}  // namespace stele::shell

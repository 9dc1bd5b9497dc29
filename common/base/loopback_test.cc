#include "common/base/loopback.h"

#include <gtest/gtest.h>

namespace stele {
namespace {

TEST(LoopbackTest, NamesAndAddressesOfTheOwnMachine) {
  for (const char* host : {"localhost", "::1", "127.0.0.1", "127.0.0.2", "127.255.255.254"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
}

TEST(LoopbackTest, OthersAreNot) {
  for (const char* host : {"", "0.0.0.0", "::", "10.0.0.127", "1270.0.0.1", "127.example.org",
                           "localhost.example.org"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

}  // namespace
}  // namespace stele

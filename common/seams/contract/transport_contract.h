// The contract of Transport and Connection (common/seams/transport.h) as a test suite.
#pragma once

#include <gtest/gtest.h>

#include "common/seams/contract/transport_world.h"

namespace stele {

// INSTANTIATE_TEST_SUITE_P(Simulated, TransportContract, testing::Values(...), SeamWorldName());
class TransportContract : public testing::TestWithParam<TransportWorldKind> {
 protected:
  // One scenario: a plain coroutine function.
  using Body = Task<void> (*)(TransportWorld* world);
  void Run(Body body);
};

}  // namespace stele

// The contract of Executor, Clock and Random as a test suite.
#pragma once

#include <gtest/gtest.h>

#include "common/seams/contract/seam_world.h"

namespace stele {

// INSTANTIATE_TEST_SUITE_P(Simulated, ExecutorContract, testing::Values(...), SeamWorldName());
class ExecutorContract : public testing::TestWithParam<SeamWorldKind> {
 protected:
  // One scenario: a plain coroutine function.
  using Body = Task<void> (*)(Env env);
  void Run(Body body);
};

}  // namespace stele

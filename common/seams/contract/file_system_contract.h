// The contract of FileSystem and File (common/seams/file_system.h) as a test suite.
#pragma once

#include <gtest/gtest.h>

#include "common/seams/contract/seam_world.h"

namespace stele {

// INSTANTIATE_TEST_SUITE_P(Simulated, FileSystemContract, testing::Values(...), SeamWorldName());
class FileSystemContract : public testing::TestWithParam<SeamWorldKind> {
 protected:
  // One scenario: a plain coroutine function. `directory` is the world's scratch directory.
  using Body = Task<void> (*)(Env env, std::string directory);
  void Run(Body body);
};

}  // namespace stele

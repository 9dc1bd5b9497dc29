// The contract of MetadataStore (metadata/metadata_store.h) as a test suite.
#pragma once

#include <gtest/gtest.h>

#include "metadata/contract/metadata_world.h"

namespace stele::metadata {

// INSTANTIATE_TEST_SUITE_P(Sqlite, MetadataStoreContract, testing::Values(...),
//                          MetadataWorldName());
class MetadataStoreContract : public testing::TestWithParam<MetadataWorldKind> {
 protected:
  // One scenario: a plain coroutine function.
  using Body = Task<void> (*)(MetadataWorld* world);
  void Run(Body body);
};

}  // namespace stele::metadata

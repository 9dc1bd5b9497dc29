#include "bookie/server/bad_input.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_world.h"

namespace stele::bookie {
namespace {

TEST(BadInputTest, AFloodIsCountedAndLoggedOnceAMinutePerReason) {
  simulation::World world({.seed = 1});
  simulation::SimProcess* process = world.AddProcess(world.AddMachine("bookie"), "bookie");
  MemoryLog log;
  BadInput bad_input(process->clock(), &log);
  for (int i = 0; i < 1'000; ++i) bad_input.Count("frame_length", "10.0.0.1:7");
  bad_input.Count("ids_differ", "10.0.0.2:7");
  EXPECT_EQ(log.lines(),
            (std::vector<std::string>{"bad input reason=frame_length peer=10.0.0.1:7 count=1",
                                      "bad input reason=ids_differ peer=10.0.0.2:7 count=1"}));
  ASSERT_TRUE(world.scheduler().RunFor(BadInput::kLogInterval).ok());
  bad_input.Count("frame_length", "10.0.0.3:7");
  bad_input.Count("frame_length", "10.0.0.3:7");
  EXPECT_EQ(log.lines().back(), "bad input reason=frame_length peer=10.0.0.3:7 count=1001");
  bad_input.LogTotals();
  EXPECT_EQ(log.lines().at(3), "bad input in all reason=frame_length count=1002");
  EXPECT_EQ(log.lines().at(4), "bad input in all reason=ids_differ count=1");
}

}  // namespace
}  // namespace stele::bookie

#include "common/real/blocking_pool.h"

#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace stele::real {
namespace {

TEST(BlockingPoolTest, OneThreadRunsCallsInOrder) {
  std::vector<int> ran;
  std::vector<int> expected;
  BlockingPool pool(1);
  for (int i = 0; i < 1'000; ++i) {
    pool.Submit([&ran, i] { ran.push_back(i); });
    expected.push_back(i);
    if (i % 100 == 0) pool.WaitUntilIdle();  // the thread sleeps and is woken again
  }
  pool.WaitUntilIdle();
  EXPECT_EQ(ran, expected);
}

TEST(BlockingPoolTest, AsManyCallsRunAtOnceAsThereAreThreads) {
  BlockingPool pool(3);
  for (int round = 0; round < 100; ++round) {
    std::latch together(3);
    for (int i = 0; i < 3; ++i) pool.Submit([&together] { together.arrive_and_wait(); });
    pool.WaitUntilIdle();
  }
}

TEST(BlockingPoolTest, WhatWaitsAtTheEndIsDroppedAndWhatRunsIsWaitedFor) {
  std::latch begun(1);
  std::latch let_go(1);
  bool is_done = false;
  bool has_second_run = false;
  auto token = std::make_shared<int>();
  std::weak_ptr<int> watched = token;
  std::thread releaser([&let_go, &watched] {
    while (!watched.expired()) std::this_thread::yield();
    let_go.count_down();
  });
  {
    BlockingPool pool(1);
    pool.Submit([&] {
      begun.count_down();
      let_go.wait();
      is_done = true;
    });
    pool.Submit([&has_second_run, token] { has_second_run = true; });
    begun.wait();
    token.reset();  // the second call holds it now, until it is dropped
  }
  releaser.join();
  EXPECT_TRUE(is_done);
  EXPECT_FALSE(has_second_run);
}

}  // namespace
}  // namespace stele::real

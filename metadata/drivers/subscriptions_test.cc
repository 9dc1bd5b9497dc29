#include "metadata/drivers/subscriptions.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace stele::metadata {
namespace {

using Numbers = Subscriptions<int>;

TEST(SubscriptionsTest, CallsUntilTheWatchIsDestroyed) {
  std::vector<uint64_t> removed;
  std::vector<int> seen;
  const auto table = std::make_shared<Numbers>([&](uint64_t id) { removed.push_back(id); });
  Numbers::Added first = table->Add([&](int n) { seen.push_back(n); });
  Numbers::Added second = table->Add([&](int n) { seen.push_back(10 * n); });
  table->NotifyAll(1);
  table->Notify(second.id, 2);
  first.watch.reset();
  table->NotifyAll(3);
  EXPECT_EQ(seen, (std::vector<int>{1, 10, 20, 30}));
  EXPECT_EQ(removed, std::vector<uint64_t>{first.id});
}

TEST(SubscriptionsTest, ACallbackMayEndItselfAndOthers) {
  const auto table = std::make_shared<Numbers>([](uint64_t) {});
  std::unique_ptr<Watch> first;
  std::unique_ptr<Watch> second;
  std::string captured = "a text that is long enough to live on the heap";
  std::vector<std::string> seen;
  first = table
              ->Add([&, captured](int) {
                first.reset();
                second.reset();
                seen.push_back(captured);
              })
              .watch;
  second = table->Add([&](int) { seen.push_back("second"); }).watch;
  table->NotifyAll(1);
  EXPECT_EQ(seen, std::vector<std::string>{captured});
}

TEST(SubscriptionsTest, ACallbackMayDestroyTheOwner) {
  int removed = 0;
  int calls = 0;
  auto table = std::make_shared<Numbers>([&](uint64_t) { ++removed; });
  std::unique_ptr<Watch> first = table
                                     ->Add([&](int) {
                                       ++calls;
                                       table->Detach();
                                       table.reset();
                                     })
                                     .watch;
  const std::unique_ptr<Watch> second = table->Add([&](int) { ++calls; }).watch;
  table->NotifyAll(1);
  EXPECT_EQ(calls, 1);
  first.reset();
  EXPECT_EQ(removed, 0);
}

}  // namespace
}  // namespace stele::metadata

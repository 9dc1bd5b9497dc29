// What the store's operations cost a real server, and what becomes of requests of two parts when
// the server dies.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/shard.h"
#include "integration_tests/zookeeper_server.h"
#include "metadata/zookeeper/zookeeper_store.h"

static std::atomic<int64_t> name_lookups = 0;

// Stands before the C library's for everything in this process.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  ++name_lookups;
  static const auto lookup =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return lookup(node, service, hints, result);
}

namespace stele::metadata {
namespace {

constexpr NodeKind kPersistent = NodeKind::kPersistent;

// Pings, our own questions, and the sync of the first read.
constexpr int64_t kSlack = 10;

std::string MarkOf(int i) { return StrCat("/marks/", i, "/urL", i); }

Task<void> Mark(MetadataStore* store, int i, std::vector<absl::Status>* done) {
  (*done)[static_cast<size_t>(i)] = co_await store->Create(MarkOf(i), StrCat(i), kPersistent);
}
Task<void> Unmark(MetadataStore* store, int i, std::vector<absl::Status>* done) {
  (*done)[static_cast<size_t>(i)] = co_await store->Delete(MarkOf(i), 0);
}
Task<void> Look(MetadataStore* store, int i, std::vector<absl::Status>* done) {
  (*done)[static_cast<size_t>(i)] = (co_await store->Get(MarkOf(i))).status();
}

// One of the three for each mark from `first` on, at the same time.
template <typename What>
Task<std::vector<absl::Status>> ForAll(Executor* executor, MetadataStore* store, int first,
                                       int count, What what) {
  std::vector<absl::Status> done(static_cast<size_t>(count));
  TaskScope scope(executor);
  for (int i = first; i < count; ++i) scope.Spawn(what(store, i, &done));
  co_await scope.Join();
  co_return done;
}

class ZooKeeperRequestsTest : public testing::Test {
 protected:
  ZooKeeperRequestsTest() {
    auto store = MakeZooKeeperStore({.servers = server_.connect_string()}, shard_.executor(),
                                    shard_.env().clock);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    EXPECT_TRUE(shard_.RunUntil(store_->Create(MarkOf(0), "", kPersistent)).ok());
  }
  ~ZooKeeperRequestsTest() override { shard_.RunUntil(store_->Close()); }

  int64_t Received() const {
    const std::string said = server_.Ask("srvr");
    const std::string name = "Received: ";
    return std::stoll(said.substr(said.find(name) + name.size()));
  }

  integration::ZooKeeperServer server_;
  real::Shard shard_;
  std::unique_ptr<MetadataStore> store_;
};

TEST_F(ZooKeeperRequestsTest, MarksReadsAndRemovalsTakeOneRequestEach) {
  constexpr int kMarks = 200;
  for (const auto what : {&Mark, &Look, &Unmark}) {
    const int64_t before = Received();
    const auto done =
        shard_.RunUntil(ForAll(shard_.executor(), store_.get(), /*first=*/1, kMarks, what));
    for (const absl::Status& status : done) EXPECT_TRUE(status.ok()) << status;
    EXPECT_LE(Received() - before, kMarks + kSlack);
    EXPECT_GE(Received() - before, kMarks - kSlack);
  }
}

TEST_F(ZooKeeperRequestsTest, TheNamesOfTheServersAreNotLookedUpForEachRequest) {
  EXPECT_GE(name_lookups, 1);  // the session's beginning
  const int64_t before = name_lookups;
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(shard_.RunUntil(store_->Get(MarkOf(0))).ok());
  EXPECT_LE(name_lookups - before, kSlack);
}

Task<void> UnmarkWithDirectory(MetadataStore* store, int i, std::vector<absl::Status>* done) {
  const std::vector<Deletion> both = {{MarkOf(i), 0}, {StrCat("/marks/", i), kAnyVersion}};
  (*done)[static_cast<size_t>(i)] = co_await store->DeleteTogether(both);
}

TEST_F(ZooKeeperRequestsTest, NodesThatAreDeletedTogetherTakeOneRequest) {
  constexpr int kMarks = 200;
  shard_.RunUntil(ForAll(shard_.executor(), store_.get(), /*first=*/1, kMarks, &Mark));
  const int64_t before = Received();
  const auto done = shard_.RunUntil(
      ForAll(shard_.executor(), store_.get(), /*first=*/1, kMarks, &UnmarkWithDirectory));
  for (const absl::Status& status : done) EXPECT_TRUE(status.ok()) << status;
  EXPECT_LE(Received() - before, kMarks + kSlack);
  const auto left = shard_.RunUntil(store_->Children("/marks"));
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(*left, std::vector<std::string>{"0"});
}

Task<void> Keep(Task<std::vector<absl::Status>> task, std::vector<absl::Status>* into) {
  *into = co_await std::move(task);
}

// The C client has to give up what it keeps for each part, too.
TEST_F(ZooKeeperRequestsTest, AServerThatDiesAmongRequestsOfTwoPartsLeavesNoHalfAndNothingIsLost) {
  constexpr int kMarks = 500;
  std::vector<absl::Status> done;
  TaskScope scope(shard_.executor());
  shard_.executor()->Post([&] {
    scope.Spawn(Keep(ForAll(shard_.executor(), store_.get(), /*first=*/1, kMarks, &Mark), &done));
  });
  // The loop runs for one answer: all requests have been sent when it comes.
  EXPECT_TRUE(shard_.RunUntil(store_->Get("/marks")).ok());
  server_.Kill();
  server_.Restart();
  shard_.RunUntil(scope.Join());

  const auto seen =
      shard_.RunUntil(ForAll(shard_.executor(), store_.get(), /*first=*/1, kMarks, &Look));
  const auto directories = shard_.RunUntil(store_->Children("/marks"));
  ASSERT_TRUE(directories.ok());
  ASSERT_EQ(done.size(), static_cast<size_t>(kMarks));
  int unclear = 0;
  for (int i = 1; i < kMarks; ++i) {
    const absl::Status& status = done[static_cast<size_t>(i)];
    const bool is_there = seen[static_cast<size_t>(i)].ok();
    EXPECT_EQ(std::count(directories->begin(), directories->end(), StrCat(i)), is_there) << i;
    EXPECT_TRUE(is_there || !status.ok()) << i;
    if (status.ok()) continue;
    ++unclear;
    EXPECT_EQ(EffectOf(status), Effect::kUnknown) << status;
  }
  std::printf("%d of %d unclear\n", unclear, kMarks - 1);
}

}  // namespace
}  // namespace stele::metadata

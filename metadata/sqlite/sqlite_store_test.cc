#include "metadata/sqlite/sqlite_store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/shard.h"
#include "metadata/drivers/testing/recorder.h"

namespace stele::metadata {
namespace {

using StorePtr = std::unique_ptr<MetadataStore>;
constexpr NodeKind kPersistent = NodeKind::kPersistent;
constexpr NodeKind kEphemeral = NodeKind::kEphemeral;

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    directory_ = StrCat(std::getenv("TEST_TMPDIR"), "/",
                        testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
  }
  ~SqliteStoreTest() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return StrCat(directory_, "/meta.db"); }

  absl::StatusOr<StorePtr> TryOpen(SqliteStoreOptions options) {
    if (options.path.empty()) options.path = path();
    return Run(OpenSqliteStore(std::move(options), shard_.executor(), shard_.env().clock));
  }
  StorePtr Open(SqliteStoreOptions options = {}) {
    absl::StatusOr<StorePtr> store = TryOpen(std::move(options));
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  template <typename T>
  T Run(Task<T> task) {
    return shard_.RunUntil(std::move(task));
  }

  // Runs `sql` as another program would.
  void Execute(const std::string& file, const std::string& sql) {
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &connection), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(connection);
    sqlite3_close(connection);
  }

  real::Shard shard_;
  std::string directory_;
};

TEST_F(SqliteStoreTest, ANewStoreFindsWhatTheLastOneWrote) {
  StorePtr store = Open();
  ASSERT_TRUE(Run(store->Create("/a/b", "one", kPersistent)).ok());
  ASSERT_EQ(*Run(store->Put("/a/b", std::string("\0two", 4), 0)), 1);
  Run(store->Close());
  store = Open();
  const auto node = Run(store->Get("/a/b"));
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->value, std::string("\0two", 4));
  EXPECT_EQ(node->version, 1);
  EXPECT_EQ(node->owner, EphemeralOwner::kNone);
  EXPECT_EQ(*Run(store->Children("/a")), std::vector<std::string>{"b"});
}

TEST_F(SqliteStoreTest, ValuesUpToTheLimit) {
  StorePtr store = Open();
  const std::string largest((1 << 20) - 8192, 'x');
  ASSERT_TRUE(Run(store->Create("/largest", largest, kPersistent)).ok());
  EXPECT_EQ(Run(store->Get("/largest"))->value, largest);
  EXPECT_EQ(CodeOf(Run(store->Put("/largest", largest + "x", kAnyVersion)).status()),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Run(store->Create("/other", largest + "x", kPersistent))),
            ErrorCode::kInvalidArgument);
}

TEST_F(SqliteStoreTest, WhoLooksForAClusterMakesNoFile) {
  const SqliteStoreOptions options{.path = StrCat(directory_, "/mistyped.db"),
                                   .create_if_missing = false};
  EXPECT_EQ(CodeOf(TryOpen(options).status()), ErrorCode::kConfig);
  EXPECT_FALSE(std::filesystem::exists(options.path));
  Run(Open()->Close());
  EXPECT_TRUE(TryOpen({.path = path(), .create_if_missing = false}).ok());
}

TEST_F(SqliteStoreTest, WrongPathsAreRefused) {
  StorePtr store = Open();
  EXPECT_EQ(CodeOf(Run(store->Get("a")).status()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Run(store->Create("/a//b", "", kPersistent))), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Run(store->CreateSequential("a-", "", kPersistent)).status()),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Run(store->Put("/", "", 0)).status()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Run(store->Delete("/", 0))), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Run(store->Children("/a/")).status()), ErrorCode::kInvalidArgument);
}

TEST_F(SqliteStoreTest, AnEphemeralNodeHasNoChildren) {
  StorePtr store = Open();
  ASSERT_TRUE(Run(store->Create("/e", "", kEphemeral)).ok());
  EXPECT_EQ(CodeOf(Run(store->Create("/e/child", "", kPersistent))), ErrorCode::kInvalidArgument);
}

TEST_F(SqliteStoreTest, SequenceNumbersCountCreationsAndNeverComeTwice) {
  StorePtr store = Open();
  EXPECT_EQ(*Run(store->CreateSequential("/idgen/ID-", "", kEphemeral)), "/idgen/ID-0000000000");
  EXPECT_TRUE(Run(store->Delete("/idgen/ID-0000000000", kAnyVersion)).ok());
  EXPECT_EQ(*Run(store->CreateSequential("/idgen/ID-", "", kPersistent)), "/idgen/ID-0000000001");
  ASSERT_TRUE(Run(store->Create("/idgen/other", "", kPersistent)).ok());
  EXPECT_EQ(*Run(store->CreateSequential("/idgen/", "", kPersistent)), "/idgen/0000000003");
}

TEST_F(SqliteStoreTest, EphemeralNodesAreOwnedBySessionsAndGoWithClose) {
  StorePtr first = Open();
  StorePtr second = Open();
  ASSERT_TRUE(Run(first->Create("/available/b1", "x", kEphemeral)).ok());
  EXPECT_EQ(Run(first->Get("/available/b1"))->owner, EphemeralOwner::kThisSession);
  EXPECT_EQ(Run(second->Get("/available/b1"))->owner, EphemeralOwner::kOther);
  Run(first->Close());
  EXPECT_EQ(CodeOf(Run(second->Get("/available/b1")).status()), ErrorCode::kNoSuchKey);
  EXPECT_TRUE(Run(second->Children("/available"))->empty());
}

TEST_F(SqliteStoreTest, EphemeralNodesOfALostStoreAreInvisibleAtOnceAndReplaceable) {
  StorePtr first = Open();
  // Nothing is swept in the background here.
  StorePtr second = Open({.sweep_interval = absl::Hours(1)});
  ASSERT_TRUE(Run(first->Create("/available/b1", "old", kEphemeral)).ok());
  ASSERT_TRUE(Run(first->Create("/available/b2", "old", kEphemeral)).ok());
  first.reset();
  EXPECT_EQ(CodeOf(Run(second->Get("/available/b1")).status()), ErrorCode::kNoSuchKey);
  EXPECT_TRUE(Run(second->Children("/available"))->empty());
  EXPECT_EQ(CodeOf(Run(second->Children("/available/b1")).status()), ErrorCode::kNoSuchKey);
  EXPECT_EQ(CodeOf(Run(second->Put("/available/b2", "", kAnyVersion)).status()),
            ErrorCode::kNoSuchKey);
  EXPECT_TRUE(Run(second->Create("/available/b1", "new", kEphemeral)).ok());
  EXPECT_EQ(*Run(second->Children("/available")), std::vector<std::string>{"b1"});
  EXPECT_TRUE(Run(second->Delete("/available/b1", 0)).ok());
  EXPECT_TRUE(Run(second->Delete("/available", 0)).ok());
}

TEST_F(SqliteStoreTest, WatchesSeeTheChangesOfTheirOwnStoreAtOnce) {
  // No polling within the test.
  StorePtr store = Open({.poll_interval = absl::Hours(1)});
  Recorder<int> node(shard_.executor());
  Recorder<int> children(shard_.executor());
  const auto watch_node = store->WatchNode("/a/b", [&] { node.Add(0); });
  const auto watch_children = store->WatchChildren("/a", [&] { children.Add(0); });
  Run(node.WaitForCount(1));
  Run(children.WaitForCount(1));
  ASSERT_TRUE(Run(store->Create("/a/b", "", kPersistent)).ok());
  Run(node.WaitForCount(2));
  Run(children.WaitForCount(2));
  ASSERT_TRUE(Run(store->Put("/a/b", "x", kAnyVersion)).ok());
  Run(node.WaitForCount(3));
  ASSERT_TRUE(Run(store->Delete("/a/b", kAnyVersion)).ok());
  Run(node.WaitForCount(4));
  Run(children.WaitForCount(3));
  EXPECT_EQ(children.items().size(), 3u);
}

TEST_F(SqliteStoreTest, WatchesSeeTheChangesOfOtherStores) {
  StorePtr watcher = Open({.poll_interval = absl::Milliseconds(5)});
  StorePtr writer = Open();
  Recorder<int> node(shard_.executor());
  Recorder<int> children(shard_.executor());
  Recorder<int> unrelated(shard_.executor());
  const auto watch_node = watcher->WatchNode("/a/b", [&] { node.Add(0); });
  const auto watch_children = watcher->WatchChildren("/a", [&] { children.Add(0); });
  const auto watch_unrelated = watcher->WatchNode("/c", [&] { unrelated.Add(0); });
  Run(unrelated.WaitForCount(1));
  // Deleted and made again between two polls is a change too.
  ASSERT_TRUE(Run(writer->Create("/a/b", "", kPersistent)).ok());
  Run(node.WaitForCount(2));
  Run(children.WaitForCount(2));
  ASSERT_TRUE(Run(writer->Delete("/a/b", 0)).ok());
  ASSERT_TRUE(Run(writer->Create("/a/b", "", kPersistent)).ok());
  Run(node.WaitForCount(3));
  Run(children.WaitForCount(3));
  EXPECT_EQ(unrelated.items().size(), 1u);
}

TEST_F(SqliteStoreTest, WatchesSeeTheEndOfALostStore) {
  StorePtr watcher =
      Open({.poll_interval = absl::Milliseconds(5), .sweep_interval = absl::Milliseconds(5)});
  StorePtr lost = Open();
  ASSERT_TRUE(Run(lost->Create("/available/b1", "", kEphemeral)).ok());
  Recorder<int> children(shard_.executor());
  const auto watch = watcher->WatchChildren("/available", [&] { children.Add(0); });
  Run(children.WaitForCount(1));
  lost.reset();
  Run(children.WaitForCount(2));
  EXPECT_TRUE(Run(watcher->Children("/available"))->empty());
}

TEST_F(SqliteStoreTest, ADestroyedWatchIsSilentAndMayOutliveTheStore) {
  StorePtr store = Open();
  Recorder<int> kept(shard_.executor());
  int destroyed_calls = 0;
  auto destroyed = store->WatchNode("/a", [&] { ++destroyed_calls; });
  destroyed.reset();
  const auto watch = store->WatchNode("/a", [&] { kept.Add(0); });
  Run(kept.WaitForCount(1));
  EXPECT_EQ(destroyed_calls, 0);
  Run(store->Close());
  store.reset();
}

TEST_F(SqliteStoreTest, ASessionThatSomebodyRemovedIsReplaced) {
  StorePtr store =
      Open({.poll_interval = absl::Milliseconds(5), .sweep_interval = absl::Milliseconds(5)});
  Recorder<SessionState> states(shard_.executor());
  Recorder<int> changes(shard_.executor());
  const auto session = store->WatchSession([&](SessionState state) { states.Add(state); });
  ASSERT_TRUE(Run(store->Create("/e", "", kEphemeral)).ok());
  const auto watch = store->WatchNode("/e", [&] { changes.Add(0); });
  Run(changes.WaitForCount(1));
  // What a process does that finds no session file, since somebody deleted it.
  Execute(path(), "DELETE FROM nodes WHERE session IS NOT NULL; DELETE FROM sessions");
  Run(states.WaitForCount(2));
  EXPECT_EQ(states.items(),
            (std::vector<SessionState>{SessionState::kExpired, SessionState::kConnected}));
  Run(changes.WaitForCount(2));
  ASSERT_TRUE(Run(store->Create("/e", "", kEphemeral)).ok());
  EXPECT_EQ(Run(store->Get("/e"))->owner, EphemeralOwner::kThisSession);
}

TEST_F(SqliteStoreTest, ALockThatIsHeldTooLongFailsWritesWithoutEffectAndReadsGoOn) {
  StorePtr store = Open({.operation_timeout = absl::Milliseconds(50)});
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const absl::Status refused = Run(store->Create("/a", "", kPersistent));
  EXPECT_EQ(CodeOf(refused), ErrorCode::kMetadataUnavailable) << refused;
  EXPECT_EQ(EffectOf(refused), Effect::kNone);
  EXPECT_EQ(CodeOf(Run(store->Get("/a")).status()), ErrorCode::kNoSuchKey);
  sqlite3_close(other);
  EXPECT_TRUE(Run(store->Create("/a", "", kPersistent)).ok());
}

Task<void> Append(Task<absl::Status> operation, std::vector<absl::Status>* results) {
  results->push_back(co_await std::move(operation));
}

TEST_F(SqliteStoreTest, TooManyOperationsInFlightAreRefused) {
  StorePtr store = Open({.operations_in_flight_max = 2});
  std::vector<absl::Status> results;
  TaskScope scope(shard_.executor());
  for (const char* name : {"/a", "/b", "/c"}) {
    scope.Spawn(Append(store->Create(name, "", kPersistent), &results));
  }
  Run(scope.Join());
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(CodeOf(results[0]), ErrorCode::kOverloaded);
  EXPECT_TRUE(results[1].ok());
  EXPECT_TRUE(results[2].ok());
  EXPECT_TRUE(Run(store->Create("/c", "", kPersistent)).ok());
}

TEST_F(SqliteStoreTest, CloseEndsOperationsInFlight) {
  StorePtr store = Open();
  std::vector<absl::Status> results;
  TaskScope scope(shard_.executor());
  scope.Spawn(Append(store->Create("/a", "", kPersistent), &results));
  Run(store->Close());
  Run(scope.Join());
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(CodeOf(results[0]), ErrorCode::kStopped);
  EXPECT_EQ(CodeOf(Run(store->Create("/b", "", kPersistent))), ErrorCode::kStopped);
  Run(store->Close());
  // The effect was told truthfully.
  store = Open();
  const bool exists = Run(store->Get("/a")).ok();
  EXPECT_TRUE(!exists || EffectOf(results[0]) == Effect::kUnknown);
}

TEST_F(SqliteStoreTest, AFileThatIsNoDatabaseIsRefused) {
  const std::string text(5000, 'x');
  std::ofstream(path()) << text;
  const absl::Status status = TryOpen({}).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptData) << status;
  // Left as it was.
  std::ifstream file(path());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text);
}

TEST_F(SqliteStoreTest, TheDatabaseOfAnotherProgramIsRefusedAndLeftAlone) {
  Execute(path(), "CREATE TABLE music (title TEXT)");
  const auto size = std::filesystem::file_size(path());
  const absl::Status status = TryOpen({}).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kConfig) << status;
  EXPECT_EQ(std::filesystem::file_size(path()), size);
  EXPECT_FALSE(std::filesystem::exists(path() + "-wal"));
}

TEST_F(SqliteStoreTest, ANewerSchemaIsRefused) {
  Run(Open()->Close());
  Execute(path(), "PRAGMA user_version = 2");
  const absl::Status status = TryOpen({}).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kProtocolVersion) << status;
}

TEST_F(SqliteStoreTest, APathThatCannotBeOpenedIsRefused) {
  EXPECT_EQ(CodeOf(TryOpen({.path = directory_ + "/missing/meta.db"}).status()),
            ErrorCode::kIoError);
  EXPECT_EQ(CodeOf(TryOpen({.path = directory_}).status()), ErrorCode::kIoError);
  EXPECT_EQ(CodeOf(TryOpen({.path = "/proc/meta.db"}).status()), ErrorCode::kIoError);
}

TEST_F(SqliteStoreTest, ADamagedFileIsCorruptData) {
  StorePtr store = Open();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(
        Run(store->Create(StrCat("/ledgers/L", i), std::string(2000, 'v'), kPersistent)).ok());
  }
  Run(store->Close());
  store.reset();
  // All pages but the first, which holds the schema.
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(std::filesystem::file_size(path()) - 4096, '\xa5');
  file.close();
  const auto opened = TryOpen({});
  const absl::Status status =
      opened.ok() ? Run((*opened)->Get("/ledgers/L7")).status() : opened.status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptData) << status;
}

TEST_F(SqliteStoreTest, AnEmptyFileBecomesAStore) {
  std::ofstream(path()).flush();
  EXPECT_TRUE(Run(Open()->Create("/a", "", kPersistent)).ok());
}

}  // namespace
}  // namespace stele::metadata

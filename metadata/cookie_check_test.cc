#include "metadata/cookie_check.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

constexpr char kTheirs[] = "3\nb1\n/j\n1\t/l9\n";
constexpr char kStored[] = "/ledgers/cookies/b1";

class CookieCheckTest : public MetadataTest {
 protected:
  static BookieIdentity Identity() {
    return {.bookie = BookieId("b1"),
            .directories = {.journal = {"/j"}, .ledger = {"/l1", "/l2"}},
            .instance_id = "instance"};
  }
  absl::Status Check(BookieIdentity identity = Identity()) {
    return Run(CheckCookies(env_.files, &store_, ClusterPaths("/ledgers"), std::move(identity)));
  }
  // "(none)" when there is no such file.
  std::string FileContent(std::string path) {
    const auto bytes = Run(ReadFile(env_.files, std::move(path), kCookieSizeMaxBytes));
    return bytes.ok() ? bytes->ToString() : "(none)";
  }
  void Write(std::string directory, std::string name, std::string content) {
    EXPECT_TRUE(Run(env_.files->MakeDirectories(directory)).ok());
    EXPECT_TRUE(
        Run(ReplaceFile(env_.files, directory, name, Buffer::FromString(std::move(content)))).ok());
  }
  void Remove(std::string path) { EXPECT_TRUE(Run(env_.files->Remove(std::move(path))).ok()); }

  const std::string text_ =
      SerializeCookie(MakeCookie(BookieId("b1"), Identity().directories, "instance"));
};

TEST_F(CookieCheckTest, AFirstStartWritesTheSameTextEverywhere) {
  EXPECT_EQ(text_,
            "5\nbookieHost: \"b1\"\njournalDir: \"/j\"\nledgerDirs: \"2\\t/l1\\t/l2\"\n"
            "instanceId: \"instance\"\n");
  EXPECT_TRUE(Check().ok());
  for (const char* directory : {"/j", "/l1", "/l2"}) {
    EXPECT_EQ(FileContent(StrCat(directory, "/current/VERSION")), text_);
  }
  EXPECT_EQ(ValueOf(kStored), text_);
  const int writes = store_.CountOf(Op::kCreate) + store_.CountOf(Op::kPut);
  EXPECT_TRUE(Check().ok());
  EXPECT_EQ(store_.CountOf(Op::kCreate) + store_.CountOf(Op::kPut), writes);
}

TEST_F(CookieCheckTest, WhatAFirstStartWroteSurvivesAPowerCut) {
  EXPECT_TRUE(Check().ok());
  world_.PowerCut(machine_);
  process_->Restart();
  for (const char* directory : {"/j", "/l1", "/l2"}) {
    EXPECT_EQ(FileContent(StrCat(directory, "/current/VERSION")), text_);
  }
}

TEST_F(CookieCheckTest, AStoreThatFailsIsTriedAgainWithTheNextStart) {
  store_.Fail(Op::kCreate, "cookies", Fault::kNotSent);
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kMetadataUnavailable);
  store_.Fail(Op::kCreate, "cookies", Fault::kLostAnswer);
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kMetadataUnavailable);
  EXPECT_TRUE(Check().ok());
  EXPECT_EQ(ValueOf(kStored), text_);
}

TEST_F(CookieCheckTest, ALostDiskStopsTheBookie) {
  EXPECT_TRUE(Check().ok());
  Remove("/l2/current/VERSION");
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kCookieMismatch);
  EXPECT_EQ(FileContent("/l2/current/VERSION"), "(none)");
}

TEST_F(CookieCheckTest, ADirectoryOfAnotherBookieStopsTheBookie) {
  EXPECT_TRUE(Check().ok());
  BookieIdentity other = Identity();
  other.bookie = BookieId("b2");
  EXPECT_EQ(CodeOf(Check(other)), ErrorCode::kCookieMismatch);
  EXPECT_FALSE(Exists("/ledgers/cookies/b2"));
  BookieIdentity formatted = Identity();
  formatted.instance_id = "new";
  EXPECT_EQ(CodeOf(Check(formatted)), ErrorCode::kCookieMismatch);
}

TEST_F(CookieCheckTest, ACookieUnderAnotherNameOfThisBookieStopsIt) {
  EXPECT_TRUE(Check().ok());
  BookieIdentity renamed = Identity();
  renamed.bookie = BookieId("host:3181");
  renamed.directories = {.journal = {"/new/j"}, .ledger = {"/new/l"}};
  renamed.other_ids = {BookieId("10.0.0.1:3181"), BookieId("b1")};
  EXPECT_EQ(CodeOf(Check(renamed)), ErrorCode::kCookieMismatch);
  renamed.other_ids = {BookieId("10.0.0.1:3181"), BookieId("host:3181")};
  EXPECT_TRUE(Check(renamed).ok());
}

TEST_F(CookieCheckTest, AnExpansionRewritesAllCookies) {
  EXPECT_TRUE(Check().ok());
  Write("/l1/current", "0.log", "entries");
  BookieIdentity expanded = Identity();
  expanded.directories.ledger.push_back("/l3");
  EXPECT_EQ(CodeOf(Check(expanded)), ErrorCode::kCookieMismatch);
  expanded.expansion = StorageExpansion::kAllowed;
  EXPECT_TRUE(Check(expanded).ok());
  const std::string expected =
      SerializeCookie(MakeCookie(expanded.bookie, expanded.directories, "instance"));
  for (const char* directory : {"/j", "/l1", "/l2", "/l3"}) {
    EXPECT_EQ(FileContent(StrCat(directory, "/current/VERSION")), expected);
  }
  EXPECT_EQ(ValueOf(kStored), expected);
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kCookieMismatch);  // no way back
}

TEST_F(CookieCheckTest, LeftoversOfAnInterruptedStampAreNoData) {
  Write("/l1/current", "VERSION.tmp", "5\nbook");
  EXPECT_TRUE(Check().ok());
  EXPECT_EQ(FileContent("/l1/current/VERSION"), text_);
}

TEST_F(CookieCheckTest, DataWithoutACookieStopsTheBookieBeforeAnythingIsWritten) {
  Write("/l1/current", "0.log", "entries");
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kCookieMismatch);
  EXPECT_EQ(FileContent("/j/current/VERSION"), "(none)");
  EXPECT_FALSE(Exists(kStored));
}

TEST_F(CookieCheckTest, DamagedCookiesStopTheBookie) {
  Write("/l1/current", "VERSION", "");
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kCorruptData);
  Remove("/l1/current/VERSION");
  Put(kStored, "rubbish");
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kCorruptData);
}

TEST_F(CookieCheckTest, ARivalThatWritesAnotherCookieMeanwhileIsNoticed) {
  store_.Before(Op::kCreate, "cookies", [this]() -> Task<void> {
    return [](MetadataStore* store) -> Task<void> {
      (co_await store->Create(kStored, kTheirs, NodeKind::kPersistent)).IgnoreError();
    }(rival_session_.get());
  });
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kCookieMismatch);
  EXPECT_EQ(ValueOf(kStored), kTheirs);
}

TEST_F(CookieCheckTest, OneDirectoryMayHaveSeveralRoles) {
  BookieIdentity identity = Identity();
  identity.directories = {.journal = {"/d"}, .ledger = {"/d"}, .index = {"/d"}};
  EXPECT_TRUE(Check(identity).ok());
  EXPECT_TRUE(Check(identity).ok());
  EXPECT_NE(FileContent("/d/current/VERSION").find("indexDirs: \"1\\t/d\""), std::string::npos);
}

// A crash at any write, and then a start: the bookie comes up.
TEST_F(CookieCheckTest, EveryInterruptionOfAFirstStartIsContinued) {
  for (uint64_t steps = 1;; ++steps) {
    ASSERT_LT(steps, 2000u);
    simulation::World world({.seed = 7});
    simulation::SimMachine* machine = world.AddMachine("m");
    simulation::SimProcess* process = world.AddProcess(machine, "p");
    const auto store = world.NewMetadataStore(process);
    bool done = false;
    const auto first = [](FileSystem* files, MetadataStore* to, bool* ended) -> Task<void> {
      EXPECT_TRUE((co_await CheckCookies(files, to, ClusterPaths("/ledgers"), Identity())).ok());
      *ended = true;
    };
    process->Spawn(first(world.env(process).files, store.get(), &done));
    const auto interrupted = [&] { return done || world.scheduler().steps() >= steps; };
    EXPECT_TRUE(world.scheduler().RunUntil(interrupted).ok());
    world.PowerCut(machine);

    process->Restart();
    const auto new_store = world.NewMetadataStore(process);
    absl::Status again;
    const auto second = [](FileSystem* files, MetadataStore* to, absl::Status* end) -> Task<void> {
      *end = co_await CheckCookies(files, to, ClusterPaths("/ledgers"), Identity());
    };
    EXPECT_TRUE(
        world.RunToEnd(process, second(world.env(process).files, new_store.get(), &again)).ok());
    EXPECT_TRUE(again.ok()) << "after " << steps << " steps: " << again;
    process->Crash();
    if (done) break;
  }
}

}  // namespace
}  // namespace stele::metadata

// A start over directories that Apache's bookie has left, and the look at them before it.
#include "bookie/take_over.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "bookie/journal/journal_format.h"
#include "bookie/journal/last_mark.h"
#include "bookie/journal/testing/file_builder.h"
#include "bookie/testing/bookie_world.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};

// A bookie that has one entry, stopped cleanly.
class TakeOverTest : public testing::Test {
 protected:
  TakeOverTest() {
    EXPECT_TRUE(world_.Start().ok());
    EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "zero")), ReplyCode::kOk);
    EXPECT_TRUE(world_.Stop().ok());
    hand_ = world_.world().AddProcess(world_.machine(), "hand");
  }

  FileSystem* files() { return world_.world().env(hand_).files; }

  // Runs by hand on the bookie's machine.
  void Run(Task<absl::Status> task) {
    absl::Status result;
    EXPECT_TRUE(world_.world().RunToEnd(hand_, Keep(std::move(task), &result)).ok());
    EXPECT_TRUE(result.ok()) << result;
  }

  // The journal is Apache's, checkpointed up to the end of file 101.
  void PutJavaJournal(std::vector<std::string> bodies_behind_the_mark) {
    JavaFileBuilder backup(6);
    for (const std::string& body : bodies_behind_the_mark) backup.Record(body);
    backup.Flush();
    Run(ReplaceJournal(files(), backup.content(), JavaFileBuilder(6).content()));
  }

  TakeOverReport Check(std::vector<std::string> directories) {
    TakeOverReport report;
    Run(CheckTask(world_.world().env(hand_), std::move(directories), &report));
    return report;
  }

  static bool Has(const std::vector<std::string>& lines, std::string_view text) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }

  BookieWorld world_{1};
  simulation::SimProcess* hand_ = nullptr;

 private:
  static Task<void> Keep(Task<absl::Status> task, absl::Status* result) {
    *result = co_await std::move(task);
  }

  static Task<absl::Status> ReplaceJournal(FileSystem* files, std::string backup,
                                           std::string newest) {
    const std::string journal = "/data/journal/current";
    STELE_CO_TRY(const std::vector<std::string> names, co_await files->List(journal));
    for (const std::string& name : names) {
      if (name == "VERSION") continue;
      STELE_CO_TRY_OK(co_await files->Remove(StrCat(journal, "/", name)));
    }
    STELE_CO_TRY_OK(
        co_await ReplaceFile(files, journal, JournalFileName(100), Buffer::CopyOf(backup)));
    STELE_CO_TRY_OK(
        co_await ReplaceFile(files, journal, JournalFileName(101), Buffer::CopyOf(newest)));
    const JournalMark mark{101, static_cast<int64_t>(newest.size())};
    co_return co_await ReplaceFile(files, "/data/ledgers/current", std::string(kLastMarkFileName),
                                   Buffer::CopyOf(EncodeMark(mark)));
  }

  static Task<absl::Status> CheckTask(Env env, std::vector<std::string> directories,
                                      TakeOverReport* report) {
    STELE_CO_TRY(*report, co_await CheckTakeOver(env, std::move(directories)));
    co_return absl::OkStatus();
  }
};

// Apache's checkpoint passes over a fence when no page of the ledger is in memory.
TEST_F(TakeOverTest, AFenceInFrontOfTheMarkIsFound) {
  PutJavaJournal({MakeFenceRecord(kLedger).ToString()});
  ASSERT_TRUE(world_.Start().ok());
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "late")), ReplyCode::kFenced);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
  // It is durable at once: the next start looks at no backups any more.
  world_.PowerCut();
  ASSERT_TRUE(world_.Start().ok());
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "late")), ReplyCode::kFenced);
}

TEST_F(TakeOverTest, NothingElseInFrontOfTheMarkComesBack) {
  const LedgerRequests deleted{LedgerId(8)};
  PutJavaJournal({MakeMasterKeyRecord(LedgerId(8), std::string(20, 'k')).ToString(),
                  MakeFenceRecord(LedgerId(8)).ToString(), EntryBody(5)});
  ASSERT_TRUE(world_.Start().ok());
  EXPECT_EQ(world_.CodeOfCall(deleted.Read(0)), ReplyCode::kNoSuchLedger);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(5)), ReplyCode::kNoSuchEntry);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "one")), ReplyCode::kOk);
}

TEST_F(TakeOverTest, ACleanlyStoppedBookieMayBeTakenOver) {
  const TakeOverReport report = Check({"/data/journal", "/data/ledgers/"});
  EXPECT_TRUE(report.obstacles.empty()) << report.obstacles.front();
  EXPECT_TRUE(Has(report.found, "bookie bookie:3181"));
  EXPECT_TRUE(Has(report.found, "1 ledgers, 0 of them fenced"));
  EXPECT_TRUE(Has(report.will_do, "replay nothing"));
  ASSERT_TRUE(world_.Start().ok());
}

TEST_F(TakeOverTest, WhatAKilledBookieHasInItsJournalIsCounted) {
  ASSERT_TRUE(world_.Start().ok());
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(0)), ReplyCode::kOk);
  world_.Kill();
  const TakeOverReport report = Check({"/data/journal", "/data/ledgers"});
  EXPECT_TRUE(report.obstacles.empty()) << report.obstacles.front();
  EXPECT_TRUE(Has(report.found, "did not end in order"));
  EXPECT_TRUE(Has(report.will_do, "1 fences"));
}

TEST_F(TakeOverTest, ADirectoryThatIsMissingIsNamed) {
  EXPECT_TRUE(Has(Check({"/data/ledgers"}).obstacles, "/data/journal, which was not given"));
  EXPECT_TRUE(Has(Check({"/data/journal", "/data/ledgers", "/data"}).obstacles,
                  "/data is no directory of a bookie"));
}

TEST_F(TakeOverTest, ADatabaseIndexIsAnObstacle) {
  Run(files()->MakeDirectories("/data/ledgers/current/locations"));
  EXPECT_TRUE(Has(Check({"/data/journal", "/data/ledgers"}).obstacles, "DbLedgerStorage"));
  EXPECT_FALSE(world_.Start().ok());
}

TEST_F(TakeOverTest, AMissingJournalFileIsAnObstacle) {
  PutJavaJournal({});
  Run(files()->Remove(StrCat("/data/journal/current/", JournalFileName(101))));
  EXPECT_TRUE(Has(Check({"/data/journal", "/data/ledgers"}).obstacles, "is missing"));
  EXPECT_FALSE(world_.Start().ok());
}

TEST_F(TakeOverTest, DirectoriesOfTwoBookiesAreAnObstacle) {
  Run(ReplaceFile(files(), "/data/journal/current", "VERSION",
                  Buffer::CopyOf("5\nbookieHost: \"other:3181\"\njournalDir: \"/data/journal\"\n"
                                 "ledgerDirs: \"1\\t/data/ledgers\"\n")));
  EXPECT_TRUE(Has(Check({"/data/journal", "/data/ledgers"}).obstacles, "one bookie"));
}

}  // namespace
}  // namespace stele::bookie

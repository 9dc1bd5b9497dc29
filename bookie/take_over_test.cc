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
#include "common/wire/bookie_messages.h"
#include "common/wire/digest.h"

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
    const std::string newest = JavaFileBuilder(6).content();
    Run(ReplaceJournal(files(), backup.content(), newest,
                       {101, static_cast<int64_t>(newest.size())}));
  }

  // The journal is Apache's, checkpointed up to the beginning of file 101.
  void PutJavaJournal(const JavaFileBuilder& newest) {
    Run(ReplaceJournal(files(), JavaFileBuilder(6).content(), newest.content(), {101, 0}));
  }

  // As it lies in a journal.
  static std::string EntryOf(const LedgerRequests& requests, int64_t entry,
                             std::string_view payload) {
    return std::get<wire::AddRequest>(requests.Add(entry, payload).body).body.ToString();
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
                                           std::string newest, JournalMark mark) {
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

// A version of the journal has what its release wrote: keys from 3 on, fences from 4 on, padding
// from 5 on.
TEST_F(TakeOverTest, JournalsOfOlderReleasesAreTakenOver) {
  for (int version = 1; version <= 5; ++version) {
    SCOPED_TRACE(version);
    const LedgerRequests fresh{LedgerId(100 + version)};
    const LedgerRequests fenced{LedgerId(200 + version)};
    JavaFileBuilder file(version);
    file.Record(EntryOf(kRequests, 10 * version, "one")).Flush();
    file.Record(EntryOf(kRequests, 10 * version + 1, "two"));
    const wire::MasterKey master_key = wire::MakeMasterKey(fresh.password);
    const std::string_view key(master_key.data(), master_key.size());
    if (version >= 3) {
      file.Record(MakeMasterKeyRecord(fresh.ledger, key).view());
      file.Record(EntryOf(fresh, 0, "fresh"));
    }
    if (version >= 4) {
      file.Record(MakeMasterKeyRecord(fenced.ledger, key).view());
      file.Record(EntryOf(fenced, 0, "fenced")).Record(MakeFenceRecord(fenced.ledger).view());
    }
    PutJavaJournal(file.Flush().Raw(std::string(1000, '\0')));

    const TakeOverReport report = Check({"/data/journal", "/data/ledgers"});
    EXPECT_TRUE(report.obstacles.empty()) << report.obstacles.front();
    ASSERT_TRUE(world_.Start().ok());
    for (const int64_t entry : {int64_t{0}, int64_t{10} * version, int64_t{10} * version + 1}) {
      EXPECT_EQ(world_.CodeOfCall(kRequests.Read(entry)), ReplyCode::kOk) << entry;
    }
    if (version >= 3) {
      EXPECT_EQ(world_.CodeOfCall(fresh.Read(0)), ReplyCode::kOk);
      EXPECT_EQ(world_.CodeOfCall(fresh.Add(1, "next")), ReplyCode::kOk);
    }
    if (version >= 4) {
      EXPECT_EQ(world_.CodeOfCall(fenced.Read(0)), ReplyCode::kOk);
      EXPECT_EQ(world_.CodeOfCall(fenced.Add(1, "late")), ReplyCode::kFenced);
    }
    ASSERT_TRUE(world_.Stop().ok());
  }
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

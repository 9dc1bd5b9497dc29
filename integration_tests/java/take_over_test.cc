// Our bookies start over the directories of Apache's, and Apache's over what ours have written
// there.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/strings.h"
#include "integration_tests/java/cluster.h"

namespace stele::integration {
namespace {

enum class End { kStopped, kKilled };

struct Case {
  const char* name;
  const char* storage;
  End end;
};

class TakeOverTest : public ::testing::TestWithParam<Case> {
 protected:
  TakeOverTest()
      : cluster_({.bookies = {BookieKind::kJava},
                  .initialised_by = BookieKind::kJava,
                  .configuration = {StrCat("ledgerStorageClass=org.apache.bookkeeper.bookie.",
                                           GetParam().storage)}}) {}

  void EndBookie(End end) {
    if (end == End::kStopped) {
      cluster_.Stop(0);
    } else {
      cluster_.Kill(0);
    }
  }

  // A ledger of 200 entries, closed; one that a living writer lost to a recovery; one that is open.
  void Write(Driver& writer, Driver& recoverer) {
    const std::string options = " e=1 w=1 a=1 digest=crc32c password=pw";
    closed_.push_back(writer.Must(StrCat("create closed", closed_.size(), options)).text);
    writer.Must(StrCat("append closed", closed_.size() - 1, " 5000 200 20"));
    writer.Must(StrCat("close closed", closed_.size() - 1));
    const std::string fenced = writer.Must(StrCat("create fenced", fenced_.size(), options)).text;
    writer.Must(StrCat("append fenced", fenced_.size(), " 100 50 10"));
    recoverer.Must(StrCat("open r ", fenced, " digest=crc32c password=pw recover=1"));
    fenced_.push_back(fenced);
    open_.push_back(writer.Must(StrCat("create open", open_.size(), options)).text);
    writer.Must(StrCat("append open", open_.size() - 1, " 100 100 10"));
  }

  // A client may still have to notice that the connection to the process before is gone, and to
  // learn of the new one: that is no answer of a bookie.
  static Answer DoOnceConnected(Driver& driver, const std::string& command) {
    const absl::Time give_up = absl::Now() + absl::Seconds(60);
    for (;;) {
      Answer answer = driver.Do(command);
      if (answer.error != "ConnectionLost" || absl::Now() > give_up) return answer;
      absl::SleepFor(absl::Milliseconds(200));
    }
  }

  void ExpectAllServed(Driver& reader) {
    const auto expect = [&](const std::string& ledger, const std::string& range,
                            const std::string& wanted) {
      const Answer opened = reader.Must(StrCat("open r ", ledger, " digest=crc32c password=pw"));
      const Answer read = DoOnceConnected(reader, StrCat("read-unconfirmed r ", range));
      EXPECT_EQ(read.text, wanted) << opened.text;
    };
    for (const std::string& ledger : closed_) expect(ledger, "0 199", "200 1000000");
    for (const std::string& ledger : fenced_) expect(ledger, "0 49", "50 5000");
    for (const std::string& ledger : open_) expect(ledger, "0 99", "100 10000");
  }

  // Its writer still lives, and never heard of the recovery that was before the change of hands.
  void ExpectFenceHolds(Driver& writer, int ledger) {
    EXPECT_EQ(writer.Do(StrCat("append fenced", ledger, " 10 1 1")).error, "LedgerFenced");
  }

  // Each file that Apache's bookie has left, from its first to its last record.
  void ExpectDumpsAreWhole() {
    int dumped = 0;
    for (const std::string& root : {cluster_.journal_directory(0), cluster_.ledger_directory(0)}) {
      for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
        const std::string kind = file.path().extension() == ".txn"   ? "journal"
                                 : file.path().extension() == ".idx" ? "index"
                                 : file.path().extension() == ".log" ? "entrylog"
                                                                     : "";
        // An entry log that was prepared and not used has no bytes.
        if (kind.empty() || file.file_size() == 0) continue;
        const Cluster::Output output = cluster_.RunStele({"dump", kind, file.path().string()});
        EXPECT_EQ(output.exit_code, 0) << file.path() << "\n" << output.text.substr(0, 2000);
        ++dumped;
      }
    }
    EXPECT_GE(dumped, 1);
  }

  Cluster cluster_;
  std::vector<std::string> closed_;
  std::vector<std::string> fenced_;
  std::vector<std::string> open_;
};

TEST_P(TakeOverTest, ThereAndBack) {
  const auto writer = cluster_.Connect(ClientKind::kJavaV3);
  const auto ours = cluster_.Connect(ClientKind::kStele);
  Write(*writer, *ours);
  EndBookie(GetParam().end);
  ExpectDumpsAreWhole();

  const Cluster::Output check = cluster_.RunStele(
      {"takeover", "check", cluster_.journal_directory(0), cluster_.ledger_directory(0)});
  EXPECT_EQ(check.exit_code, 0) << check.text;
  EXPECT_TRUE(absl::StrContains(check.text, "\nyes: ")) << check.text;
  cluster_.Start(0, BookieKind::kStele);
  {
    SCOPED_TRACE("ours over Apache's");
    ExpectAllServed(*ours);
    ExpectAllServed(*writer);
    ExpectFenceHolds(*writer, 0);
    // The ledger whose writer still lives goes on.
    writer->Must("append open0 100 1 1");
    Write(*ours, *writer);
    ExpectAllServed(*writer);
  }

  // And back. What is in our journals only is replayed by Apache's bookie.
  EndBookie(GetParam().end);
  cluster_.Start(0, BookieKind::kJava);
  {
    SCOPED_TRACE("Apache's over ours");
    ExpectAllServed(*writer);
    ExpectAllServed(*ours);
    ExpectFenceHolds(*ours, 1);
    Write(*writer, *ours);
  }
  EndBookie(End::kStopped);
  cluster_.Start(0, BookieKind::kStele);
  SCOPED_TRACE("ours again");
  ExpectAllServed(*writer);
  ExpectFenceHolds(*writer, 2);
}

INSTANTIATE_TEST_SUITE_P(
    Storage, TakeOverTest,
    ::testing::Values(Case{"SortedStopped", "SortedLedgerStorage", End::kStopped},
                      Case{"SortedKilled", "SortedLedgerStorage", End::kKilled},
                      Case{"InterleavedStopped", "InterleavedLedgerStorage", End::kStopped},
                      Case{"InterleavedKilled", "InterleavedLedgerStorage", End::kKilled}),
    [](const ::testing::TestParamInfo<Case>& info) { return info.param.name; });

// Its index is a database that our bookie cannot read: to answer "no such entry" would be a lie.
TEST(TakeOverRefusalTest, DbLedgerStorageIsRefusedInPlainWords) {
  Cluster cluster(
      {.bookies = {BookieKind::kJava},
       .initialised_by = BookieKind::kJava,
       .configuration = {
           "ledgerStorageClass=org.apache.bookkeeper.bookie.storage.ldb.DbLedgerStorage",
           "dbStorage_writeCacheMaxSizeMb=16", "dbStorage_readAheadCacheMaxSizeMb=16"}});
  cluster.Stop(0);
  const Cluster::Output check = cluster.RunStele(
      {"takeover", "check", cluster.journal_directory(0), cluster.ledger_directory(0)});
  EXPECT_NE(check.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(check.text, "DbLedgerStorage")) << check.text;
  const Cluster::Output start =
      cluster.RunStele({"bookie", "--conf", cluster.config_path(0), "--set",
                        "ledgerStorageClass=org.apache.bookkeeper.bookie.SortedLedgerStorage"});
  EXPECT_NE(start.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(start.text, "DbLedgerStorage")) << start.text;
}

// Apache's bookie knows nothing of such an index: it would serve no ledger.
TEST(TakeOverRefusalTest, ApachesDoesNotStartOverAnIndexInExtents) {
  Cluster cluster(
      {.bookies = {BookieKind::kStele},
       .initialised_by = BookieKind::kJava,
       .configuration = {"ledgerStorageClass=org.apache.bookkeeper.bookie.SortedLedgerStorage"}});
  cluster.Stop(0);
  cluster.Configure(0, {"stele.indexFormat=extents"});
  cluster.Start(0);
  const auto client = cluster.Connect(ClientKind::kStele);
  const std::string ledger = client->Must("create w e=1 w=1 a=1 digest=crc32c password=pw").text;
  client->Must("append w 100 50 10");
  client->Must("close w");
  cluster.Stop(0);
  const Cluster::Output start = cluster.RunBookie(0, BookieKind::kJava);
  EXPECT_NE(start.exit_code, 0);
  EXPECT_TRUE(
      absl::StrContains(start.text, "Start stele bookie with stele.indexFormat=files first"))
      << start.text;
  cluster.Configure(0, {"stele.indexFormat=files"});
  cluster.Start(0);
  cluster.Stop(0);
  cluster.Start(0, BookieKind::kJava);
  const auto reader = cluster.Connect(ClientKind::kStele);
  reader->Must(StrCat("open r ", ledger, " digest=crc32c password=pw"));
  EXPECT_EQ(reader->Must("read-unconfirmed r 0 49").text, "50 5000");
}

}  // namespace
}  // namespace stele::integration

// What the storage finds when it opens: moves and compactions that a Java bookie left half done,
// names that are nobody's, files that an earlier process had not finished.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/index_format.h"
#include "bookie/storage/storage_rig.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;

constexpr LedgerId kLedger{0x109};
constexpr LedgerId kOther{6};

std::string Index(LedgerId ledger) { return MakeIndexHeader({.master_key = KeyOf(ledger)}); }

struct StorageOpenTest : testing::Test, StorageRig {
  StorageOpenTest() : StorageRig(/*seed=*/1, /*directories=*/2) {}
};

TEST_F(StorageOpenTest, AMovedIndexFileTakesItsNameUnlessTheOriginalIsThere) {
  CreateFile("/d0/1/9/109.idx.rloc", Index(kLedger));
  CreateFile("/d0/0/6/6.idx.rloc", Index(kLedger));  // cut short, say: the original counts
  CreateFile("/d1/0/6/6.idx", Index(kOther));
  MustOpen();
  EXPECT_EQ(storage->Ledgers(), (std::vector<LedgerId>{kOther, kLedger}));
  EXPECT_EQ(MustLoad(kLedger)->master_key, KeyOf(kLedger));
  EXPECT_EQ(MustLoad(kOther)->master_key, KeyOf(kOther));
  EXPECT_TRUE(Exists("/d0/1/9/109.idx"));
  EXPECT_FALSE(Exists("/d0/1/9/109.idx.rloc"));
  EXPECT_FALSE(Exists("/d0/0/6/6.idx.rloc"));
  PowerCut();
  EXPECT_TRUE(Exists("/d0/1/9/109.idx"));
}

TEST_F(StorageOpenTest, FilesThatAreNotOursAreLeftAlone) {
  const std::vector<std::string> foreign = {
      "/d0/VERSION",  "/d0/1/9/10a.idx",     "/d0/1/9/0109.idx", "/d0/01/9/109.idx",
      "/d0/1/9/text", "/d0/lost+found/x",    "/d0/1/9.txt",      "/d0/0A.log",
      "/d0/x.log",    "/d0/metadata-cache/y"};
  for (const std::string& path : foreign) CreateFile(path, "foreign");
  CreateFile("/d0/3", "a file that is named like a directory");
  MustOpen();
  EXPECT_TRUE(storage->Ledgers().empty());
  EXPECT_EQ(storage->Stats().entry_logs, 0);
  for (const std::string& path : foreign) EXPECT_TRUE(Exists(path)) << path;
}

TEST_F(StorageOpenTest, UnfinishedIndexFilesOfOursAreRemoved) {
  CreateFile("/d0/1/9/109.idx.tmp", "half");
  MustOpen();
  EXPECT_FALSE(Exists("/d0/1/9/109.idx.tmp"));
  EXPECT_TRUE(storage->Ledgers().empty());
}

TEST_F(StorageOpenTest, InterruptedCompactionsOfJavaLeaveTheSource) {
  const std::string log = MakeEntryLogStart({});
  CreateFile("/d0/4e.log", log);
  CreateFile("/d1/1f5.log.compacting", log);
  CreateFile("/d1/1f6.log.4e.compacted", log);  // the source is there
  CreateFile("/d1/1f7.log", log);
  CreateFile("/d1/1f7.log.4d.compacted", log);  // published
  CreateFile("/d1/1f8.log.4c.compacted", log);  // neither: somebody must look at it
  MustOpen();
  EXPECT_EQ(storage->Stats().entry_logs, 2);
  EXPECT_FALSE(Exists("/d1/1f5.log.compacting"));
  EXPECT_FALSE(Exists("/d1/1f6.log.4e.compacted"));
  EXPECT_FALSE(Exists("/d1/1f7.log.4d.compacted"));
  EXPECT_TRUE(Exists("/d1/1f8.log.4c.compacted"));
}

TEST_F(StorageOpenTest, DirectoriesOfAnotherStorageAreRefused) {
  CreateFile("/d1/locations/000001.sst", "");
  EXPECT_EQ(CodeOf(Open()), ErrorCode::kUnsupported);
}

TEST_F(StorageOpenTest, TwoLogsOfOneIdAreRefused) {
  CreateFile("/d0/7.log", "");
  CreateFile("/d1/7.log", "");
  EXPECT_EQ(CodeOf(Open()), ErrorCode::kCorruptData);
}

TEST_F(StorageOpenTest, AnErrorWhileEnumeratingIsNotAnAbsence) {
  CreateFile("/d0/1/9/109.idx", Index(kLedger));
  for (const char* path : {"/d0", "/d0/1", "/d0/1/9"}) {
    faults.Set([&](const simulation::FileRequest& request) {
      return request.operation == FileOperation::kList && request.path == path
                 ? MakeError(ErrorCode::kIoError, "injected")
                 : absl::OkStatus();
    });
    EXPECT_EQ(CodeOf(Open()), ErrorCode::kIoError) << path;
  }
}

TEST_F(StorageOpenTest, OptionsOutOfRangeAreRefused) {
  const StorageOptions good = options;
  const auto code_with = [&](auto change) {
    options = good;
    change();
    const ErrorCode code = CodeOf(Open());
    options = good;
    return code;
  };
  EXPECT_EQ(code_with([&] { options.ledger_directories.clear(); }), ErrorCode::kConfig);
  EXPECT_EQ(code_with([&] { options.entry_log_size_max_bytes = 4096; }), ErrorCode::kConfig);
  EXPECT_EQ(code_with([&] { options.entry_log_size_max_bytes = 1ull << 31; }), ErrorCode::kConfig);
  EXPECT_EQ(code_with([&] { options.memtable_max_bytes = 0; }), ErrorCode::kConfig);
  EXPECT_EQ(code_with([&] { options.disk_usage_threshold = 0; }), ErrorCode::kConfig);
  EXPECT_EQ(code_with([&] { options.disk_usage_threshold = 1.5; }), ErrorCode::kConfig);
  EXPECT_EQ(code_with([&] { options.index_directories.assign(257, "/d0"); }), ErrorCode::kConfig);
  EXPECT_EQ(code_with([&] {}), ErrorCode::kOk);
}

TEST_F(StorageOpenTest, LogIdsGoOnBehindTheHighestKnownAndPassOverThoseInUse) {
  int64_t ledger_number = 100;
  for (const auto& [last_id, expected] : std::vector<std::pair<std::string, std::string>>{
           {"1f5\n", "1f6.log"}, {"7fffffff\n", "1.log"}, {"text", "1.log"}, {"", "1.log"}}) {
    SCOPED_TRACE(last_id);
    CreateFile("/d0/0.log", MakeEntryLogStart({}));
    CreateFile("/d1/lastId", last_id);
    if (Exists("/d0/lastId")) RemoveFile("/d0/lastId");
    MustOpen();
    const LedgerId ledger(++ledger_number);
    MustPut(ledger, EntryId(0));
    MustFlush();
    ASSERT_EQ(EntryLogFiles(0), (std::vector<std::string>{"0.log", expected}));
    EXPECT_TRUE(Read(ledger, EntryId(0)).ok());
    Kill();
    RemoveFile(StrCat("/d0/", expected));
  }
}

TEST_F(StorageOpenTest, IndexesMayLieElsewhere) {
  options.ledger_directories = {"/d0"};
  options.index_directories = {"/d1"};
  MustOpen();
  MustPut(kLedger, EntryId(0));
  MustFlush();
  EXPECT_TRUE(Exists("/d1/1/9/109.idx"));
  EXPECT_FALSE(Exists("/d0/1"));
  PowerCut();
  MustOpen();
  EXPECT_TRUE(Read(kLedger, EntryId(0)).ok());
}

}  // namespace
}  // namespace stele::bookie

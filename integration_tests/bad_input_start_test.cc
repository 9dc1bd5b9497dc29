// What a bookie makes of files, configuration, command lines and signals that are not as they
// should be. The numbers are the rows of the list of bad inputs that this project keeps itself to.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <signal.h>

#include "bookie/testing/wire_client.h"
#include "common/base/strings.h"
#include "common/real/process_limits.h"
#include "integration_tests/child_process.h"
#include "integration_tests/live_bookie.h"

namespace stele::integration {
namespace {

namespace fs = std::filesystem;
using bookie::LedgerRequests;
using wire::ReplyCode;

const LedgerRequests kRequests{LedgerId(1)};
constexpr int64_t kEntries = 200;

// Exit codes, from docs/CLI.md.
constexpr int kUsage = 2;
constexpr int kUnavailable = 4;
constexpr int kDamaged = 6;
constexpr int kUnauthorized = 7;

std::string PayloadOf(int64_t entry) { return StrCat("payload of entry ", entry); }

void AddEntries(const LiveBookie& bookie) {
  real::RawPeer peer(bookie.endpoint());
  for (int64_t entry = 0; entry < kEntries; ++entry) {
    peer.Send(FrameOf(kRequests.Add(entry, PayloadOf(entry), entry - 1)));
    ASSERT_EQ(ReceiveReply(peer).code, ReplyCode::kOk);
  }
}

// What reading all entries gives: never an entry with other bytes, never "no such entry".
void ExpectTrueOrUnknown(const LiveBookie& bookie, ReplyCode if_unknown) {
  real::RawPeer peer(bookie.endpoint());
  for (int64_t entry = 0; entry < kEntries; ++entry) {
    peer.Send(FrameOf(kRequests.Read(entry)));
    const wire::Reply reply = ReceiveReply(peer);
    if (reply.code == ReplyCode::kOk) {
      EXPECT_EQ(kRequests.PayloadOf(std::get<wire::ReadReply>(reply.body).body, entry),
                PayloadOf(entry));
    } else {
      EXPECT_EQ(reply.code, if_unknown) << entry;
    }
  }
}

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void WriteFile(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Of several the first by name: the journal of the last run, before the file prepared behind it.
fs::path FirstFile(const fs::path& directory, const std::string& extension) {
  fs::path found;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const fs::path& path = entry.path();
    if (path.extension() == extension && (found.empty() || path < found)) found = path;
  }
  EXPECT_FALSE(found.empty()) << extension;
  return found;
}

// ---- Files

struct Damage {
  const char* name;
  std::function<std::string(std::string)> change;
  int exit_code;  // 0: it starts
};

TEST(BadInputJournalTest, Row35DamagedJournalsAreRecoveredOrRefused) {
  LiveBookie bookie({.settings = {"flushInterval=3600000"}});
  AddEntries(bookie);
  bookie.Kill();
  const fs::path journal = FirstFile(bookie.directory() + "/data/journal", ".txn");
  const std::string good = ReadFile(journal);
  ASSERT_GT(good.size(), 64u << 10);
  const fs::path data = bookie.directory() + "/data";
  const fs::path saved = bookie.directory() + "/saved";
  fs::copy(data, saved, fs::copy_options::recursive);
  const auto with = [](size_t at, const std::string& bytes) {
    return [=](std::string file) { return file.replace(at, bytes.size(), bytes); };
  };
  // The first batch begins with a record for certain; a journal that falls idle writes empty ones.
  const Damage damages[] = {
      {"garbage", [](std::string file) { return std::string(file.size(), 'g'); }, kDamaged},
      {"a block in the middle", with(16'384, std::string(4096, '\xff')), kDamaged},
      {"a length of 2^31-1", with(4096, "\x7f\xff\xff\xff"), kDamaged},
      {"a negative length", with(4096, "\xff\xff\xff\x00"), kDamaged},
      {"a length of 1", with(4096, std::string("\0\0\0\1", 4)), kDamaged},
      {"as it was", [](std::string file) { return file; }, 0},
  };
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.name);
    fs::remove_all(data);
    fs::copy(saved, data, fs::copy_options::recursive);
    WriteFile(journal, damage.change(good));
    const bool started = bookie.Start();
    EXPECT_EQ(started ? 0 : bookie.exit_code(), damage.exit_code) << bookie.log();
    if (!started) continue;
    ExpectTrueOrUnknown(bookie, ReplyCode::kOk);
    bookie.Kill();
  }
}

TEST(BadInputStorageTest, Row36Row37DamagedLogsAndIndexesAreNeverNoSuchEntry) {
  LiveBookie bookie({});
  AddEntries(bookie);
  ASSERT_EQ(bookie.Stop(), 0);
  const fs::path ledgers = bookie.directory() + "/data/ledgers";
  const fs::path log = FirstFile(ledgers, ".log");
  const fs::path index = FirstFile(ledgers, ".idx");
  const std::string good_log = ReadFile(log);
  const std::string good_index = ReadFile(index);
  const auto run = [&](const char* name, const fs::path& file, const std::string& bytes,
                       ReplyCode if_unknown) {
    SCOPED_TRACE(name);
    WriteFile(file, bytes);
    ASSERT_TRUE(bookie.Start()) << bookie.log();
    ExpectTrueOrUnknown(bookie, if_unknown);
    // Others are not concerned.
    const LedgerRequests other{LedgerId(2)};
    EXPECT_EQ(CallOnce(bookie.endpoint(), other.Add(0, "x")).code, ReplyCode::kOk);
    bookie.Kill();
    WriteFile(log, good_log);
    WriteFile(index, good_index);
  };
  run("log header zeroed", log, std::string(good_log).replace(0, 1024, std::string(1024, '\0')),
      ReplyCode::kOk);
  run("log of one byte", log, "B", ReplyCode::kIoError);
  run("log of zeroes", log, std::string(good_log.size(), '\0'), ReplyCode::kIoError);
  run("log of text", log, std::string(good_log.size(), 't'), ReplyCode::kIoError);
  run("index of text", index, std::string(good_index.size(), 't'), ReplyCode::kIoError);
  run("index cut in its header", index, good_index.substr(0, 500), ReplyCode::kUnknownLedgerState);
  run("index cut behind its header", index, good_index.substr(0, 1024),
      ReplyCode::kUnknownLedgerState);
  // Zeroes are what entries of other bookies have.
  run("locations of zeroes", index,
      good_index.substr(0, 1024) + std::string(good_index.size() - 1024, '\0'),
      ReplyCode::kUnknownLedgerState);
  run("a sector of zeroes", index,
      std::string(good_index).replace(1024 + 512, 512, std::string(512, '\0')),
      ReplyCode::kIoError);
  run("locations of nowhere", index,
      good_index.substr(0, 1024) + std::string(good_index.size() - 1024, '\x7f'),
      ReplyCode::kIoError);
}

TEST(BadInputSmallFilesTest, Row37SmallFilesAreNeverGuessed) {
  LiveBookie bookie({});
  AddEntries(bookie);
  ASSERT_EQ(bookie.Stop(), 0);
  const fs::path current = bookie.directory() + "/data/ledgers/current";
  const std::string cookie = ReadFile(current / "VERSION");
  for (const std::string& bytes :
       {std::string(), cookie.substr(0, cookie.size() / 2), std::string(1 << 20, 't')}) {
    WriteFile(current / "VERSION", bytes);
    EXPECT_FALSE(bookie.Start());
    EXPECT_TRUE(bookie.exit_code() == kDamaged || bookie.exit_code() == kUnauthorized)
        << bookie.exit_code() << bookie.log();
  }
  WriteFile(current / "VERSION", cookie);
  ASSERT_TRUE(fs::exists(current / "lastMark"));
  for (const std::string& bytes : {std::string(), std::string("text"), std::string(1 << 20, 't')}) {
    WriteFile(current / "lastMark", bytes);
    // Without a mark everything is replayed.
    ASSERT_TRUE(bookie.Start()) << bookie.log();
    ExpectTrueOrUnknown(bookie, ReplyCode::kOk);
    bookie.Kill();
  }
}

// ---- Configuration and command line

class BadInputConfigTest : public testing::Test {
 protected:
  BadInputConfigTest()
      : directory_(StrCat(std::getenv("TEST_TMPDIR"), "/",
                          testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(directory_);
  }
  ~BadInputConfigTest() override { fs::remove_all(directory_); }

  // Runs `stele bookie` with these arguments; it must end by itself with this code and say these
  // words.
  void ExpectRefused(std::vector<std::string> arguments, int exit_code,
                     const std::vector<std::string>& words) {
    arguments.insert(arguments.begin(), {SteleProgram(), "bookie"});
    const std::string output = directory_ + "/output";
    const auto process = ChildProcess::Start({.argv = std::move(arguments), .output_path = output});
    EXPECT_EQ(process->Wait(), exit_code);
    said_ = ReadFile(output);
    for (const std::string& word : words) {
      EXPECT_NE(said_.find(word), std::string::npos) << word << " in: " << said_;
    }
  }
  void ExpectConfigRefused(const std::string& text, const std::vector<std::string>& words) {
    WriteFile(directory_ + "/bk_server.conf", text);
    ExpectRefused({"--conf", directory_ + "/bk_server.conf"}, kUsage, words);
  }
  std::vector<std::string> Arguments(std::vector<std::string> more) const {
    return Arguments(directory_ + "/data", std::move(more));
  }
  std::vector<std::string> Arguments(const std::string& data, std::vector<std::string> more) const {
    std::vector<std::string> arguments = {
        "--init", "--metadata", StrCat("sqlite://", directory_, "/metadata.db"),
        "--data", data,         "--port",
        "0",      "--set",      "bookieId=bookie-2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  const std::string directory_;
  std::string said_;
};

TEST_F(BadInputConfigTest, Row50FilesNameKeyAndLine) {
  ExpectConfigRefused("# a comment\njournalMaxSizeM=1\n", {"line 2", "journalMaxSizeMB"});
  ExpectConfigRefused("flushInterval=1\nflushInterval=2\n", {"line 2", "flushInterval", "line 1"});
  ExpectConfigRefused("flushInterval=soon\n", {"line 1", "flushInterval", "soon"});
  ExpectConfigRefused("\nlogSizeLimit=-1\n", {"line 2", "logSizeLimit"});
  ExpectConfigRefused("diskUsageThreshold=0.5\ndiskUsageLwmThreshold=0.9\n",
                      {"diskUsageLwmThreshold"});
  ExpectConfigRefused("bookieId=\xff\xfe\n", {"line 1", "UTF-8"});
  ExpectConfigRefused("journalSyncData=false\n", {"line 1", "journalSyncData"});
  // Whom the file turns away would be served.
  ExpectConfigRefused("bookieAuthProviderFactoryClass=org.example.Plugin\n",
                      {"line 1", "bookieAuthProviderFactoryClass", "org.example.Plugin"});
  ExpectConfigRefused("permittedStartupUsers=nobody-of-here, nor-her\n", {"permittedStartupUsers"});
  const LiveBookie of_permitted(
      {.settings = {StrCat("permittedStartupUsers=nobody-of-here, ", real::UserName())}});
  const std::string huge = directory_ + "/huge.conf";
  WriteFile(huge, "");
  fs::resize_file(huge, 1 << 30);
  ExpectRefused({"--conf", huge}, kDamaged, {"huge.conf"});
}

TEST_F(BadInputConfigTest, Row51DirectoriesOfAnotherBookieAreRefused) {
  LiveBookie bookie({});
  const std::string data = bookie.directory() + "/data";
  // While it runs it holds them; afterwards its cookie does.
  ExpectRefused(Arguments(data, {}), kUnavailable, {data});
  ASSERT_EQ(bookie.Stop(), 0);
  ExpectRefused(Arguments(data, {}), kUnauthorized, {"bookie-1"});
  // A file where a directory should be.
  WriteFile(directory_ + "/data", "");
  ExpectRefused(Arguments({}), 1, {directory_ + "/data"});
}

TEST_F(BadInputConfigTest, Row52AddressesAndUris) {
  ExpectRefused(Arguments({"--port", "65536"}), kUsage, {"65536"});
  ExpectRefused(Arguments({"--port", "-1"}), kUsage, {"-1"});
  ExpectRefused(Arguments({"--set", "bookiePort=65536"}), kUsage, {"bookiePort", "65535"});
  for (const char* uri : {"zk://user:secret@host:2181/ledgers", "zk://host:65536/ledgers",
                          "zk://:2181/ledgers", "http://host/ledgers", "sqlite://", "ledgers"}) {
    ExpectRefused({"--data", directory_, "--port", "0", "--set", "bookieId=b", "--metadata", uri},
                  kUsage, {});
    EXPECT_EQ(said_.find("secret"), std::string::npos) << said_;
  }
}

TEST_F(BadInputConfigTest, AMistypedMetadataFileIsNotMade) {
  ExpectRefused({"--metadata", StrCat("sqlite://", directory_, "/typo.db"), "--data",
                 directory_ + "/data", "--port", "0", "--set", "bookieId=b"},
                kUsage, {"typo.db", "stele cluster init"});
  EXPECT_FALSE(fs::exists(directory_ + "/typo.db"));
}

// ---- Signals

TEST(BadInputSignalTest, Row55StormsOfSignals) {
  LiveBookie bookie({});
  {
    HealthyWriter writer(bookie.endpoint());
    for (int i = 0; i < 1'000; ++i) {
      bookie.Signal(SIGHUP);
      if (i % 10 == 0) bookie.Signal(SIGPIPE);
    }
    EXPECT_TRUE(writer.AwaitProgress());
  }  // it ends before its bookie does
  EXPECT_EQ(bookie.Stop(), 0) << bookie.log();
}

// Before the program has a handler SIGTERM ends it as it ends any program; from then on it stops
// cleanly, also when it has not served yet. Neither costs what was acknowledged.
TEST(BadInputSignalTest, Row55TermDuringTheStart) {
  LiveBookie bookie({});
  AddEntries(bookie);
  bookie.Kill();
  for (int i = 0; i < 12; ++i) {
    const int exit_code = bookie.StartAndStop(i * absl::Milliseconds(10));
    EXPECT_TRUE(exit_code == 0 || exit_code == 128 + SIGTERM) << exit_code << bookie.log();
  }
  ASSERT_TRUE(bookie.Start()) << bookie.log();
  ExpectTrueOrUnknown(bookie, ReplyCode::kOk);
  EXPECT_EQ(bookie.Stop(), 0);
}

TEST(BadInputSignalTest, Row55TermTwice) {
  LiveBookie bookie({});
  AddEntries(bookie);
  bookie.Signal(SIGTERM);
  bookie.Signal(SIGTERM);
  const int exit_code = bookie.Stop();
  // A clean stop that was faster than the second signal, or the end where it stood.
  EXPECT_TRUE(exit_code == 0 || exit_code == 1) << exit_code;
  ASSERT_TRUE(bookie.Start()) << bookie.log();
  ExpectTrueOrUnknown(bookie, ReplyCode::kOk);
  EXPECT_EQ(bookie.Stop(), 0);
}

}  // namespace
}  // namespace stele::integration

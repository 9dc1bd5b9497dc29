// What the rarer answers of our bookies do to Apache's clients, which speak v3 and v2: "cannot be
// read", "in doubt", and no answer at all.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "common/base/strings.h"
#include "integration_tests/java/cluster.h"

namespace stele::integration {
namespace {

namespace fs = std::filesystem;

constexpr size_t kVictim = 1;

// Files of a stopped bookie, by path.
class SavedFiles {
 public:
  void Save(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    bytes_[file] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  bool empty() const { return bytes_.empty(); }
  void Remove() const {
    for (const auto& [path, bytes] : bytes_) fs::remove(path);
  }
  void OverwriteWithZeroes() const {
    for (const auto& [path, bytes] : bytes_) Write(path, std::string(bytes.size(), '\0'));
  }
  void Restore() const {
    for (const auto& [path, bytes] : bytes_) Write(path, bytes);
  }

 private:
  static void Write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  std::map<fs::path, std::string> bytes_;
};

class AnswersTest : public ::testing::TestWithParam<ClientKind> {
 protected:
  static void SetUpTestSuite() {
    cluster_ =
        new Cluster({.bookies = {BookieKind::kStele, BookieKind::kStele, BookieKind::kStele}});
  }
  static void TearDownTestSuite() {
    client_.reset();
    delete cluster_;
  }
  void SetUp() override {
    if (client_ != nullptr && kind_ == GetParam()) return;
    kind_ = GetParam();
    client_ = cluster_->Connect(kind_);
  }

  static std::string Fragments(const std::string& ledger) {
    return client_->Must("metadata " + ledger).Value("fragments");
  }
  static bool IsOnVictim(const std::string& ledger) {
    return absl::StrContains(Fragments(ledger), cluster_->bookie_id(kVictim));
  }
  // Twenty entries, and the ledger is open still.
  static std::string LedgerOnVictim(const std::string& name, const std::string& options) {
    for (;;) {
      std::string ledger = client_->Must(StrCat("create ", name, " ", options)).text;
      if (!IsOnVictim(ledger)) continue;
      EXPECT_EQ(client_->Must(StrCat("append ", name, " 100 20 1")).text, "19");
      return ledger;
    }
  }
  // Until the client has heard of it: it resolves the names of registered bookies only.
  static void StartVictim() {
    cluster_->Start(kVictim);
    const absl::Time give_up = absl::Now() + absl::Minutes(1);
    while (client_->Must("admin-bookies").Value("writable") != "3") {
      ASSERT_LT(absl::Now(), give_up);
    }
  }
  // Of those in the victim's ledger directory the ones whose names these are, or end so.
  static SavedFiles Save(const std::vector<std::string>& names) {
    SavedFiles files;
    for (const auto& file : fs::recursive_directory_iterator(cluster_->ledger_directory(kVictim))) {
      const std::string path = file.path();
      if (std::any_of(names.begin(), names.end(),
                      [&](const std::string& name) { return path.ends_with(name); })) {
        files.Save(file.path());
      }
    }
    EXPECT_FALSE(files.empty());
    return files;
  }
  static std::string IndexOf(const std::string& ledger) {
    std::ostringstream name;
    name << "/" << std::hex << std::stoll(ledger) << ".idx";
    return name.str();
  }

  // By clients that have just come, so that their connections are to the process that runs now.
  // They read from somebody else what the victim cannot read; where there is nobody else, nothing
  // that it says is taken for the end of the ledger.
  static void ExpectDoubtIsNoAnswer(const std::string& copied, const std::string& alone) {
    for (const ClientKind kind : {kind_, ClientKind::kStele}) {
      const auto reader = cluster_->Connect(kind);
      reader->Must("open r " + copied);
      EXPECT_EQ(reader->Must("read r 0 19").text, "20 2000");
      const Answer opened = reader->Do(StrCat("open r ", alone, " recover=1"));
      EXPECT_EQ(opened.error, "RecoveryFailed") << opened.text;
      EXPECT_NE(reader->Must("metadata " + alone).Value("state"), "closed");
    }
  }
  static void ExpectRecovered(const std::string& ledger) {
    const auto reader = cluster_->Connect(kind_);
    EXPECT_EQ(reader->Must(StrCat("open r ", ledger, " recover=1")).text, "19 closed");
    EXPECT_EQ(reader->Must("read r 0 19").text, "20 2000");
  }

  static ClientKind kind_;
  static Cluster* cluster_;
  static std::unique_ptr<Driver> client_;
};

ClientKind AnswersTest::kind_;
Cluster* AnswersTest::cluster_ = nullptr;
std::unique_ptr<Driver> AnswersTest::client_;

TEST_P(AnswersTest, WhatCannotBeReadIsReadElsewhereAndIsNeverTheEnd) {
  const std::string copied = LedgerOnVictim("copied", "e=2 w=2 a=2");
  client_->Must("close copied");
  const std::string alone = LedgerOnVictim("alone", "e=1 w=1 a=1");
  const std::string written = LedgerOnVictim("written", "e=3 w=3 a=3");
  cluster_->Stop(kVictim);
  const SavedFiles logs = Save({".log"});
  logs.OverwriteWithZeroes();
  StartVictim();

  ExpectDoubtIsNoAnswer(copied, alone);
  // The connection has carried the refusals and lives, and who cannot read may be written to.
  const std::string fragments = Fragments(written);
  EXPECT_EQ(client_->Must("append written 100 20 5").text, "39");
  EXPECT_EQ(Fragments(written), fragments);

  cluster_->Stop(kVictim);
  logs.Restore();
  StartVictim();
  ExpectRecovered(alone);
}

// Code 507 of v3. In v2 it would be 107, at which Apache's client closes its connection.
TEST_P(AnswersTest, ALedgerInDoubtIsReadElsewhereAndIsNeverTheEnd) {
  const std::string copied = LedgerOnVictim("copied", "e=2 w=2 a=2");
  client_->Must("close copied");
  const std::string alone = LedgerOnVictim("alone", "e=1 w=1 a=1");
  const std::string written = LedgerOnVictim("written", "e=2 w=2 a=2");
  const std::string healthy = LedgerOnVictim("healthy", "e=3 w=3 a=3");
  cluster_->Stop(kVictim);
  const SavedFiles indexes = Save({IndexOf(copied), IndexOf(alone), IndexOf(written)});
  indexes.Remove();
  StartVictim();

  const std::string log = cluster_->directory() + "/acks-" + healthy;
  client_->Must("load healthy 100 50 " + log);
  ExpectDoubtIsNoAnswer(copied, alone);
  // A bookie that does not know the ledger's state is replaced.
  EXPECT_EQ(client_->Must("append written 100 20 5").text, "39");
  const std::string fragments = Fragments(written);
  EXPECT_FALSE(
      absl::StrContains(fragments.substr(fragments.find(';') + 1), cluster_->bookie_id(kVictim)))
      << fragments;
  // Requests beside the refused ones on the same connection have noticed nothing.
  const Answer stopped = client_->Must("load-stop healthy");
  EXPECT_TRUE(stopped.text.ends_with(" -")) << stopped.text;
  EXPECT_EQ(Fragments(healthy).find(';'), std::string::npos) << Fragments(healthy);

  cluster_->Stop(kVictim);
  indexes.Restore();
  StartVictim();
  ExpectRecovered(alone);
}

// The frame is cut off, and no other bookie takes it either: an error, and what was acknowledged
// before stays.
TEST_P(AnswersTest, AnEntryAboveTheFrameLimitEndsTheWriterAndLosesNothing) {
  const std::string ledger = LedgerOnVictim("w", "e=3 w=3 a=2 digest=crc32c");
  const size_t one_too_many = 5 * 1024 * 1024 - 64 + 1;
  const Answer refused = client_->Do(StrCat("append w ", one_too_many, " 1 1"));
  EXPECT_EQ(refused.error, "NotEnoughBookies") << refused.text;
  EXPECT_EQ(client_->Must(StrCat("open r ", ledger, " digest=crc32c recover=1")).text, "19 closed");
  EXPECT_EQ(client_->Must("read r 0 19").text, "20 2000");
  LedgerOnVictim("next", "e=3 w=3 a=3");
}

// Apache's v2 client asks for it in v3 on its connection of v2 and cannot read an answer in v3.
TEST_P(AnswersTest, TheListOfEntriesIsForV3AndCostsV2NoMoreThanAConnection) {
  const std::string ledger = LedgerOnVictim("w", "e=3 w=3 a=3");
  const Answer list =
      client_->Do(StrCat("list-entries ", cluster_->bookie_id(kVictim), " ", ledger));
  if (GetParam() == ClientKind::kJavaV3) {
    EXPECT_EQ(list.text, "20 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19");
  } else {
    EXPECT_EQ(list.error, "ConnectionLost") << list.text;
  }
  const std::string fragments = Fragments(ledger);
  EXPECT_EQ(client_->Must("append w 100 20 5").text, "39");
  EXPECT_EQ(Fragments(ledger), fragments);
}

INSTANTIATE_TEST_SUITE_P(Drop, AnswersTest,
                         ::testing::Values(ClientKind::kJavaV3, ClientKind::kJavaV2),
                         [](const ::testing::TestParamInfo<ClientKind>& info) {
                           return std::string(NameOf(info.param));
                         });

}  // namespace
}  // namespace stele::integration

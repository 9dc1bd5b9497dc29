// What Apache's own code stores (testdata/apache.txt) is understood, and stored again as the same
// bytes.
#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "metadata/cookie.h"
#include "metadata/ledger_layout.h"
#include "metadata/ledger_metadata_codec.h"

namespace stele::metadata {
namespace {

// Lines "NAME HEX", printed by integration_tests/java/MetadataRecorder.java.
std::map<std::string, std::string> Recorded(const std::string& prefix) {
  std::map<std::string, std::string> recorded;
  std::ifstream file("metadata/testdata/apache.txt");
  for (std::string name, hex; file >> name >> hex;) {
    if (name.starts_with(prefix)) recorded[name] = absl::HexStringToBytes(hex);
  }
  return recorded;
}

LedgerMetadata Ledger(const std::string& name) {
  const auto parsed = ParseLedgerMetadata(Recorded(name).at(name));
  EXPECT_TRUE(parsed.ok()) << name << ": " << parsed.status();
  return *parsed;
}

TEST(ApacheBytesTest, LedgersAreStoredAgainAsTheyWere) {
  const auto recorded = Recorded("ledger.");
  EXPECT_EQ(recorded.size(), 29u);
  for (const auto& [name, bytes] : recorded) {
    const auto parsed = ParseLedgerMetadata(bytes);
    ASSERT_TRUE(parsed.ok()) << name << ": " << parsed.status();
    const auto again = SerializeLedgerMetadata(*parsed);
    ASSERT_TRUE(again.ok()) << name << ": " << again.status();
    if (name == "ledger.v2.all_bytes") {
      // Java writes some control characters as letters; all readers take both.
      EXPECT_EQ(*ParseLedgerMetadata(*again), *parsed);
    } else {
      EXPECT_EQ(*again, bytes) << name;
    }
  }
}

TEST(ApacheBytesTest, EachFieldOfALedgerIsFound) {
  for (const std::string version : {"1", "2", "3"}) {
    const std::string name = "ledger.v" + version + ".";
    const LedgerMetadata closed = Ledger(name + "closed");
    EXPECT_EQ(static_cast<int>(closed.format()), std::stoi(version));
    EXPECT_EQ(closed.state(), LedgerState::kClosed);
    EXPECT_EQ(closed.last_entry(), EntryId(99));
    EXPECT_EQ(closed.length_bytes(), 4096);
    EXPECT_EQ(closed.replication().ensemble_size, 3);
    EXPECT_EQ(closed.replication().write_quorum_size, 2);
    EXPECT_EQ(closed.replication().ack_quorum_size, version == "1" ? 2 : 1);
    ASSERT_EQ(closed.fragments().size(), 2u);
    EXPECT_EQ(closed.fragments()[1].first_entry, EntryId(57));
    EXPECT_EQ(closed.fragments()[1].ensemble,
              (Ensemble{BookieId("10.0.0.1:3181"), BookieId("bookie-4.example.org:3181"),
                        BookieId("custom_Id;5")}));
    EXPECT_EQ(Ledger(name + "open").state(), LedgerState::kOpen);
    EXPECT_EQ(Ledger(name + "in_recovery").state(), LedgerState::kInRecovery);
    EXPECT_EQ(Ledger(name + "closed_empty").last_entry(), kNoEntry);
    if (version == "1") continue;
    EXPECT_EQ(closed.password(), "pw");
    EXPECT_EQ(closed.custom_metadata().at("application"), "stele");
    EXPECT_EQ(Ledger(name + "no_password_bytes").password(), "");
    EXPECT_EQ(Ledger(name + "digest_crc32").digest_type(), DigestType::kCrc32);
    EXPECT_EQ(Ledger(name + "digest_crc32c").digest_type(), DigestType::kCrc32c);
    EXPECT_EQ(Ledger(name + "digest_mac").digest_type(), DigestType::kMac);
    EXPECT_EQ(Ledger(name + "digest_dummy").digest_type(), DigestType::kDummy);
    EXPECT_EQ(Ledger(name + "creation_time").creation_time(),
              absl::FromUnixMillis(1'700'000'000'000));
    EXPECT_EQ(Ledger(name + "huge").length_bytes(), INT64_MAX);
    std::string all(256, '\0');
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i);
    EXPECT_EQ(Ledger(name + "all_bytes").password(), all);
    EXPECT_EQ(Ledger(name + "all_bytes").custom_metadata().at("all"), all);
  }
  EXPECT_EQ(Ledger("ledger.v3.creator_token").creator_token(), 0x0123456789ABCDEF);
}

TEST(ApacheBytesTest, CookiesAreStoredAgainAsTheyWere) {
  const auto recorded = Recorded("cookie.");
  EXPECT_EQ(recorded.size(), 3u);
  for (const auto& [name, bytes] : recorded) {
    const auto parsed = ParseCookie(bytes);
    ASSERT_TRUE(parsed.ok()) << name << ": " << parsed.status();
    EXPECT_EQ(parsed->bookie, "10.0.0.1:3181");
    EXPECT_EQ(parsed->journal_dirs, "/data/j1,/data/j2");
    EXPECT_EQ(parsed->ledger_dirs, DirectoryList({"/data/l1", "/data/l 2"}));
    EXPECT_EQ(parsed->instance_id.has_value(), name != "cookie.no_instance");
    EXPECT_EQ(parsed->index_dirs.has_value(), name == "cookie.index_directories");
    EXPECT_EQ(SerializeCookie(*parsed), bytes) << name;
  }
}

TEST(ApacheBytesTest, LayoutsAreStoredAgainAsTheyWere) {
  const auto recorded = Recorded("layout.");
  EXPECT_EQ(recorded.size(), 3u);
  for (const auto& [name, bytes] : recorded) {
    const auto parsed = ParseLayout(bytes);
    ASSERT_TRUE(parsed.ok()) << name << ": " << parsed.status();
    EXPECT_EQ("layout." + std::string(NameOf(*parsed)), name);
    EXPECT_EQ(SerializeLayout(*parsed), bytes);
  }
}

}  // namespace
}  // namespace stele::metadata

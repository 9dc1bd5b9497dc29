#include "autorecovery/racks.h"

#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::autorecovery {
namespace {

using metadata::LedgerMetadata;

RackMap Map(std::string_view text) {
  const auto map = RackMap::Parse(text);
  EXPECT_TRUE(map.ok()) << map.status();
  return map.ok() ? *map : RackMap();
}

TEST(RacksTest, ABookieIsWhereItsIdOrItsHostIs) {
  const RackMap map =
      Map("# racks\n10.0.0.1:3181 /r1\n10.0.0.1\t/r2  # its other bookies\r\n\nbookie-7 /eu/r3\n"
          "::1 /r4");
  EXPECT_EQ(map.RackOf(BookieId("10.0.0.1:3181")), "/r1");
  EXPECT_EQ(map.RackOf(BookieId("10.0.0.1:3182")), "/r2");
  EXPECT_EQ(map.RackOf(BookieId("bookie-7")), "/eu/r3");
  EXPECT_EQ(map.RackOf(BookieId("::1:3181")), "/r4");
  EXPECT_EQ(map.RackOf(BookieId("10.0.0.2:3181")), "/default-rack");
}

TEST(RacksTest, AnotherLineIsRefusedByItsNumber) {
  for (const std::string_view text :
       {"a /r\nb", "a /r\nb r", "a /r\nb /", "a /r\nb /r /r", "a /r\na /q"}) {
    const auto map = RackMap::Parse(text);
    EXPECT_EQ(CodeOf(map.status()), ErrorCode::kConfig) << text;
    EXPECT_NE(map.status().ToString().find("line 2"), std::string::npos) << map.status();
  }
}

// Bookies 1 to 3 are in rack /a, 4 to 6 in /b.
const std::string_view kTwoRacks = "b1 /a\nb2 /a\nb3 /a\nb4 /b\nb5 /b\nb6 /b\n";

struct Case {
  const char* what;
  int ensemble_size;
  int write_quorum_size;
  std::vector<std::pair<int64_t, std::vector<int>>> fragments;
  int64_t last_entry;  // -2: open
  bool is_spread;
};

LedgerMetadata Make(const Case& test) {
  metadata::LedgerMetadataFields fields;
  fields.replication = {test.ensemble_size, test.write_quorum_size, test.write_quorum_size};
  for (const auto& [first, members] : test.fragments) {
    metadata::Fragment fragment{.first_entry = EntryId(first)};
    for (const int member : members) fragment.ensemble.emplace_back(StrCat("b", member));
    fields.fragments.push_back(fragment);
  }
  if (test.last_entry != -2) {
    fields.state = metadata::LedgerState::kClosed;
    fields.last_entry = EntryId(test.last_entry);
  }
  auto made = LedgerMetadata::Create(fields);
  EXPECT_TRUE(made.ok()) << test.what << made.status();
  return *made;
}

TEST(RacksTest, EveryEntryNeedsTwoRacks) {
  const Case cases[] = {
      {"all in one", 3, 3, {{0, {1, 2, 3}}}, 9, false},
      {"one elsewhere", 3, 3, {{0, {1, 2, 4}}}, 9, true},
      {"a write set of the striping is in one", 3, 2, {{0, {1, 2, 4}}}, 9, false},
      {"which no entry uses", 3, 2, {{0, {1, 4, 2}}}, 1, true},
      {"until the third does", 3, 2, {{0, {1, 4, 2}}}, 2, false},
      {"nor does a short fragment", 3, 2, {{0, {1, 4, 2}}, {2, {1, 4, 7}}}, 9, true},
      {"one copy is nowhere else anyhow", 3, 1, {{0, {1, 2, 3}}}, 9, true},
      {"an earlier fragment counts", 2, 2, {{0, {1, 2}}, {5, {1, 4}}}, 9, false},
      {"one behind the end does not", 2, 2, {{0, {1, 4}}, {5, {1, 2}}}, 4, true},
      {"nothing in it", 2, 2, {{0, {1, 2}}}, -1, true},
      {"open: what may come", 3, 2, {{0, {1, 4, 2}}}, -2, false},
      {"not named: all in the default rack", 2, 2, {{0, {7, 8}}}, 0, false},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(IsSpreadOverRacks(Make(test), Map(kTwoRacks)), test.is_spread) << test.what;
  }
}

}  // namespace
}  // namespace stele::autorecovery

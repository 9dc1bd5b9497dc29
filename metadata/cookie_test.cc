#include "metadata/cookie.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::metadata {
namespace {

constexpr StorageExpansion kRefused = StorageExpansion::kRefused;
constexpr StorageExpansion kAllowed = StorageExpansion::kAllowed;

const char kInstance[] = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

Cookie Example() {
  return {.bookie = "10.0.0.1:3181",
          .journal_dirs = "/data/journal",
          .ledger_dirs = DirectoryList({"/data/l1", "/data/l2"}),
          .instance_id = kInstance};
}

Cookie With(void (*change)(Cookie*)) {
  Cookie cookie = Example();
  change(&cookie);
  return cookie;
}

TEST(CookieTextTest, WorkedBytesOfVersion5) {
  const std::string bytes =
      "5\n"
      "bookieHost: \"10.0.0.1:3181\"\n"
      "journalDir: \"/data/journal\"\n"
      "ledgerDirs: \"2\\t/data/l1\\t/data/l2\"\n"
      "instanceId: \"6f9619ff-8b86-4d01-b42d-00cf4fc964ff\"\n";
  EXPECT_EQ(bytes.size(), 145u);
  EXPECT_EQ(SerializeCookie(Example()), bytes);
  EXPECT_EQ(*ParseCookie(bytes), Example());
}

TEST(CookieTextTest, OptionalFieldsAreWrittenWhereTheyAre) {
  Cookie cookie = Example();
  cookie.instance_id = std::nullopt;
  EXPECT_EQ(SerializeCookie(cookie).find("instanceId"), std::string::npos);
  EXPECT_EQ(*ParseCookie(SerializeCookie(cookie)), cookie);
  cookie.index_dirs = DirectoryList({"/data/i1"});
  EXPECT_NE(SerializeCookie(cookie).find("indexDirs: \"1\\t/data/i1\"\n"), std::string::npos);
  EXPECT_EQ(*ParseCookie(SerializeCookie(cookie)), cookie);
}

TEST(CookieTextTest, Version4IsReadAndWrittenAsVersion5) {
  std::string bytes = SerializeCookie(Example());
  bytes[0] = '4';
  EXPECT_EQ(*ParseCookie(bytes), Example());
  EXPECT_EQ(SerializeCookie(*ParseCookie(bytes))[0], '5');
}

TEST(CookieTextTest, Version3IsThreeLines) {
  Cookie cookie = Example();
  cookie.instance_id = std::nullopt;
  EXPECT_EQ(*ParseCookie("3\n10.0.0.1:3181\n/data/journal\n2\t/data/l1\t/data/l2\n"), cookie);
  EXPECT_EQ(*ParseCookie("3\n10.0.0.1:3181\n/data/journal\n2\t/data/l1\t/data/l2"), cookie);
}

// Row 37 of the bad-input table.
TEST(CookieTextTest, DamagedCookiesAreCorruptData) {
  const std::string good = SerializeCookie(Example());
  std::string truncated = good.substr(0, good.find("ledgerDirs"));
  for (const std::string& bytes :
       {std::string(), std::string("5"), std::string("5\n"), std::string("2\nx\ny\nz\n"),
        std::string("6") + good.substr(1), std::string("-5\n"), std::string("3\nbookie\njournal\n"),
        std::string("\x08\x80\xd0\x95\xff\xbc\x31"), good + "newField: 1\n", truncated,
        "5\n" + std::string(1 << 20, 'x')}) {
    EXPECT_EQ(CodeOf(ParseCookie(bytes).status()), ErrorCode::kCorruptData) << bytes.substr(0, 60);
  }
}

ErrorCode Verify(const Cookie& found, StorageExpansion expansion) {
  return CodeOf(VerifyCookie(Example(), found, expansion));
}

TEST(VerifyCookieTest, EveryDifferenceIsAMismatch) {
  EXPECT_EQ(Verify(Example(), kRefused), ErrorCode::kOk);
  for (const auto expansion : {kRefused, kAllowed}) {
    EXPECT_EQ(Verify(With([](Cookie* c) { c->bookie = "10.0.0.2:3181"; }), expansion),
              ErrorCode::kCookieMismatch);
    EXPECT_EQ(Verify(With([](Cookie* c) { c->journal_dirs = "/data/journal,/j2"; }), expansion),
              ErrorCode::kCookieMismatch);
    EXPECT_EQ(Verify(With([](Cookie* c) { c->instance_id = "other"; }), expansion),
              ErrorCode::kCookieMismatch);
    EXPECT_EQ(Verify(With([](Cookie* c) { c->instance_id = std::nullopt; }), expansion),
              ErrorCode::kCookieMismatch);
  }
}

TEST(VerifyCookieTest, AMissingInstanceIdMatchesOnlyAMissingOne) {
  Cookie master = Example();
  master.instance_id = std::nullopt;
  EXPECT_TRUE(VerifyCookie(master, master, kRefused).ok());
  EXPECT_EQ(CodeOf(VerifyCookie(master, Example(), kRefused)), ErrorCode::kCookieMismatch);
}

TEST(VerifyCookieTest, LedgerDirectoriesMayGrowAndChangeOrderOnlyInAnExpansion) {
  const Cookie fewer = With([](Cookie* c) { c->ledger_dirs = DirectoryList({"/data/l2"}); });
  const Cookie swapped =
      With([](Cookie* c) { c->ledger_dirs = DirectoryList({"/data/l2", "/data/l1"}); });
  const Cookie other =
      With([](Cookie* c) { c->ledger_dirs = DirectoryList({"/data/l1", "/data/l3"}); });
  EXPECT_EQ(Verify(fewer, kRefused), ErrorCode::kCookieMismatch);
  EXPECT_EQ(Verify(swapped, kRefused), ErrorCode::kCookieMismatch);
  EXPECT_EQ(Verify(fewer, kAllowed), ErrorCode::kOk);
  EXPECT_EQ(Verify(swapped, kAllowed), ErrorCode::kOk);
  EXPECT_EQ(Verify(other, kAllowed), ErrorCode::kCookieMismatch);
}

TEST(VerifyCookieTest, IndexDirectoriesDefaultToTheLedgerDirectoriesOfTheirSide) {
  Cookie explicit_index = Example();
  explicit_index.index_dirs = Example().ledger_dirs;
  EXPECT_EQ(Verify(explicit_index, kRefused), ErrorCode::kOk);
  EXPECT_TRUE(VerifyCookie(explicit_index, Example(), kRefused).ok());
  Cookie blank = Example();
  blank.index_dirs = "";
  EXPECT_EQ(Verify(blank, kRefused), ErrorCode::kOk);
  Cookie apart = Example();
  apart.index_dirs = DirectoryList({"/data/i1"});
  EXPECT_EQ(Verify(apart, kRefused), ErrorCode::kCookieMismatch);
  EXPECT_EQ(Verify(apart, kAllowed), ErrorCode::kCookieMismatch);
}

CookieDirectory Stamped(std::string path, bool is_empty = false) {
  return {.path = std::move(path), .cookie = Example(), .is_empty = is_empty};
}
CookieDirectory Unstamped(std::string path, bool is_empty = true) {
  return {.path = std::move(path), .is_empty = is_empty};
}
constexpr char kJournal[] = "/data/journal";
constexpr char kLedger1[] = "/data/l1";
constexpr char kLedger2[] = "/data/l2";

CookiePlan Decided(const std::optional<Cookie>& stored,
                   const std::vector<CookieDirectory>& directories,
                   StorageExpansion expansion = kRefused) {
  const auto plan = DecideCookies(Example(), stored, directories, expansion);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : CookiePlan{.stamp = {"error"}};
}
ErrorCode Refusal(const std::optional<Cookie>& stored,
                  const std::vector<CookieDirectory>& directories,
                  StorageExpansion expansion = kRefused) {
  return CodeOf(DecideCookies(Example(), stored, directories, expansion).status());
}

TEST(DecideCookiesTest, FirstStartStampsTheDirectoriesAndThenTheStore) {
  EXPECT_EQ(
      Decided(std::nullopt, {Unstamped(kJournal), Unstamped(kLedger1), Unstamped(kLedger2)}),
      (CookiePlan{.stamp = {kJournal, kLedger1, kLedger2}, .store = CookiePlan::Store::kCreate}));
}

TEST(DecideCookiesTest, AFirstStartThatWasInterruptedIsContinued) {
  // Between two stamps.
  EXPECT_EQ(
      Decided(std::nullopt, {Stamped(kJournal, true), Unstamped(kLedger1), Unstamped(kLedger2)}),
      (CookiePlan{.stamp = {kLedger1, kLedger2, kJournal}, .store = CookiePlan::Store::kCreate}));
  // Before the store.
  EXPECT_EQ(Decided(std::nullopt,
                    {Stamped(kJournal, true), Stamped(kLedger1, true), Stamped(kLedger2, true)}),
            (CookiePlan{.store = CookiePlan::Store::kCreate}));
}

TEST(DecideCookiesTest, DataWithoutACookieInTheStoreIsRefused) {
  EXPECT_EQ(Refusal(std::nullopt, {Stamped(kJournal, true), Stamped(kLedger1), Stamped(kLedger2)}),
            ErrorCode::kCookieMismatch);
}

// The empty one may be a replaced disk, which would be taken for one that never held anything.
TEST(DecideCookiesTest, DataWithoutACookieInTheStoreIsRefusedAlsoBesideAnEmptyDirectory) {
  for (const auto expansion : {kRefused, kAllowed}) {
    EXPECT_EQ(Refusal(std::nullopt, {Stamped(kJournal), Stamped(kLedger1), Unstamped(kLedger2)},
                      expansion),
              ErrorCode::kCookieMismatch);
    EXPECT_EQ(Refusal(std::nullopt, {Unstamped(kJournal), Stamped(kLedger1), Stamped(kLedger2)},
                      expansion),
              ErrorCode::kCookieMismatch);
  }
}

TEST(DecideCookiesTest, DataInADirectoryWithoutACookieIsRefused) {
  for (const std::optional<Cookie>& stored : {std::optional<Cookie>(), std::optional(Example())}) {
    for (const auto expansion : {kRefused, kAllowed}) {
      EXPECT_EQ(
          Refusal(stored, {Unstamped(kJournal), Unstamped(kLedger1, false), Unstamped(kLedger2)},
                  expansion),
          ErrorCode::kCookieMismatch);
    }
  }
}

TEST(DecideCookiesTest, NothingIsWrittenWhenAllIsThere) {
  const std::vector<CookieDirectory> all = {Stamped(kJournal), Stamped(kLedger1),
                                            Stamped(kLedger2)};
  EXPECT_EQ(Decided(Example(), all), CookiePlan());
  EXPECT_EQ(Decided(Example(), all, kAllowed), CookiePlan());
}

// The reason for cookies: an empty disk in the place of a full one.
TEST(DecideCookiesTest, AKnownDirectoryWithoutItsCookieIsRefusedAlsoInAnExpansion) {
  for (const auto expansion : {kRefused, kAllowed}) {
    EXPECT_EQ(
        Refusal(Example(), {Stamped(kJournal), Stamped(kLedger1), Unstamped(kLedger2)}, expansion),
        ErrorCode::kCookieMismatch);
    EXPECT_EQ(
        Refusal(Example(), {Unstamped(kJournal), Stamped(kLedger1), Stamped(kLedger2)}, expansion),
        ErrorCode::kCookieMismatch);
    EXPECT_EQ(Refusal(Example(), {Unstamped(kJournal), Unstamped(kLedger1), Unstamped(kLedger2)},
                      expansion),
              ErrorCode::kCookieMismatch);
  }
}

// Example() is what the bookie becomes; before, it had one ledger directory.
Cookie BeforeExpansion() {
  return With([](Cookie* c) { c->ledger_dirs = DirectoryList({"/data/l1"}); });
}
CookieDirectory StampedBefore(std::string path) {
  return {.path = std::move(path), .cookie = BeforeExpansion(), .is_empty = false};
}

TEST(DecideCookiesTest, AnExpansionStampsNewDirectoriesBeforeOldOnesAndThenTheStore) {
  const std::vector<CookieDirectory> directories = {StampedBefore(kJournal),
                                                    StampedBefore(kLedger1), Unstamped(kLedger2)};
  EXPECT_EQ(Refusal(BeforeExpansion(), directories), ErrorCode::kCookieMismatch);
  EXPECT_EQ(
      Decided(BeforeExpansion(), directories, kAllowed),
      (CookiePlan{.stamp = {kLedger2, kJournal, kLedger1}, .store = CookiePlan::Store::kUpdate}));
}

TEST(DecideCookiesTest, AnExpansionThatWasInterruptedIsContinued) {
  // Before the store.
  EXPECT_EQ(Decided(BeforeExpansion(), {Stamped(kJournal), Stamped(kLedger1), Stamped(kLedger2)},
                    kAllowed),
            (CookiePlan{.store = CookiePlan::Store::kUpdate}));
  // Between two new directories: the cookie of the first names the second.
  Cookie master = Example();
  master.ledger_dirs = DirectoryList({"/data/l1", "/data/l2", "/data/l3"});
  CookieDirectory half{.path = kLedger2, .cookie = master};
  const auto plan = DecideCookies(
      master, BeforeExpansion(),
      {StampedBefore(kJournal), StampedBefore(kLedger1), half, Unstamped("/data/l3")}, kAllowed);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->stamp, (std::vector<std::string>{"/data/l3", kJournal, kLedger1, kLedger2}));
  // An old directory that names it is a witness that it was complete once.
  CookieDirectory witness{.path = kLedger1, .cookie = master, .is_empty = false};
  EXPECT_EQ(CodeOf(DecideCookies(master, BeforeExpansion(),
                                 {StampedBefore(kJournal), witness, half, Unstamped("/data/l3")},
                                 kAllowed)
                       .status()),
            ErrorCode::kCookieMismatch);
}

TEST(DecideCookiesTest, CookiesOfOthersAreRefused) {
  const Cookie other = With([](Cookie* c) { c->bookie = "10.0.0.2:3181"; });
  const std::vector<CookieDirectory> all = {Stamped(kJournal), Stamped(kLedger1),
                                            Stamped(kLedger2)};
  EXPECT_EQ(Refusal(other, all), ErrorCode::kCookieMismatch);
  std::vector<CookieDirectory> swapped = all;
  swapped[2].cookie = other;
  EXPECT_EQ(Refusal(Example(), swapped), ErrorCode::kCookieMismatch);
}

}  // namespace
}  // namespace stele::metadata

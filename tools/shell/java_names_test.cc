#include "tools/shell/java_names.h"

#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/errors.h"

namespace stele::shell {
namespace {

// Our command line, or the error's code.
std::string Ours(const char* java) {
  const absl::StatusOr<std::vector<std::string>> words =
      TranslateJavaCommand(absl::StrSplit(java, ' ', absl::SkipEmpty()));
  return words.ok() ? absl::StrJoin(*words, " ") : std::string(NameOf(CodeOf(words.status())));
}

TEST(JavaNamesTest, ACommandIsOneOfOurs) {
  EXPECT_EQ(Ours("listbookies -rw"), "bookies list --state writable");
  EXPECT_EQ(Ours("listbookies --readonly"), "bookies list --state read-only");
  EXPECT_EQ(Ours("listbookies -a"), "bookies list");
  EXPECT_EQ(Ours("queryautorecoverystatus"), "autorecovery list --locked");
  EXPECT_EQ(Ours("readledger -l 7 -fe 1 -lastentryid 9 -msg -bookie b1:3181 -r"),
            "ledger read 7 --first 1 --last 9 --bookie b1:3181 --recover");
  EXPECT_EQ(Ours("simpletest -ensemble 3 -writeQuorum 3 -ackQuorum 2 -numEntries 10"),
            "cluster try --ensemble 3 --write-quorum 3 --ack-quorum 2 --entries 10");
}

TEST(JavaNamesTest, AnOptionMayBeAnotherCommandOfOurs) {
  EXPECT_EQ(Ours("autorecovery"), "autorecovery status");
  EXPECT_EQ(Ours("autorecovery -enable"), "autorecovery enable");
  EXPECT_EQ(Ours("autorecovery -d"), "autorecovery disable");
  EXPECT_EQ(Ours("ledgermetadata -ledgerid 7 -dumptofile f"), "ledger info 7 --dump-file f");
  EXPECT_EQ(Ours("ledgermetadata -ledgerid 7 -restorefromfile f -update"),
            "ledger restore --file f 7 --replace");
  EXPECT_EQ(Ours("lostbookierecoverydelay -get"), "autorecovery delay");
  EXPECT_EQ(Ours("lostbookierecoverydelay -set 0"), "autorecovery delay 0");
}

TEST(JavaNamesTest, OurOwnFlagsGoAlong) {
  EXPECT_EQ(Ours("listledgers -meta --json --metadata sqlite:///m"),
            "ledger list --details --json --metadata sqlite:///m");
  EXPECT_EQ(Ours("decommissionbookie -bookieid b1:3181 --timeout 60"),
            "recover --delete-cookie b1:3181 --timeout 60");
  EXPECT_EQ(Ours("bookiesanity b1:3181 --timeout 2"), "node try b1:3181 --timeout 2");
  EXPECT_EQ(Ours("-conf bk_server.conf whoisauditor"), "autorecovery status");
}

// A second argument of recover is a destination, which Apache's ignores: ours would take it for a
// bookie that is lost, too.
TEST(JavaNamesTest, ADestinationIsNoSecondBookieToRecover) {
  EXPECT_EQ(Ours("recover -f -q b1:3181"), "recover --dry-run b1:3181");
  EXPECT_EQ(Ours("recover b1:3181 b2:3181"), "InvalidArgument");
  EXPECT_EQ(Ours("recover b1:3181,b2:3181"), "Unsupported");
}

TEST(JavaNamesTest, WhatIsNotThereSaysSo) {
  EXPECT_EQ(Ours("nosuchcommand"), "InvalidArgument");
  EXPECT_EQ(Ours("listledgers -nosuchoption"), "InvalidArgument");
  EXPECT_EQ(Ours("listledgers -bookieid"), "InvalidArgument");
  EXPECT_EQ(Ours("recover -rate 5 b1:3181"), "Unsupported");
  EXPECT_EQ(Ours("convert-to-db-storage"), "Unsupported");
  EXPECT_EQ(Ours("-ledgeridformat hex listledgers"), "Unsupported");
}

// A prompt that scripts pass over is no consent: the instance id is.
TEST(JavaNamesTest, WhatRemovesEverythingIsToldOfWhichCluster) {
  EXPECT_EQ(Ours("metaformat -nonInteractive"), "cluster format");
  EXPECT_EQ(Ours("metaformat -n -f"), "Unsupported");
  EXPECT_EQ(Ours("metaformat --instance 0f4b"), "cluster format --instance 0f4b");
  EXPECT_EQ(Ours("nukeexistingcluster -zkledgersrootpath /ledgers -instanceid 0f4b"),
            "cluster nuke --root /ledgers --instance 0f4b");
  EXPECT_EQ(Ours("nukeexistingcluster -p /ledgers -f"), "Unsupported");
}

TEST(JavaNamesTest, ABookiesNewNameIsNotTakenForItsOldOne) {
  EXPECT_EQ(Ours("updateBookieInLedger -destBookie b2:1 -srcBookie b1:1 -s 7 -r 3 -p 10 -v true"),
            "bookies rename --apply --to b2:1 --from b1:1 --rate 7");
}

TEST(JavaNamesTest, HelpListsThem) {
  EXPECT_EQ(Ours("help"), "shell --help");
  EXPECT_EQ(Ours(""), "shell --help");
  EXPECT_NE(JavaCommandList().find("  listledgers    "), std::string::npos);
}

}  // namespace
}  // namespace stele::shell

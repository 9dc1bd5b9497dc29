// What the dump of a journal file shows that was written again.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/journal/journal.h"
#include "bookie/journal/journal_format.h"
#include "bookie/journal/testing/journal_rig.h"
#include "common/base/strings.h"
#include "tools/dump/dump.h"

namespace stele::dump {
namespace {

using bookie::JournalRig;

Task<void> Dump(Env env, std::string path, std::vector<std::string>* lines,
                std::optional<absl::StatusOr<int64_t>>* damaged) {
  *damaged = co_await DumpJournal(env, {.path = std::move(path)}, [lines](const auto& record) {
    lines->push_back(shell::ToLine(record));
  });
}

struct JournalDumpTest : testing::Test {
  void Append() {
    journal->Append(JournalRig::Entry(next++, std::string(3000, 'p')));
    rig.RunFor(absl::Milliseconds(1));
  }
  int64_t current() const { return journal->DurableMark().file_id; }
  // The first file that is written again, with three entries.
  void WriteAFileAgain() {
    bookie::JournalOptions options = JournalRig::SmallOptions();
    options.reuse_files = true;
    options.backup_files = 0;
    journal = rig.Open(options);
    const int64_t first = current();
    while (current() < first + 3) Append();
    ASSERT_TRUE(rig.Trim(journal->DurableMark()).ok());
    while (current() < first + 5) Append();
    Append();
    Append();
    name = bookie::JournalFileName(first + 5);
  }
  absl::StatusOr<int64_t> DumpIt() {
    std::optional<absl::StatusOr<int64_t>> damaged;
    rig.Run(Dump(rig.env, StrCat(bookie::kJournalDirectory, "/", name), &lines, &damaged));
    return *damaged;
  }
  // Of the kind, the entries that are shown.
  int Shown(std::string_view kind) const {
    int shown = 0;
    for (const std::string& line : lines) {
      shown += line.find(StrCat("kind=", kind)) != std::string::npos ? 1 : 0;
    }
    return shown;
  }

  JournalRig rig;
  bookie::Journal* journal = nullptr;
  int64_t next = 0;
  std::string name;
  std::vector<std::string> lines;
};

TEST_F(JournalDumpTest, WhatAFileHeldBeforeIsNotShown) {
  WriteAFileAgain();
  const auto damaged = DumpIt();
  ASSERT_TRUE(damaged.ok()) << damaged.status();
  EXPECT_EQ(*damaged, 0);
  EXPECT_EQ(Shown("entry"), 3);
  for (int64_t entry = next - 3; entry < next; ++entry) {
    const std::string text = StrCat(" entry=", entry, " ");
    EXPECT_TRUE(std::ranges::any_of(lines, [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    })) << entry;
  }
}

TEST_F(JournalDumpTest, ADamagedBatchIsShownAndWhatFollowsToo) {
  WriteAFileAgain();
  rig.FlipByte(name, 2 * bookie::kJournalBlockSizeBytes + 100);
  const auto damaged = DumpIt();
  ASSERT_TRUE(damaged.ok()) << damaged.status();
  EXPECT_EQ(*damaged, 1);
  EXPECT_EQ(Shown("damaged"), 1);
  EXPECT_EQ(Shown("entry"), 2);
}

}  // namespace
}  // namespace stele::dump

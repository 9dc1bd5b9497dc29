#include "tools/shell/entry_cutter.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::shell {
namespace {

// All entries of a stream that arrives in chunks of `chunk_size` bytes.
std::vector<std::string> Cut(EntryCutter cutter, const std::string& stream, size_t chunk_size) {
  std::vector<std::string> entries;
  for (size_t at = 0; at < stream.size(); at += chunk_size) {
    cutter.Feed(Buffer::CopyOf(std::string_view(stream).substr(at, chunk_size)));
    for (;;) {
      absl::StatusOr<std::optional<Buffer>> entry = cutter.Next();
      EXPECT_TRUE(entry.ok()) << entry.status();
      if (!entry.ok() || !entry->has_value()) break;
      entries.push_back((*entry)->ToString());
    }
  }
  if (std::optional<Buffer> rest = cutter.Finish()) entries.push_back(rest->ToString());
  return entries;
}

TEST(EntryCutterTest, CutsLinesWhateverTheChunks) {
  const std::string stream = "one\n\nthree and more\nlast, unended";
  const std::vector<std::string> expected = {"one", "", "three and more", "last, unended"};
  for (size_t chunk = 1; chunk <= stream.size(); ++chunk) {
    EXPECT_EQ(Cut(EntryCutter(0, 100), stream, chunk), expected) << "chunks of " << chunk;
  }
}

TEST(EntryCutterTest, ANewlineAtTheEndBeginsNoEntry) {
  EXPECT_EQ(Cut(EntryCutter(0, 100), "one\ntwo\n", 3), (std::vector<std::string>{"one", "two"}));
}

TEST(EntryCutterTest, CutsBlocksWhateverTheChunks) {
  const std::string stream = "aaaabbbb\nccd";
  const std::vector<std::string> expected = {"aaaa", "bbbb", "\nccd"};
  for (size_t chunk = 1; chunk <= stream.size(); ++chunk) {
    EXPECT_EQ(Cut(EntryCutter(4, 100), stream, chunk), expected) << "chunks of " << chunk;
  }
  EXPECT_EQ(Cut(EntryCutter(8, 100), stream, 5), (std::vector<std::string>{"aaaabbbb", "\nccd"}));
}

TEST(EntryCutterTest, ALineOfTheLargestSizePassesAndALongerOneIsRefused) {
  EXPECT_EQ(Cut(EntryCutter(0, 4), "1234\n5678\n", 5), (std::vector<std::string>{"1234", "5678"}));
  for (const std::string line : {"12345\n", "12345"}) {
    EntryCutter cutter(0, 4);
    cutter.Feed(Buffer::CopyOf(line));
    EXPECT_EQ(CodeOf(cutter.Next().status()), ErrorCode::kInvalidArgument) << line;
  }
}

}  // namespace
}  // namespace stele::shell

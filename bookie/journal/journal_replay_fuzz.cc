// A journal directory of two files whose bytes are the input: replay ends, gives the same twice,
// and when it stops for damage it still gives the rest. So that damage is met behind checksums too,
// the input may be a list of changes to a journal that is good.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bookie/journal/journal_format.h"
#include "bookie/journal/testing/file_builder.h"
#include "bookie/journal/testing/journal_rig.h"
#include "common/base/check.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

struct Files {
  std::string first;
  std::string second;
};

Files GoodFiles() {
  SteleFileBuilder first(
      {.stream_uuid = 77, .batch_size_max_bytes = 1 << 20, .file_id = 1, .previous_file_id = 0});
  first.Batch(1, 0, {EntryBody(0)}).Batch(2, 1, {EntryBody(1), EntryBody(2)});
  SteleFileBuilder second(
      {.stream_uuid = 77, .batch_size_max_bytes = 1 << 20, .file_id = 2, .previous_file_id = 1});
  second.Batch(3, 2, {EntryBody(3)}).Batch(4, 3, {}).Zeros(4096);
  return {first.content(), second.content()};
}

// Each change: 2 bytes of position, 1 of a kind, 1 of a value.
void Change(std::string_view changes, Files* files) {
  for (; changes.size() >= 4; changes.remove_prefix(4)) {
    const auto at = static_cast<uint8_t>(changes[0]) << 8 | static_cast<uint8_t>(changes[1]);
    std::string& file = (changes[2] & 1) != 0 ? files->second : files->first;
    const size_t block = static_cast<size_t>(at) % 16 * kJournalBlockSizeBytes;
    switch ((changes[2] >> 1) & 3) {
      case 0:
        if (!file.empty()) file[static_cast<size_t>(at) % file.size()] = changes[3];
        break;
      case 1: file.resize(std::min<size_t>(file.size(), static_cast<size_t>(at))); break;
      case 2:
        if (block + kJournalBlockSizeBytes <= file.size()) {
          file.replace(block, kJournalBlockSizeBytes, kJournalBlockSizeBytes, '\0');
        }
        break;
      case 3:
        if (block + kJournalBlockSizeBytes <= files->first.size()) {
          file += files->first.substr(block, kJournalBlockSizeBytes);
        }
        break;
    }
  }
}

void Try(const Files& files, JournalMark mark) {
  JournalRig rig;
  rig.WriteFile("1.txn", files.first);
  rig.WriteFile("2.txn", files.second);
  const Replayed replayed = rig.Replay(mark);
  if (replayed.status.ok()) {
    STELE_CHECK(replayed.report.end >= mark);
    STELE_CHECK(rig.Replay(mark).bodies == replayed.bodies);
    const Replayed behind = rig.Replay(replayed.report.end);
    STELE_CHECK(behind.status.ok() && behind.bodies.empty());
    return;
  }
  STELE_CHECK(CodeOf(replayed.status) == ErrorCode::kCorruptData);
  const Replayed rest = rig.Replay({.directory = kJournalDirectory,
                                    .mark = mark,
                                    .on_damage = ReplayOptions::OnDamage::kReport});
  STELE_CHECK(!rest.status.ok() || !rest.report.damage.empty());
}

}  // namespace
}  // namespace stele::bookie

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stele::bookie;
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view rest = input.substr(2);
  const auto mark_block = static_cast<uint8_t>(input[1]) % 6;
  const JournalMark mark{mark_block == 0 ? 0 : 1, mark_block * 4096};
  if ((input[0] & 1) != 0) {
    Files files = GoodFiles();
    Change(rest, &files);
    Try(files, mark);
  } else {
    const size_t cut = std::min<size_t>(rest.size(), static_cast<uint8_t>(input[0]) * 64);
    Try({std::string(rest.substr(0, cut)), std::string(rest.substr(cut))}, mark);
  }
  return 0;
}

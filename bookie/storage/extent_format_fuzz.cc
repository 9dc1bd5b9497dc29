// Feeds any bytes to the parsers of extent runs; the checksums, which nothing but a writer gets
// right, are put in place first. What is accepted can be walked through to its end.
#include <cstddef>
#include <cstdint>
#include <string>

#include "bookie/storage/extent_format.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"

namespace {

using namespace stele::bookie;

constexpr RunNumbers kNumbers{.first = 1, .last = 1};

void TryBlock(std::string_view rows) {
  std::string behind;
  stele::AppendBigEndian(behind, kNumbers.first);
  stele::AppendBigEndian(behind, kNumbers.last);
  stele::AppendBigEndian(behind, uint32_t{0});
  rows = rows.substr(0, kExtentBlockBytes - 32);
  stele::AppendBigEndian(behind, static_cast<uint32_t>(rows.size()));
  behind += rows;
  behind.resize(kExtentBlockBytes - 8, '\0');
  std::string block = "StXb";
  stele::AppendBigEndian(block, stele::Crc32c(behind));
  block += behind;
  const auto parsed = ExtentBlock::Parse(stele::Buffer::CopyOf(block), kNumbers, 0);
  if (!parsed.ok()) return;
  for (size_t row = 0; row < parsed->row_count(); ++row) {
    STELE_CHECK(parsed->Floor(parsed->key(row)) == row);
    if (parsed->IsState(row)) {
      static_cast<void>(parsed->state(row));
      continue;
    }
    ExtentCursor cursor = parsed->extent(row);
    STELE_CHECK(cursor.location().IsPlausible());
    STELE_CHECK(cursor.SeekTo(parsed->last_entry(row)));
    STELE_CHECK(cursor.location().IsPlausible());
    STELE_CHECK(!cursor.Next());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  TryBlock(bytes);
  static_cast<void>(
      ParseExtentTail(bytes, {.numbers = kNumbers,
                              .blocks = size == 0 ? 0u : static_cast<uint8_t>(bytes[0]),
                              .tail_bytes = static_cast<uint32_t>(size),
                              .tail_crc = stele::Crc32c(bytes)}));
  static_cast<void>(ParseExtentFooter(bytes.substr(0, kExtentFooterBytes)));
  return 0;
}

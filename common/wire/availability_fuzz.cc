// Availability blobs: any bytes are refused or are a set whose look-ups agree with each other, and
// that survives being built again.
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/wire/availability.h"

namespace stele::wire {
namespace {

constexpr size_t kEntriesMax = 300;  // a blob may claim any number of entries

std::vector<EntryId> FirstEntries(const Availability& availability) {
  std::vector<EntryId> entries;
  EntryId from(0);
  while (entries.size() < kEntriesMax) {
    const EntryId entry = availability.FirstAtOrAfter(from);
    if (entry.IsNone()) break;
    STELE_CHECK(entry >= from);
    STELE_CHECK(availability.Contains(entry));
    if (entry > from) STELE_CHECK(!availability.Contains(entry.Previous()));
    entries.push_back(entry);
    if (entry.value() == INT64_MAX) break;
    from = entry.Next();
  }
  return entries;
}

}  // namespace
}  // namespace stele::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stele;
  using namespace stele::wire;
  const auto availability =
      Availability::Parse(Buffer::Borrow({reinterpret_cast<const char*>(data), size}));
  if (!availability.ok()) return 0;
  const std::vector<EntryId> entries = FirstEntries(*availability);
  STELE_CHECK(entries.empty() == availability->empty());
  AvailabilityBuilder builder;
  for (const EntryId entry : entries) builder.Add(entry);
  const auto again = Availability::Parse(std::move(builder).Finish());
  STELE_CHECK(again.ok());
  STELE_CHECK(FirstEntries(*again) == entries);
  return 0;
}

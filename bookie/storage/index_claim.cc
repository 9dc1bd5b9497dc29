#include "bookie/storage/index_claim.h"

#include <algorithm>
#include <iterator>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kSectorsMagic = "StLs";
constexpr std::string_view kSizeMagic = "StLe";
constexpr size_t kSectorsSize = 1004 - kClaimOffset;  // without its checksum
constexpr size_t kSizeAt = 1008 - kClaimOffset;
constexpr size_t kSizeSize = 12;  // without its checksum
constexpr int64_t kSectorMax = int64_t{1} << 40;

void AppendChecksum(std::string& bytes, size_t from) {
  const uint32_t checksum = Crc32c(std::string_view(bytes).substr(from));
  AppendBigEndian(bytes, static_cast<int32_t>(checksum));
}

// Has `bytes` at `at` a part of `size` bytes that begins so and has its checksum behind it?
bool HasPart(std::string_view bytes, size_t at, size_t size, std::string_view magic) {
  const std::string_view part = bytes.substr(at, size);
  return part.starts_with(magic) &&
         Crc32c(part) == static_cast<uint32_t>(LoadBigEndian<int32_t>(part.data() + size));
}

std::vector<SectorRun> ParseSectors(std::string_view bytes) {
  if (!HasPart(bytes, 0, kSectorsSize, kSectorsMagic)) return {};
  const auto count = LoadBigEndian<int32_t>(bytes.data() + 4);
  if (count < 1 || count > static_cast<int32_t>(kClaimedRunsMax)) return {};
  std::vector<SectorRun> runs;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const char* run = bytes.data() + 8 + 16 * i;
    runs.push_back({LoadBigEndian<int64_t>(run), LoadBigEndian<int64_t>(run + 8)});
    const int64_t least = i == 0 ? 0 : runs[i - 1].last + 2;
    if (runs[i].first < least || runs[i].last < runs[i].first || runs[i].last > kSectorMax) {
      return {};
    }
  }
  return runs;
}

}  // namespace

void IndexClaim::Add(SectorRun run) {
  STELE_CHECK(run.first >= 0 && run.first <= run.last);
  // Those that touch it become one with it.
  const auto begin =
      std::partition_point(sectors.begin(), sectors.end(),
                           [&](const SectorRun& one) { return one.last < run.first - 1; });
  const auto end = std::partition_point(
      begin, sectors.end(), [&](const SectorRun& one) { return one.first <= run.last + 1; });
  if (begin != end) {
    run.first = std::min(run.first, begin->first);
    run.last = std::max(run.last, std::prev(end)->last);
  }
  sectors.insert(sectors.erase(begin, end), run);
  if (sectors.size() <= kClaimedRunsMax) return;
  // The last one stays: it is growing.
  sectors.erase(std::min_element(
      sectors.begin(), std::prev(sectors.end()),
      [](const SectorRun& a, const SectorRun& b) { return a.last - a.first < b.last - b.first; }));
}

bool IndexClaim::Has(int64_t sector) const {
  const auto run = std::partition_point(sectors.begin(), sectors.end(),
                                        [&](const SectorRun& one) { return one.last < sector; });
  return run != sectors.end() && run->first <= sector;
}

bool IndexClaim::IsLost(int64_t sector, std::string_view content) const {
  return IsEmptySector(content) && Has(sector);
}

bool IsEmptySector(std::string_view content) {
  return std::all_of(content.begin(), content.end(), [](char byte) { return byte == '\0'; });
}

std::string MakeIndexClaim(const IndexClaim& claim) {
  STELE_CHECK_OP(claim.sectors.size(), <=, kClaimedRunsMax);
  std::string bytes;
  if (!claim.sectors.empty()) {
    bytes = kSectorsMagic;
    AppendBigEndian(bytes, static_cast<int32_t>(claim.sectors.size()));
    for (const SectorRun& run : claim.sectors) {
      AppendBigEndian(bytes, run.first);
      AppendBigEndian(bytes, run.last);
    }
    bytes.resize(kSectorsSize, '\0');
    AppendChecksum(bytes, 0);
  }
  bytes.resize(kSizeAt, '\0');
  if (claim.size_bytes > 0) {
    bytes += kSizeMagic;
    AppendBigEndian(bytes, static_cast<int64_t>(claim.size_bytes));
    AppendChecksum(bytes, kSizeAt);
  }
  bytes.resize(kClaimSize, '\0');
  return bytes;
}

IndexClaim ParseIndexClaim(std::string_view bytes) {
  STELE_CHECK_OP(bytes.size(), ==, kClaimSize);
  IndexClaim claim{.sectors = ParseSectors(bytes)};
  if (HasPart(bytes, kSizeAt, kSizeSize, kSizeMagic)) {
    claim.size_bytes = static_cast<uint64_t>(LoadBigEndian<int64_t>(bytes.data() + kSizeAt + 4));
  }
  return claim;
}

}  // namespace stele::bookie

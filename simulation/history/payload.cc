#include "simulation/history/payload.h"

#include <array>
#include <cstring>

#include "absl/strings/str_format.h"
#include "common/base/endian.h"
#include "common/base/stable_hash.h"
#include "common/base/strings.h"
#include "simulation/history/words.h"

namespace stele::history {
namespace {

constexpr uint32_t kMagic = 0x534c5059;  // "SLPY"
constexpr size_t kCheckOffset = 40;

void WriteHeader(const PayloadId& id, size_t length_bytes, char* to) {
  StoreBigEndian(to, kMagic);
  StoreBigEndian(to + 4, static_cast<uint32_t>(length_bytes));
  StoreBigEndian(to + 8, id.ledger.value());
  StoreBigEndian(to + 16, id.entry.value());
  StoreBigEndian(to + 24, id.writer);
  StoreBigEndian(to + 32, id.attempt);
  StoreBigEndian(to + kCheckOffset, StableHash(std::string_view(to, kCheckOffset)));
}

// The pseudo-random bytes, eight at a time.
class Stream {
 public:
  explicit Stream(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    return (state_ ^ (state_ >> 29)) * 0xbf58476d1ce4e5b9ULL;
  }

 private:
  uint64_t state_;
};

void FillBody(uint64_t seed, char* to, size_t size) {
  Stream stream(seed);
  for (; size >= 8; to += 8, size -= 8) {
    const uint64_t word = stream.Next();
    std::memcpy(to, &word, 8);
  }
  if (size > 0) {
    const uint64_t word = stream.Next();
    std::memcpy(to, &word, size);
  }
}

bool IsBody(uint64_t seed, std::string_view bytes) {
  Stream stream(seed);
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    const uint64_t word = stream.Next();
    if (std::memcmp(bytes.data(), &word, 8) != 0) return false;
  }
  const uint64_t word = stream.Next();
  return std::memcmp(bytes.data(), &word, bytes.size()) == 0;
}

}  // namespace

Buffer MakePayload(const PayloadId& id, size_t length_bytes) {
  char header[kPayloadHeaderBytes];
  WriteHeader(id, length_bytes, header);
  const uint64_t seed = LoadBigEndian<uint64_t>(header + kCheckOffset);
  MutableBuffer payload(length_bytes);
  if (length_bytes < kPayloadHeaderBytes) {
    FillBody(seed, payload.data(), length_bytes);
  } else {
    std::memcpy(payload.data(), header, kPayloadHeaderBytes);
    FillBody(seed, payload.data() + kPayloadHeaderBytes, length_bytes - kPayloadHeaderBytes);
  }
  return std::move(payload).Freeze();
}

PayloadTag TagOf(std::string_view payload) {
  PayloadTag tag;
  tag.length_bytes = static_cast<int64_t>(payload.size());
  if (payload.size() >= kPayloadHeaderBytes && LoadBigEndian<uint32_t>(payload.data()) == kMagic &&
      LoadBigEndian<uint32_t>(payload.data() + 4) == payload.size() &&
      LoadBigEndian<uint64_t>(payload.data() + kCheckOffset) ==
          StableHash(payload.substr(0, kCheckOffset)) &&
      IsBody(LoadBigEndian<uint64_t>(payload.data() + kCheckOffset),
             payload.substr(kPayloadHeaderBytes))) {
    tag.is_named = true;
    tag.id = {LedgerId(LoadBigEndian<int64_t>(payload.data() + 8)),
              EntryId(LoadBigEndian<int64_t>(payload.data() + 16)),
              LoadBigEndian<int64_t>(payload.data() + 24),
              LoadBigEndian<int64_t>(payload.data() + 32)};
    return tag;
  }
  tag.hash = StableHash(payload);
  return tag;
}

PayloadTag TagOf(const PayloadId& id, size_t length_bytes) {
  if (length_bytes < kPayloadHeaderBytes) return TagOf(MakePayload(id, length_bytes).view());
  return {.is_named = true, .id = id, .length_bytes = static_cast<int64_t>(length_bytes)};
}

std::string ToText(const PayloadTag& tag) {
  if (!tag.is_named) return absl::StrFormat("raw/%x/%d", tag.hash, tag.length_bytes);
  return StrCat(tag.id.ledger.value(), "/", tag.id.entry.value(), "/", tag.id.writer, "/",
                tag.id.attempt, "/", tag.length_bytes);
}

bool ParseTag(std::string_view text, PayloadTag* tag) {
  std::array<std::string_view, 5> parts;
  size_t count = 0;
  for (;;) {
    if (count == parts.size()) return false;
    const size_t slash = text.find('/');
    parts[count++] = text.substr(0, slash);
    if (slash == std::string_view::npos) break;
    text.remove_prefix(slash + 1);
  }
  if (count == 3 && parts[0] == "raw") {
    tag->is_named = false;
    return ParseNumber(parts[1], &tag->hash, 16) && ParseNumber(parts[2], &tag->length_bytes);
  }
  int64_t ledger = 0;
  int64_t entry = 0;
  if (count != 5 || !ParseNumber(parts[0], &ledger) || !ParseNumber(parts[1], &entry) ||
      !ParseNumber(parts[2], &tag->id.writer) || !ParseNumber(parts[3], &tag->id.attempt) ||
      !ParseNumber(parts[4], &tag->length_bytes)) {
    return false;
  }
  tag->is_named = true;
  tag->id.ledger = LedgerId(ledger);
  tag->id.entry = EntryId(entry);
  return true;
}

}  // namespace stele::history

// Any bytes, cut in any way, give the frames that a plain reading of them gives.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/real/frame_reader.h"

namespace stele::real {
namespace {

constexpr size_t kLimit = 2'000;

// The frames before the first impossible length, and whether there is one.
bool ReadPlainly(std::string_view bytes, std::vector<std::string_view>* frames) {
  while (bytes.size() >= 4) {
    const size_t size = LoadBigEndian<uint32_t>(bytes.data());
    if (size == 0 || size + 4 > kLimit) return false;
    if (bytes.size() - 4 < size) break;
    frames->push_back(bytes.substr(4, size));
    bytes.remove_prefix(4 + size);
  }
  return true;
}

void Check(std::string_view bytes, size_t step) {
  std::vector<std::string_view> expected;
  const bool is_sound = ReadPlainly(bytes, &expected);
  ArrivalBlock block;
  FrameReader reader(kLimit);
  std::vector<Buffer> frames;
  absl::Status status;
  while (!bytes.empty() && status.ok()) {
    iovec places[2];
    const int count = reader.Prepare(&block, places);
    const size_t size = std::min(step, bytes.size());
    size_t taken = 0;
    for (int i = 0; i < count; ++i) {
      const size_t part = std::min(places[i].iov_len, size - taken);
      std::memcpy(places[i].iov_base, bytes.data() + taken, part);
      taken += part;
    }
    bytes.remove_prefix(taken);
    status = reader.Take(&block, taken, &frames);
  }
  STELE_CHECK(status.ok() == is_sound);
  STELE_CHECK(std::equal(frames.begin(), frames.end(), expected.begin(), expected.end(),
                         [](const Buffer& a, std::string_view b) { return a.view() == b; }));
}

}  // namespace
}  // namespace stele::real

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  stele::real::Check(bytes, size_t{data[0]} + 1);
  return 0;
}

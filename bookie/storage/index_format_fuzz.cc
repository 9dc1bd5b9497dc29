// Feeds any bytes to the parser of index headers: what it accepts must survive being written.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bookie/storage/index_format.h"
#include "common/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stele::bookie;
  const stele::LedgerId ledger(7);
  const auto header = ParseIndexHeader({reinterpret_cast<const char*>(data), size}, ledger);
  if (!header.ok() || !header->has_value()) return 0;
  const auto again = ParseIndexHeader(MakeIndexHeader(**header), ledger);
  STELE_CHECK(again.ok() && again->has_value());
  STELE_CHECK((*again)->master_key == (*header)->master_key);
  STELE_CHECK((*again)->state_bits == (*header)->state_bits);
  STELE_CHECK((*again)->explicit_lac == (*header)->explicit_lac);
  STELE_CHECK((*again)->claim == (*header)->claim);
  return 0;
}

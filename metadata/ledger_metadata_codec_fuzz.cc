// Whatever the bytes are: no crash, and what is accepted survives being written and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "metadata/ledger_metadata_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace metadata = stele::metadata;
  const auto parsed = metadata::ParseLedgerMetadata({reinterpret_cast<const char*>(data), size});
  if (!parsed.ok()) {
    STELE_CHECK(stele::CodeOf(parsed.status()) == stele::ErrorCode::kCorruptData);
    return 0;
  }
  const auto bytes = metadata::SerializeLedgerMetadata(*parsed);
  if (!bytes.ok()) return 0;  // the canonical form can be larger than the limit
  const auto again = metadata::ParseLedgerMetadata(*bytes);
  STELE_CHECK(again.ok());
  const bool keeps_token = parsed->format() == metadata::MetadataFormat::kBinary;
  STELE_CHECK(*again == parsed->WithCreatorToken(keeps_token ? parsed->creator_token() : 0));
  return 0;
}

// Cookies, registrations, LAYOUT and service URIs: no crash, and what is accepted survives being
// written and read again. The first byte chooses the decoder.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "metadata/bookie_service_info.h"
#include "metadata/cookie.h"
#include "metadata/ledger_layout.h"
#include "metadata/service_uri.h"

namespace {

namespace metadata = stele::metadata;

void CheckCookie(std::string_view bytes) {
  const auto cookie = metadata::ParseCookie(bytes);
  if (!cookie.ok()) return;
  const std::string text = metadata::SerializeCookie(*cookie);
  if (text.size() > metadata::kCookieSizeMaxBytes) return;
  STELE_CHECK(*metadata::ParseCookie(text) == *cookie);
  STELE_CHECK(metadata::VerifyCookie(*cookie, *cookie, metadata::StorageExpansion::kAllowed).ok());
  // Whatever a directory's cookie says, it is a decision and no crash.
  metadata::DecideCookies(*cookie, *cookie, {{.path = cookie->journal_dirs}, {.path = "/d"}},
                          metadata::StorageExpansion::kAllowed)
      .status()
      .IgnoreError();
}

void CheckRegistration(std::string_view bytes) {
  const stele::BookieId bookie("host:1");
  const auto info = metadata::ParseBookieServiceInfo(bookie, bytes);
  if (!info.ok()) return;
  const std::string again = metadata::SerializeBookieServiceInfo(*info);
  if (again.empty() || again.size() > metadata::kBookieServiceInfoSizeMaxBytes) return;
  STELE_CHECK(*metadata::ParseBookieServiceInfo(bookie, again) == *info);
  metadata::BookieEndpointOf(bookie, bytes).status().IgnoreError();
}

void CheckLayout(std::string_view bytes) {
  const auto layout = metadata::ParseLayout(bytes);
  if (layout.ok()) {
    STELE_CHECK(*metadata::ParseLayout(metadata::SerializeLayout(*layout)) == *layout);
  }
  for (const auto type :
       {metadata::LayoutType::kHierarchical, metadata::LayoutType::kLongHierarchical,
        metadata::LayoutType::kLegacyHierarchical, metadata::LayoutType::kFlat}) {
    const metadata::LedgerLayout paths("/l", type);
    const auto ledger = paths.LedgerOf(bytes);
    if (ledger.has_value()) STELE_CHECK(*paths.PathOf(*ledger) == bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: CheckCookie(bytes); break;
    case 1: CheckRegistration(bytes); break;
    case 2: CheckLayout(bytes); break;
    case 3: metadata::ParseServiceUri(bytes).status().IgnoreError(); break;
  }
  return 0;
}

// Cookie: which bookie, with which directories, of which cluster. The same text is in the metadata
// store and in the file VERSION of each directory of the bookie, so that a disk that is missing,
// empty or somebody else's is noticed before the bookie promises anything. Here: the text, and the
// decision, both pure. The reading and writing: cookie_check.h.
// Source: docs/METADATA.md "Cookies"; Apache BookKeeper's CookieFormat.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"

namespace stele::metadata {

struct Cookie {
  std::string bookie;        // the id
  std::string journal_dirs;  // as configured, joined by commas
  // DirectoryList() of the directories as configured.
  std::string ledger_dirs;
  std::optional<std::string> index_dirs;  // where they are configured apart
  std::optional<std::string> instance_id;

  friend bool operator==(const Cookie&, const Cookie&) = default;
};

// More is no cookie.
inline constexpr size_t kCookieSizeMaxBytes = 64 * 1024;

// "<count>\t<directory>\t<directory>": how a cookie lists directories.
std::string DirectoryList(const std::vector<std::string>& directories);

// In the current version, 5.
std::string SerializeCookie(const Cookie& cookie);
// Versions 3, 4 and 5. kCorruptData.
absl::StatusOr<Cookie> ParseCookie(std::string_view bytes);

// With kAllowed, ledger and index directories may be added to those in the cookies.
enum class StorageExpansion { kRefused, kAllowed };

// Whether `found` is a cookie of the bookie that `master` describes.
//   kCookieMismatch  with the difference
absl::Status VerifyCookie(const Cookie& master, const Cookie& found, StorageExpansion expansion);

// What was found in one directory of the bookie.
struct CookieDirectory {
  std::string path;              // as configured
  std::optional<Cookie> cookie;  // nothing: there is no VERSION
  bool is_empty = true;          // there is nothing beside VERSION
};

struct CookiePlan {
  enum class Store { kKeep, kCreate, kUpdate };
  // Write the master cookie to these directories, in this order, ...
  std::vector<std::string> stamp;
  // ... then to the metadata store.
  Store store = Store::kKeep;

  friend bool operator==(const CookiePlan&, const CookiePlan&) = default;
};

// What to do at the bookie's start, or why it must not start.
//   master       made from the configuration and the cluster's instance id
//   stored       what the metadata store has for this bookie, nothing when it has none
//   directories  each once
// The order of writing lets every crash be continued by the next start: while a new bookie's
// directories are still empty, cookies in them without one in the store are its own interrupted
// first start; of an expansion the new directories are stamped before the old ones.
//   kCookieMismatch  with what the operator should look at
absl::StatusOr<CookiePlan> DecideCookies(const Cookie& master, const std::optional<Cookie>& stored,
                                         const std::vector<CookieDirectory>& directories,
                                         StorageExpansion expansion);

}  // namespace stele::metadata

#include "metadata/cookie.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/decimal.h"
#include "metadata/proto_text.h"
#include "proto/bookie_identity.pb.h"

namespace stele::metadata {
namespace {

constexpr int64_t kFirstVersion = 3;
constexpr int64_t kFirstTextVersion = 4;
constexpr int64_t kCurrentVersion = 5;

absl::Status Corrupt(std::string_view detail) {
  return MakeError(ErrorCode::kCorruptData, StrCat("cookie: ", detail));
}

absl::Status Mismatch(std::string_view detail) {
  return MakeError(ErrorCode::kCookieMismatch, detail);
}

std::set<std::string> SplitAt(std::string_view list, char separator) {
  std::set<std::string> parts;
  while (!list.empty()) {
    const size_t end = std::min(list.find(separator), list.size());
    parts.emplace(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return parts;
}

// The directories of a DirectoryList(); its count is of no use to us.
std::set<std::string> DirectoriesIn(std::string_view list) {
  const size_t tab = list.find('\t');
  return tab == std::string_view::npos ? std::set<std::string>()
                                       : SplitAt(list.substr(tab + 1), '\t');
}

// Index directories that are not configured are in the ledger directories.
const std::string& IndexDirectoriesOf(const Cookie& cookie) {
  const bool is_blank = !cookie.index_dirs.has_value() || cookie.index_dirs->empty();
  return is_blank ? cookie.ledger_dirs : *cookie.index_dirs;
}

bool CoversDirectories(const std::string& ours, const std::string& theirs,
                       StorageExpansion expansion) {
  if (ours == theirs) return true;
  if (expansion == StorageExpansion::kRefused) return false;
  const std::set<std::string> wanted = DirectoriesIn(ours);
  const std::set<std::string> found = DirectoriesIn(theirs);
  return std::includes(wanted.begin(), wanted.end(), found.begin(), found.end());
}

std::string Quoted(const std::optional<std::string>& text) {
  return text.has_value() ? StrCat("\"", *text, "\"") : "none";
}

// All directories that a cookie says the bookie has.
std::set<std::string> DirectoriesOf(const Cookie& cookie) {
  std::set<std::string> directories = SplitAt(cookie.journal_dirs, ',');
  directories.merge(DirectoriesIn(cookie.ledger_dirs));
  directories.merge(DirectoriesIn(IndexDirectoriesOf(cookie)));
  return directories;
}

absl::StatusOr<Cookie> ParseLines(std::string_view body) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < 3; ++i) {
    const size_t newline = body.find('\n');
    lines.emplace_back(body.substr(0, newline));
    if (lines.back().empty()) return Corrupt("a line is missing");
    body.remove_prefix(newline == std::string_view::npos ? body.size() : newline + 1);
  }
  return Cookie{.bookie = lines[0], .journal_dirs = lines[1], .ledger_dirs = lines[2]};
}

absl::StatusOr<Cookie> ParseText(std::string_view body) {
  stored::CookieFormat message;
  STELE_TRY_OK(ParseProtoText(body, &message));
  if (!message.IsInitialized()) return Corrupt("a required field is missing");
  Cookie cookie{.bookie = message.bookiehost(),
                .journal_dirs = message.journaldir(),
                .ledger_dirs = message.ledgerdirs()};
  if (message.has_indexdirs()) cookie.index_dirs = message.indexdirs();
  if (message.has_instanceid()) cookie.instance_id = message.instanceid();
  return cookie;
}

// `paths` for a message.
std::string Joined(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) text += StrCat(text.empty() ? "" : ", ", path);
  return text;
}

// The directories that the bookie has had before: those that the cookie in the store lists, and
// what the cookies in them list. A cookie in a new directory is no witness: an expansion that was
// interrupted wrote it, and it names directories that were not stamped yet.
std::set<std::string> KnownDirectories(const Cookie& stored,
                                       const std::vector<CookieDirectory>& directories) {
  const std::set<std::string> listed = DirectoriesOf(stored);
  std::set<std::string> known = listed;
  for (const CookieDirectory& directory : directories) {
    if (directory.cookie.has_value() && listed.count(directory.path) > 0) {
      known.merge(DirectoriesOf(*directory.cookie));
    }
  }
  return known;
}

absl::Status CheckNewDirectories(const Cookie& stored,
                                 const std::vector<CookieDirectory>& directories,
                                 const std::vector<std::string>& missing,
                                 StorageExpansion expansion) {
  const std::set<std::string> known = KnownDirectories(stored, directories);
  std::vector<std::string> lost;
  for (const std::string& path : missing) {
    if (known.count(path) > 0) lost.push_back(path);
  }
  if (!lost.empty()) {
    return Mismatch(StrCat("this bookie has had ", Joined(lost),
                           " but no cookie is there any more: is a disk missing, replaced or not "
                           "mounted?"));
  }
  if (expansion == StorageExpansion::kRefused) {
    return Mismatch(StrCat("there is no cookie in ", Joined(missing),
                           "; new directories need allowStorageExpansion"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string DirectoryList(const std::vector<std::string>& directories) {
  std::string list = StrCat(directories.size());
  for (const std::string& directory : directories) list += StrCat("\t", directory);
  return list;
}

std::string SerializeCookie(const Cookie& cookie) {
  stored::CookieFormat message;
  message.set_bookiehost(cookie.bookie);
  message.set_journaldir(cookie.journal_dirs);
  message.set_ledgerdirs(cookie.ledger_dirs);
  if (cookie.index_dirs.has_value()) message.set_indexdirs(*cookie.index_dirs);
  if (cookie.instance_id.has_value()) message.set_instanceid(*cookie.instance_id);
  return StrCat(kCurrentVersion, "\n", PrintProtoText(message));
}

absl::StatusOr<Cookie> ParseCookie(std::string_view bytes) {
  if (bytes.size() > kCookieSizeMaxBytes) return Corrupt("it is too long");
  const size_t newline = bytes.find('\n');
  if (newline == std::string_view::npos) return Corrupt("the version is missing");
  const std::optional<int64_t> version = ParseDecimal(bytes.substr(0, newline));
  if (!version.has_value() || *version < kFirstVersion || *version > kCurrentVersion) {
    return Corrupt("the version is unknown");
  }
  const std::string_view body = bytes.substr(newline + 1);
  return *version < kFirstTextVersion ? ParseLines(body) : ParseText(body);
}

absl::Status VerifyCookie(const Cookie& master, const Cookie& found, StorageExpansion expansion) {
  const auto differs = [](std::string_view what, const std::optional<std::string>& theirs,
                          const std::optional<std::string>& ours) {
    return Mismatch(StrCat(what, " is ", Quoted(theirs), ", but this bookie has ", Quoted(ours)));
  };
  if (found.bookie != master.bookie) return differs("its bookie id", found.bookie, master.bookie);
  if (found.instance_id != master.instance_id) {
    return differs("its cluster's instance id", found.instance_id, master.instance_id);
  }
  // An expansion adds no journals: each holds what no other disk has.
  if (found.journal_dirs != master.journal_dirs) {
    return differs("its list of journal directories", found.journal_dirs, master.journal_dirs);
  }
  if (!CoversDirectories(master.ledger_dirs, found.ledger_dirs, expansion)) {
    return differs("its list of ledger directories", found.ledger_dirs, master.ledger_dirs);
  }
  if (!CoversDirectories(IndexDirectoriesOf(master), IndexDirectoriesOf(found), expansion)) {
    return differs("its list of index directories", IndexDirectoriesOf(found),
                   IndexDirectoriesOf(master));
  }
  return absl::OkStatus();
}

absl::StatusOr<CookiePlan> DecideCookies(const Cookie& master, const std::optional<Cookie>& stored,
                                         const std::vector<CookieDirectory>& directories,
                                         StorageExpansion expansion) {
  if (stored.has_value()) {
    if (const absl::Status same = VerifyCookie(master, *stored, expansion); !same.ok()) {
      return WithContext(same, "the cookie in the metadata store");
    }
  }
  std::vector<std::string> missing;
  std::vector<std::string> stamped;
  std::vector<std::string> missing_with_data;
  bool all_empty = true;
  for (const CookieDirectory& directory : directories) {
    all_empty = all_empty && directory.is_empty;
    if (directory.cookie.has_value()) {
      stamped.push_back(directory.path);
      const absl::Status same = VerifyCookie(master, *directory.cookie, expansion);
      if (!same.ok()) return WithContext(same, StrCat("the cookie in ", directory.path));
    } else {
      missing.push_back(directory.path);
      if (!directory.is_empty) missing_with_data.push_back(directory.path);
    }
  }
  if (!missing_with_data.empty()) {
    return Mismatch(StrCat("there are files but no cookie in ", Joined(missing_with_data)));
  }
  // Also when some are empty: they may be replaced disks.
  if (!stored.has_value() && !all_empty) {
    return Mismatch(
        "the directories hold data of this bookie, but the metadata store has no cookie of it: was "
        "it removed from the cluster? To bring it back with its data, upload a cookie; to start "
        "anew, empty the directories");
  }
  if (missing.empty()) {
    if (stored.has_value()) {
      const bool expanded = expansion == StorageExpansion::kAllowed && *stored != master;
      return CookiePlan{.store = expanded ? CookiePlan::Store::kUpdate : CookiePlan::Store::kKeep};
    }
    return CookiePlan{.store = CookiePlan::Store::kCreate};
  }
  if (stored.has_value()) {
    STELE_TRY_OK(CheckNewDirectories(*stored, directories, missing, expansion));
  }
  CookiePlan plan{
      .stamp = std::move(missing),
      .store = stored.has_value() ? CookiePlan::Store::kUpdate : CookiePlan::Store::kCreate};
  plan.stamp.insert(plan.stamp.end(), stamped.begin(), stamped.end());
  return plan;
}

}  // namespace stele::metadata

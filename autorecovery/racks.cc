#include "autorecovery/racks.h"

#include <algorithm>
#include <set>
#include <vector>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/quorum/write_set.h"

namespace stele::autorecovery {
namespace {

std::vector<std::string_view> WordsOf(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  line = line.substr(0, line.find('#'));
  std::vector<std::string_view> words;
  for (;;) {
    line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
    if (line.empty()) return words;
    const size_t end = std::min(line.find_first_of(kSpace), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

}  // namespace

absl::StatusOr<RackMap> RackMap::Parse(std::string_view text) {
  RackMap map;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string_view> words = WordsOf(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty()) continue;
    if (words.size() != 2 || !words[1].starts_with('/') || words[1].size() < 2) {
      return MakeError(ErrorCode::kConfig,
                       StrCat("line ", number, ": expected a bookie or host, and /RACK"));
    }
    if (!map.racks_.emplace(words[0], words[1]).second) {
      return MakeError(ErrorCode::kConfig, StrCat("line ", number, ": ", words[0], " comes twice"));
    }
  }
  return map;
}

std::string_view RackMap::RackOf(const BookieId& bookie) const {
  auto found = racks_.find(bookie.value());
  if (found == racks_.end()) {
    const std::string_view id = bookie.value();
    found = racks_.find(id.substr(0, id.rfind(':')));
  }
  return found == racks_.end() ? kDefaultRack : std::string_view(found->second);
}

bool IsSpreadOverRacks(const metadata::LedgerMetadata& metadata, const RackMap& racks) {
  const quorum::Replication& replication = metadata.replication();
  const auto racks_min =
      static_cast<size_t>(std::min(kRacksPerWriteQuorumMin, replication.write_quorum_size));
  const auto& fragments = metadata.fragments();
  for (size_t i = 0; i < fragments.size(); ++i) {
    const EntryId first = fragments[i].first_entry;
    // The write sets come again after as many entries as the ensemble has members.
    EntryId last(first.value() + replication.ensemble_size - 1);
    if (i + 1 < fragments.size()) last = std::min(last, fragments[i + 1].first_entry.Previous());
    if (metadata.IsClosed()) last = std::min(last, metadata.last_entry());
    for (EntryId entry = first; entry <= last; entry = entry.Next()) {
      const quorum::WriteSet write_set(entry, replication);
      std::set<std::string_view> used;
      for (int offset = 0; offset < write_set.size(); ++offset) {
        used.insert(racks.RackOf(fragments[i].ensemble[static_cast<size_t>(write_set[offset])]));
      }
      if (used.size() < racks_min) return false;
    }
  }
  return true;
}

}  // namespace stele::autorecovery

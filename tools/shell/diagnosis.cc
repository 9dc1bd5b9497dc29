#include "tools/shell/diagnosis.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::shell {
namespace {

using autorecovery::RepairBacklog;

void Add(std::vector<Diagnosis>& found, Severity severity, std::string name, std::string subject,
         std::string finding, std::string remedy) {
  found.push_back(
      {severity, std::move(name), std::move(subject), std::move(finding), std::move(remedy)});
}

int64_t Size(const auto& container) { return static_cast<int64_t>(container.size()); }

std::string Since(const RepairBacklog& backlog, const BookieId& bookie, absl::Time now) {
  const auto lost = backlog.lost.find(bookie);
  if (lost == backlog.lost.end()) return "";
  return StrCat(" for ", absl::ToInt64Seconds(now - lost->second), " s");
}

void LookAtBookies(const Examination& seen, std::vector<Diagnosis>& found) {
  const RepairBacklog& backlog = seen.backlog;
  const int64_t writable = Size(backlog.bookies.writable);
  if (writable < std::max<int64_t>(seen.ensemble_size_max, 1)) {
    Add(found, Severity::kCritical, "too_few_writable", "",
        StrCat(writable, " bookies are writable; ledgers use up to ", seen.ensemble_size_max),
        "start bookies, or free their disks: writers stall");
  }
  for (const BookieId& bookie : backlog.joined) {
    if (backlog.bookies.IsUp(bookie)) continue;
    const bool is_draining = backlog.draining.contains(bookie);
    Add(found, Severity::kWarning, "bookie_down", bookie.value(),
        StrCat("not registered", Since(backlog, bookie, seen.now),
               is_draining ? ", while it is being drained" : ""),
        StrCat("start it; when it will not come back: stele recover ", bookie.value(),
               " --delete-cookie"));
  }
  for (const auto& [bookie, since] : backlog.in_limbo) {
    if (std::find(backlog.joined.begin(), backlog.joined.end(), bookie) == backlog.joined.end()) {
      continue;
    }
    Add(found, Severity::kCritical, "bookie_in_limbo", bookie.value(),
        StrCat("has lost data, and fetches what it lacks, for ",
               absl::ToInt64Seconds(seen.now - since), " s"),
        "stop no other bookie; stele_ledgers_in_limbo of its admin port says how much is left");
  }
  for (const BookieId& bookie : backlog.bookies.read_only) {
    if (backlog.draining.contains(bookie)) continue;
    Add(found, Severity::kWarning, "bookie_read_only", bookie.value(), "takes no entries",
        StrCat("stele node status ", bookie.value(),
               " shows its disks; its log says who switched it"));
  }
  for (const auto* registered : {&backlog.bookies.writable, &backlog.bookies.read_only}) {
    for (const BookieId& bookie : *registered) {
      if (std::find(backlog.joined.begin(), backlog.joined.end(), bookie) != backlog.joined.end()) {
        continue;
      }
      Add(found, Severity::kWarning, "bookie_without_cookie", bookie.value(),
          "is registered and has no cookie: it will not start again over its directories",
          "stele cookie create with the VERSION file of one of its directories");
    }
  }
  for (const std::string& name : backlog.bookies.invalid_names) {
    Add(found, Severity::kWarning, "invalid_registration", name,
        "is registered and is no bookie id: Apache's clients hang on it",
        "find out who registered it, and end it");
  }
}

void LookAtDisks(const Examination& seen, std::vector<Diagnosis>& found) {
  for (const auto& [bookie, space] : seen.spaces) {
    if (!space.ok()) {
      Add(found, Severity::kCritical, "bookie_silent", bookie.value(),
          StrCat("is registered and does not answer: ", NameOf(CodeOf(space.status()))),
          "look at its process and at the network to it; restarting it lets writers go on");
      continue;
    }
    if (space->total_bytes <= 0) continue;
    // In this order: a product of bytes would not fit.
    const int64_t percent = space->free_bytes / (space->total_bytes / 100 + 1);
    if (percent >= kFreePercentMin) continue;
    Add(found, Severity::kWarning, "disk_nearly_full", bookie.value(),
        StrCat(percent, " % of its disks are free"),
        StrCat("delete ledgers, add bookies, or stele node drain ", bookie.value()));
  }
}

void LookAtLedgers(const Examination& seen, std::vector<Diagnosis>& found) {
  const RepairBacklog& backlog = seen.backlog;
  if (!backlog.quarantined.empty()) {
    Add(found, Severity::kCritical, "ledgers_quarantined", "",
        StrCat(backlog.quarantined.size(), " ledgers have entries that no bookie gives, the first ",
               backlog.quarantined.front().value()),
        StrCat("stele ledger explain ", backlog.quarantined.front().value(),
               " shows who had them; bring those bookies back"));
  }
  if (seen.ledgers_unreadable > 0) {
    Add(found, Severity::kCritical, "metadata_unreadable", "",
        StrCat("the metadata of ", seen.ledgers_unreadable, " ledgers cannot be understood"),
        "stele cluster fsck --mode metadata names them; restore them with stele ledger restore");
  }
  if (backlog.tasks.empty()) return;
  const absl::Duration age = backlog.OldestAge(seen.now);
  const bool is_stuck = age > kMarkAgeMax;
  Add(found, Severity::kWarning, is_stuck ? "repair_stuck" : "ledgers_lack_copies", "",
      StrCat(backlog.tasks.size(), " ledgers lack up to ", backlog.ReplicasMissingMax(),
             " copies, the oldest for ", absl::ToInt64Seconds(age), " s; ", backlog.locked.size(),
             " are being repaired"),
      is_stuck ? "stele autorecovery list shows which; the workers' logs say why they fail"
               : "wait; stop no other bookie before stele gate restart says yes");
}

void LookAtAutorecovery(const Examination& seen, std::vector<Diagnosis>& found) {
  const RepairBacklog& backlog = seen.backlog;
  if (!backlog.enabled) {
    Add(found, Severity::kWarning, "autorecovery_disabled", "", "no lost copy comes back",
        "stele autorecovery enable, when the maintenance is over");
  } else if (!backlog.auditor.has_value()) {
    Add(found, Severity::kCritical, "no_auditor", "", "nobody notices lost copies",
        "start stele autorecovery");
  }
  // Apache's workers do not register, so that none says nothing while somebody repairs.
  if (backlog.workers.empty() && !backlog.tasks.empty() && backlog.locked.empty()) {
    Add(found, Severity::kWarning, "no_worker", "", "ledgers lack copies and nobody repairs them",
        "start stele autorecovery");
  }
  if (seen.ledgers == 0) return;
  if (backlog.checked_at.has_value() && seen.now - *backlog.checked_at > kCheckAgeMax) {
    Add(found, Severity::kWarning, "check_overdue", "",
        StrCat("the auditor last checked all copies ",
               absl::ToInt64Hours(seen.now - *backlog.checked_at) / 24, " days ago"),
        "stele cluster fsck checks now; the auditor's log says why it does not");
  }
}

}  // namespace

std::string_view NameOf(Severity severity) {
  return severity == Severity::kCritical ? "critical" : "warning";
}

std::vector<Diagnosis> Diagnose(const Examination& seen) {
  std::vector<Diagnosis> found;
  LookAtLedgers(seen, found);
  LookAtBookies(seen, found);
  LookAtAutorecovery(seen, found);
  LookAtDisks(seen, found);
  std::stable_sort(found.begin(), found.end(),
                   [](const Diagnosis& a, const Diagnosis& b) { return a.severity > b.severity; });
  return found;
}

}  // namespace stele::shell

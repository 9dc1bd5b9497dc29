#include "bookie/bookie_metrics.h"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using observe::MetricsText;

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

int64_t ServerStatus(const BookieStatus& status) {
  if (!status.registered.has_value()) return -1;
  return status.registered == metadata::BookieMode::kWritable ? 1 : 0;
}

// The root that the configuration names.
std::string_view RootOf(std::string_view current) {
  constexpr std::string_view kCurrent = "/current";
  return current.ends_with(kCurrent) ? current.substr(0, current.size() - kCurrent.size())
                                     : current;
}

void ExportDirectories(const BookieStatus& status, MetricsText& into) {
  const auto directories = static_cast<int64_t>(status.ledger_directories.size());
  int64_t full = 0;
  for (const DirectorySpace& directory : status.ledger_directories) {
    for (const std::string& name : status.full_directories) full += name == directory.directory;
    const std::string_view root = RootOf(directory.directory);
    const uint64_t total = directory.space.total_bytes;
    const uint64_t free = directory.space.free_bytes;
    // In ten-thousandths.
    const int64_t used = total == 0 ? 0 : Signed((total - free) / (total / 10'000 + 1));
    into.Gauge(StrCat("bookie_ledger_dir_", root, "_usage"), {{"dir", root}}, used, 2);
    into.Gauge("stele_dir_used_ratio", {{"dir", root}}, used, 4);
    into.Gauge("stele_dir_free_bytes", {{"dir", root}}, Signed(free));
  }
  into.Gauge("bookie_ledger_num_dirs", {}, directories);
  into.Gauge("bookie_ledger_writable_dirs", {}, directories - full);
  const std::vector<std::string>& indexes = status.directories.indexes;
  const auto is_full = [&status](const std::string& directory) {
    return std::find(status.full_directories.begin(), status.full_directories.end(), directory) !=
           status.full_directories.end();
  };
  into.Gauge("bookie_index_writable_dirs", {},
             std::count_if(indexes.begin(), indexes.end(), std::not_fn(is_full)));
  into.Gauge("bookie_JOURNAL_DIRS", {}, status.journals);
}

void ExportGarbage(const GarbageStats& garbage, MetricsText& into) {
  const CompactionStats& compaction = garbage.compaction;
  into.Counter("bookie_gc_DELETED_LEDGER_TOTAL", {}, garbage.ledgers_removed);
  into.Counter("bookie_gc_MINOR_COMPACTION_TOTAL", {}, compaction.minor_runs);
  into.Counter("bookie_gc_MAJOR_COMPACTION_TOTAL", {}, compaction.major_runs);
  into.Counter("bookie_gc_RECLAIMED_COMPACTION_SPACE_BYTES", {}, Signed(compaction.bytes_freed));
  into.Counter("stele_gc_passes_total", {}, garbage.passes);
  into.Counter("stele_gc_failed_passes_total", {}, garbage.failed_passes);
  into.Counter("stele_gc_entry_logs_removed_total", {},
               garbage.entry_logs_removed + compaction.logs_removed);
  into.Gauge("stele_gc_ledgers_held_back", {}, garbage.ledgers_held_back);
  into.Counter("stele_compaction_copied_bytes_total", {}, Signed(compaction.bytes_copied));
  into.Counter("stele_compaction_logs_kept_total", {}, compaction.logs_kept);
}

void ExportScrub(const ScrubStats& scrub, MetricsText& into) {
  into.Counter("scrubber_detectedScrubErrors", {}, scrub.damaged);
  into.Counter("stele_scrub_passes_total", {}, scrub.passes);
  into.Counter("stele_scrub_bytes_total", {}, Signed(scrub.bytes));
  into.Counter("stele_scrub_repaired_total", {}, scrub.repaired);
  into.Gauge("stele_ledgers_uncertain", {}, scrub.ledgers_uncertain);
}

}  // namespace

void ExportStatus(const BookieStatus& status, MetricsText& into) {
  into.Gauge("bookie_SERVER_STATUS", {}, ServerStatus(status));
  into.Gauge("bookie_ledgers_count", {}, status.storage.ledgers);
  into.Gauge("bookie_gc_ACTIVE_LEDGER_TOTAL", {}, status.storage.ledgers);
  into.Gauge("bookie_gc_ACTIVE_ENTRY_LOG_TOTAL", {}, status.storage.entry_logs);
  into.Gauge("bookkeeper_server_ADD_ENTRY_BLOCKED", {}, static_cast<int64_t>(status.adds_stalled));
  into.Gauge("bookie_write_cache_size", {}, Signed(status.storage.memtable_bytes));
  into.Gauge("stele_mem_used_bytes", {{"pool", "memtable"}}, Signed(status.storage.memtable_bytes));
  into.Gauge("stele_mem_budget_bytes", {{"pool", "memtable"}}, Signed(status.memtable_max_bytes));
  into.Counter("stele_failed_flushes_total", {}, status.storage.failed_flushes);
  into.Counter("stele_lost_indexes_total", {}, status.storage.lost_indexes);
  into.Gauge("stele_index_runs", {}, status.storage.index_runs);
  into.Counter("stele_failed_index_merges_total", {}, status.storage.failed_index_merges);
  into.Gauge("stele_replayed_records", {}, status.recovered.records);
  into.Gauge("stele_replayed_torn_tails", {}, status.recovered.torn_tails);
  into.Gauge("stele_was_unclean", {}, status.was_unclean ? 1 : 0);
  ExportDirectories(status, into);
  ExportGarbage(status.garbage, into);
  ExportScrub(status.scrub, into);
  into.Gauge("stele_ledgers_in_limbo", {}, status.limbo.ledgers);
}

void ExportEntryLogs(const std::vector<EntryLogUsage>& logs, MetricsText& into) {
  uint64_t total = 0;
  uint64_t dead = 0;
  for (const EntryLogUsage& log : logs) {
    total += log.total_bytes;
    dead += log.total_bytes - std::min(log.total_bytes, log.live_bytes);
  }
  into.Gauge("bookie_gc_ACTIVE_ENTRY_LOG_SPACE_BYTES", {}, Signed(total));
  into.Gauge("stele_compaction_debt_bytes", {}, Signed(dead));
}

}  // namespace stele::bookie

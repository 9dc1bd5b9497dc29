#include "bookie/take_over.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_split.h"
#include "bookie/journal/journal_format.h"
#include "bookie/journal/journal_replay.h"
#include "bookie/journal/last_mark.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/extent_format.h"
#include "bookie/storage/index_format.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cookie.h"
#include "metadata/cookie_check.h"

namespace stele::bookie {
namespace {

// Of damaged files of one kind so many are named.
constexpr int64_t kNamedMax = 10;

struct Root {
  std::string path;     // as given
  std::string current;  // where the bookie works
  std::vector<std::string> names;
  std::optional<metadata::Cookie> cookie;
};

class TakeOverCheck {
 public:
  explicit TakeOverCheck(Env env) : env_(env) {}

  Task<absl::StatusOr<TakeOverReport>> Run(std::vector<std::string> directories) {
    for (std::string& directory : directories) STELE_CO_TRY_OK(co_await AddRoot(directory));
    CheckCookies();
    for (const Root& root : roots_) {
      STELE_CO_TRY_OK(co_await CheckEntryLogs(&root));
      STELE_CO_TRY_OK(co_await CheckIndexes(&root));
    }
    if (log_count_ > 0) Found(log_count_, " entry logs, ", log_bytes_, " bytes");
    if (index_count_ > 0) Found(index_count_, " ledgers, ", fenced_count_, " of them fenced");
    STELE_CO_TRY_OK(co_await CheckJournals());
    co_return std::move(report_);
  }

 private:
  template <typename... Parts>
  void Found(const Parts&... parts) {
    report_.found.push_back(StrCat(parts...));
  }
  template <typename... Parts>
  void WillDo(const Parts&... parts) {
    report_.will_do.push_back(StrCat(parts...));
  }
  template <typename... Parts>
  void Obstacle(const Parts&... parts) {
    report_.obstacles.push_back(StrCat(parts...));
  }

  // ---- Whose directories these are --------------------------------------------------------------

  Task<absl::Status> AddRoot(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    for (const Root& root : roots_) {
      if (root.path == path) co_return absl::OkStatus();
    }
    Root root{.path = path, .current = StrCat(path, "/", metadata::kCurrentDirectoryName)};
    absl::StatusOr<std::vector<std::string>> names = co_await env_.files->List(root.current);
    if (CodeOf(names.status()) == ErrorCode::kNoSuchFile) {
      Obstacle(path, " is no directory of a bookie: it has no 'current'");
      co_return absl::OkStatus();
    }
    if (!names.ok()) co_return names.status();
    root.names = *std::move(names);
    STELE_CO_TRY(std::unique_ptr<DirectoryLock> lock,
                 co_await env_.files->LockDirectory(root.current));
    locks_.push_back(std::move(lock));
    const absl::StatusOr<Buffer> text =
        co_await ReadFile(env_.files, StrCat(root.current, "/", metadata::kCookieFileName),
                          metadata::kCookieSizeMaxBytes);
    if (text.ok()) {
      const absl::StatusOr<metadata::Cookie> cookie = metadata::ParseCookie(text->view());
      if (cookie.ok()) {
        root.cookie = *cookie;
      } else {
        Obstacle(root.current, "/VERSION: ", ToStd(cookie.status().message()));
      }
    } else if (CodeOf(text.status()) == ErrorCode::kNoSuchFile) {
      Obstacle(root.current, " has no VERSION: nothing tells whose directory it is");
    } else {
      co_return text.status();
    }
    roots_.push_back(std::move(root));
    co_return absl::OkStatus();
  }

  void CheckCookies() {
    const metadata::Cookie* first = nullptr;
    for (const Root& root : roots_) {
      if (!root.cookie.has_value()) continue;
      if (first == nullptr) {
        first = &*root.cookie;
      } else if (!(*root.cookie == *first)) {
        Obstacle(root.path, " and ", roots_.front().path, " do not belong to one bookie");
      }
    }
    if (first == nullptr) return;
    Found("bookie ", first->bookie, first->instance_id.has_value() ? " of cluster " : "",
          first->instance_id.value_or(""));
    journals_ = absl::StrSplit(first->journal_dirs, ',');
    std::vector<std::string> wanted = journals_;
    for (const std::string& list : {first->ledger_dirs, first->index_dirs.value_or("0")}) {
      const std::vector<std::string> parts = absl::StrSplit(list, '\t');
      wanted.insert(wanted.end(), parts.begin() + 1, parts.end());
    }
    for (const std::string& directory : wanted) {
      if (Find(directory) == nullptr) {
        Obstacle("the bookie also has ", directory, ", which was not given");
      }
    }
  }

  const Root* Find(std::string_view path) const {
    while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    for (const Root& root : roots_) {
      if (root.path == path) return &root;
    }
    return nullptr;
  }

  // ---- Entry logs -------------------------------------------------------------------------------

  Task<absl::Status> CheckEntryLogs(const Root* root) {
    for (const std::string& name : root->names) {
      const std::string path = StrCat(root->current, "/", name);
      if (name == "locations" || name == "ledgers") {
        Obstacle(path,
                 ": an index of DbLedgerStorage, which this bookie cannot read; convert it "
                 "with Apache's 'bookkeeper shell convert-to-interleaved-storage' first");
      }
      if (name == "DIRTY") {
        Found(root->path,
              ": the last bookie here did not end in order, or still runs; make sure "
              "that it does not");
      }
      if (name == kExtentDirectory) STELE_CO_TRY_OK(co_await CheckExtents(path));
      if (name.ends_with(".compacting") || name.ends_with(".compacted")) {
        WillDo("drop ", path,
               ", which an interrupted compaction has left, unless it is the only "
               "copy");
      }
      const std::optional<EntryLogId> log = ParseEntryLogFileName(name);
      if (log.has_value()) STELE_CO_TRY_OK(co_await CheckEntryLog(*log, path));
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> CheckExtents(std::string path) {
    STELE_CO_TRY(const std::vector<std::string> names, co_await env_.files->List(path));
    const auto runs = std::count_if(names.begin(), names.end(), [](const std::string& name) {
      return ParseExtentRunName(name).has_value();
    });
    if (runs > 0)
      Found(path, ": an index in extents, ", runs, " runs; Apache's bookie cannot read it");
    co_return absl::OkStatus();
  }

  Task<absl::Status> CheckEntryLog(EntryLogId log, std::string path) {
    if (!logs_.insert(log).second) {
      Obstacle(path, ": another directory has an entry log of this number");
    }
    STELE_CO_TRY(const std::unique_ptr<File> file, co_await env_.files->Open(path, OpenOptions{}));
    STELE_CO_TRY(const uint64_t size, co_await file->Size());
    ++log_count_;
    log_bytes_ += size;
    if (size == 0) co_return absl::OkStatus();  // prepared and never used
    STELE_CO_TRY(const Buffer head, co_await file->ReadAt(0, kEntryLogHeaderSize));
    const absl::Status header = ParseEntryLogHeader(head.view()).status();
    // Entries are found by the index, so the header is not needed to serve them.
    if (!header.ok()) Found(path, ": ", ToStd(header.message()), "; its entries are served");
    co_return absl::OkStatus();
  }

  // ---- Indexes ----------------------------------------------------------------------------------

  Task<absl::Status> CheckIndexes(const Root* root) {
    for (const std::string& outer : root->names) {
      if (!IsIndexDirectoryName(outer)) continue;
      const std::string outer_path = StrCat(root->current, "/", outer);
      STELE_CO_TRY(const std::vector<std::string> inner_names,
                   co_await env_.files->List(outer_path));
      for (const std::string& inner : inner_names) {
        if (!IsIndexDirectoryName(inner)) continue;
        const std::string path = StrCat(outer_path, "/", inner);
        STELE_CO_TRY(const std::vector<std::string> names, co_await env_.files->List(path));
        for (const std::string& name : names) {
          STELE_CO_TRY_OK(co_await CheckIndex(name, StrCat(path, "/", name)));
        }
      }
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> CheckIndex(std::string name, std::string path) {
    if (ParseIndexFileName(name, kIndexMovedSuffix).has_value()) {
      WillDo("finish the move of ", path);
    }
    const std::optional<LedgerId> ledger = ParseIndexFileName(name, kIndexSuffix);
    if (!ledger.has_value()) co_return absl::OkStatus();
    ++index_count_;
    STELE_CO_TRY(const std::unique_ptr<File> file, co_await env_.files->Open(path, OpenOptions{}));
    STELE_CO_TRY(const Buffer head, co_await file->ReadAt(0, kIndexHeaderSize));
    const absl::StatusOr<std::optional<IndexHeader>> header =
        ParseIndexHeader(head.view(), *ledger);
    if (!header.ok()) {
      if (bad_indexes_++ < kNamedMax) {
        Found(path, ": ", ToStd(header.status().message()), "; the ledger is not served from here");
      }
    } else if (!header->has_value()) {
      if (bad_indexes_++ < kNamedMax) {
        Found(path,
              ": a crash has lost the header; what the journals do not bring back is not "
              "served from here");
      }
    } else if (((*header)->state_bits & kIndexStateFenced) != 0) {
      ++fenced_count_;
    }
    co_return absl::OkStatus();
  }

  // ---- Journals ---------------------------------------------------------------------------------

  Task<absl::Status> CheckJournals() {
    std::vector<std::string> currents;
    for (const Root& root : roots_) currents.push_back(root.current);
    const int count = static_cast<int>(journals_.size());
    for (int i = 0; i < count; ++i) {
      const Root* root = Find(journals_[i]);
      if (root == nullptr) continue;
      // As at a start: also the mark of a bookie with another number of journals.
      std::vector<std::string> names = {LastMarkFileName(i, count)};
      if (i == 0) names.push_back(LastMarkFileName(0, count == 1 ? 2 : 1));
      const JournalMark mark = co_await LastMark(env_.files, currents, std::move(names)).Read();
      STELE_CO_TRY_OK(co_await CheckJournal(root->current, mark));
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> CheckJournal(std::string directory, JournalMark mark) {
    ReplayOptions options{
        .directory = directory, .mark = mark, .on_damage = ReplayOptions::OnDamage::kReport};
    int64_t fences = 0;
    const absl::StatusOr<ReplayReport> replay = co_await ReplayJournal(
        env_, std::move(options),
        [&fences](Buffer body) { return CountFence(std::move(body), &fences); });
    if (CodeOf(replay.status()) == ErrorCode::kCorruptData) {
      Obstacle(ToStd(replay.status().message()));
      co_return absl::OkStatus();
    }
    if (!replay.ok()) co_return replay.status();
    if (replay->records > 0) {
      WillDo("replay ", replay->records, " records, ", replay->bytes, " bytes, ", fences,
             " fences, of ", replay->files, " journal files in ", directory, ", ",
             replay->java_files.size(), " of them written by Apache's bookie");
    } else {
      WillDo("replay nothing from ", directory, ": it ends at the last checkpoint");
    }
    for (const std::string& note : replay->notes) Found(note);
    for (const JournalDamage& damage : replay->damage) {
      Obstacle(damage.file, " at offset ", damage.offset_bytes, ": ", damage.what);
    }
    co_return absl::OkStatus();
  }

  static Task<absl::Status> CountFence(Buffer body, int64_t* fences) {
    STELE_CO_TRY(const JournalRecord record, ParseJournalRecord(body.view()));
    if (record.kind == JournalRecord::Kind::kFence) ++*fences;
    co_return absl::OkStatus();
  }

  const Env env_;
  TakeOverReport report_;
  std::vector<Root> roots_;
  std::vector<std::unique_ptr<DirectoryLock>> locks_;
  std::vector<std::string> journals_;  // in the order of the cookie
  std::set<EntryLogId> logs_;
  int64_t log_count_ = 0;
  uint64_t log_bytes_ = 0;
  int64_t index_count_ = 0;
  int64_t fenced_count_ = 0;
  int64_t bad_indexes_ = 0;
};

}  // namespace

Task<absl::StatusOr<TakeOverReport>> CheckTakeOver(Env env, std::vector<std::string> directories) {
  TakeOverCheck check(env);
  co_return co_await check.Run(std::move(directories));
}

}  // namespace stele::bookie

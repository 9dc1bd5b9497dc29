#include "bookie/journal_scrubber.h"

#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {

using observe::LogLevel;

JournalScrubber::JournalScrubber(FileSystem* files, std::vector<JournalToScrub> journals,
                                 absl::AnyInvocable<Task<absl::Status>()> checkpoint,
                                 observe::Log* log)
    : files_(files),
      journals_(std::move(journals)),
      checkpoint_(std::move(checkpoint)),
      log_(log) {}

Task<absl::StatusOr<int64_t>> JournalScrubber::Run(BackgroundPace* pace) {
  int64_t damaged = 0;
  for (const JournalToScrub& journal : journals_) {
    STELE_CO_TRY(std::optional<JournalDamage> damage, co_await Look(&journal, pace));
    if (!damage.has_value()) continue;
    ++damaged;
    co_await Mend(&journal, *std::move(damage));
  }
  co_return damaged;
}

Task<absl::StatusOr<std::optional<JournalDamage>>> JournalScrubber::Look(
    const JournalToScrub* journal, BackgroundPace* pace) {
  const Journal* writer = journal->marked.log->journal();
  for (;;) {
    const JournalMark from = journal->marked.mark->last();
    JournalRange range = {.directory = journal->directory,
                          .stream = writer->Stream(),
                          .from = from,
                          .to = writer->DurableMark()};
    STELE_CO_TRY(std::optional<JournalDamage> damage,
                 co_await VerifyJournal(files_, std::move(range),
                                        [pace](uint64_t bytes) { return pace->Spend(bytes); }));
    // A checkpoint that has passed meanwhile may have left it behind, and removed the file.
    if (!damage.has_value() || journal->marked.mark->last() == from) co_return damage;
  }
}

Task<void> JournalScrubber::Mend(const JournalToScrub* journal, JournalDamage damage) {
  log_->Write(LogLevel::kError, "damage in the journal; a checkpoint ends the need for it",
              {{"file", std::string_view(damage.file)},
               {"offset", damage.offset_bytes},
               {"error", std::string_view(damage.what)}});
  // Where a replay begins there must be a header.
  absl::Status mended = co_await journal->marked.log->journal()->RewriteHeader();
  if (mended.ok()) mended = co_await checkpoint_();
  if (mended.ok()) {
    log_->Write(LogLevel::kInfo, "the damaged part of the journal is needed no more", {});
  } else {
    log_->Write(LogLevel::kError, "the damaged journal is still needed",
                {{"error", ToStd(mended.message())}});
  }
}

}  // namespace stele::bookie

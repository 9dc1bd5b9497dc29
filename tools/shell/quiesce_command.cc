#include "tools/shell/quiesce_command.h"

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "tools/shell/bookie_admin.h"

namespace stele::shell {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(200);

absl::Status Quiesce(Session& session, const QuiesceCommand& command) {
  const BookieId bookie(command.bookie);
  const MonotonicTime begin = session.env().clock->Now();
  const MonotonicTime deadline = begin + absl::Seconds(command.timeout_seconds);
  STELE_TRY(BookieAdmin admin, BookieAdmin::Open(session, bookie, command.token_path));
  STELE_TRY_OK(admin.SetReadOnly(true));
  bool is_registered = false;
  int64_t adds = 0;
  do {
    STELE_TRY(is_registered, admin.IsRegisteredReadOnly());
    STELE_TRY(adds, admin.AddsInProgress());
    if (is_registered && adds == 0) break;
    session.shard().RunUntil(SleepFor(session.env().executor, session.env().clock, kLookInterval));
  } while (session.env().clock->Now() < deadline);
  PrintRecord(Record()
                  .Set("bookie", bookie.value())
                  .Set("registered_read_only", is_registered)
                  .Set("adds_in_progress", adds)
                  .Set("seconds", absl::ToDoubleSeconds(session.env().clock->Now() - begin)),
              session.options().format);
  if (is_registered && adds == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kDeadline,
                   StrCat("bookie ", bookie.value(), " is read-only, but not quiet yet"));
}

}  // namespace

ExitCode RunNodeQuiesce(const QuiesceCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Quiesce(session, command); });
}

}  // namespace stele::shell

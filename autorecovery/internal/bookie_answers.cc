#include "autorecovery/internal/bookie_answers.h"

#include <utility>
#include <variant>

#include "client/internal/recovery_rules.h"
#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::autorecovery {
namespace {

Task<client::Answer> Ask(client::ClientContext* context, BookieId bookie, wire::RequestBody request,
                         client::CallOptions options = {}) {
  Completion<client::Answer> answered(context->env.executor);
  context->bookies->Get(bookie)->Call(
      std::move(request), options,
      [completer = answered.GetCompleter()](client::Answer answer) mutable {
        completer.Set(std::move(answer));
      });
  co_return co_await answered;
}

absl::Status ErrorOf(ErrorCode code, const BookieId& bookie, LedgerId ledger) {
  return MakeError(code,
                   StrCat("bookie ", bookie.value(), " does not give ledger ", ledger.value()));
}

}  // namespace

Task<absl::StatusOr<std::optional<wire::Availability>>> ListEntries(client::ClientContext* context,
                                                                    BookieId bookie,
                                                                    LedgerId ledger) {
  const client::Answer answer =
      co_await Ask(context, bookie, wire::ListEntriesRequest{.ledger = ledger});
  if (client::IsNegative(answer.code)) co_return std::optional<wire::Availability>();
  if (answer.code != ErrorCode::kOk) co_return ErrorOf(answer.code, bookie, ledger);
  STELE_CO_TRY(
      wire::Availability availability,
      wire::Availability::Parse(std::get<wire::ListEntriesReply>(answer.body).availability));
  co_return std::optional<wire::Availability>(std::move(availability));
}

Task<absl::StatusOr<Buffer>> ReadPacket(client::ClientContext* context, BookieId bookie,
                                        LedgerId ledger, EntryId entry) {
  client::Answer answer =
      co_await Ask(context, bookie, wire::ReadRequest{.ledger = ledger, .entry = entry});
  if (answer.code != ErrorCode::kOk) co_return ErrorOf(answer.code, bookie, ledger);
  co_return std::move(std::get<wire::ReadReply>(answer.body).body);
}

Task<absl::StatusOr<wire::VerifiedEntry>> ReadCopy(client::ClientContext* context,
                                                   const client::LedgerKeys* keys, BookieId bookie,
                                                   LedgerId ledger, EntryId entry) {
  STELE_CO_TRY(const Buffer packet, co_await ReadPacket(context, bookie, ledger, entry));
  co_return wire::VerifyEntry(packet, keys->digester, ledger, entry);
}

Task<absl::StatusOr<wire::GetBookieInfoReply>> AskForSpace(client::ClientContext* context,
                                                           BookieId bookie,
                                                           absl::Duration timeout) {
  const client::Answer answer =
      co_await Ask(context, bookie,
                   wire::GetBookieInfoRequest{.total_disk_capacity = true, .free_disk_space = true},
                   {.timeout = timeout});
  if (answer.code != ErrorCode::kOk) {
    co_return MakeError(answer.code, StrCat("bookie ", bookie.value(), " does not tell its space"));
  }
  co_return std::get<wire::GetBookieInfoReply>(answer.body);
}

bool IsDefinite(ErrorCode code) {
  return client::IsNegative(code) || code == ErrorCode::kDigestMismatch ||
         code == ErrorCode::kReadFailed || code == ErrorCode::kUnknownLedgerState;
}

}  // namespace stele::autorecovery

#include "client/internal/lac_read.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/entry_packet.h"

namespace stele::client {
namespace {

// One ensemble's answers; shared by the callbacks.
class LacGathering {
 public:
  LacGathering(LedgerId ledger, const quorum::Replication& replication,
               std::shared_ptr<const LedgerKeys> keys, LacQuorum::Kind kind,
               Completer<absl::StatusOr<LacReadResult>> done)
      : ledger_(ledger),
        keys_(std::move(keys)),
        quorum_(replication, kind),
        done_(std::move(done)) {}

  void OnAnswer(BookieIndex from, const BookieId& bookie, const Answer& answer) {
    if (done_.IsSet()) return;
    ErrorCode code = answer.code;
    std::optional<LastEntryFields> fields;
    if (code == ErrorCode::kOk) fields = FieldsOf(answer.body, &code);
    if (fields.has_value() && fields->entry > highest_.entry) highest_ = *fields;
    switch (quorum_.OnAnswer(from, code, fields)) {
      case LacQuorum::Step::kWait: return;
      case LacQuorum::Step::kCovered:
        return done_.Set(LacReadResult{quorum_.last_add_confirmed(), highest_});
      case LacQuorum::Step::kUnauthorized:
      case LacQuorum::Step::kImpossible: break;
    }
    done_.Set(MakeError(quorum_.error(), StrCat("too few bookies answer; the last was ",
                                                bookie.value(), " with ", NameOf(code))));
  }

 private:
  // What the reply tells; sets *code when its digest is wrong.
  std::optional<LastEntryFields> FieldsOf(const wire::ReplyBody& body, ErrorCode* code) const {
    if (const auto* read = std::get_if<wire::ReadReply>(&body)) {
      return FieldsOfEntry(read->body, code);
    }
    const auto* lac = std::get_if<wire::ReadLacReply>(&body);
    if (lac == nullptr) return std::nullopt;
    std::optional<LastEntryFields> fields;
    if (lac->last_entry_body.has_value()) fields = FieldsOfEntry(*lac->last_entry_body, code);
    if (lac->lac_body.has_value()) {
      const absl::StatusOr<EntryId> told =
          wire::VerifyExplicitLac(lac->lac_body->view(), keys_->digester, ledger_);
      if (!told.ok()) {
        *code = CodeOf(told.status());
      } else {
        if (!fields.has_value()) fields = LastEntryFields{};
        fields->last_add_confirmed = std::max(fields->last_add_confirmed, *told);
      }
    }
    return fields;
  }

  std::optional<LastEntryFields> FieldsOfEntry(const Buffer& packet, ErrorCode* code) const {
    const absl::StatusOr<wire::VerifiedEntry> entry =
        wire::VerifyEntry(packet, keys_->digester, ledger_, kNoEntry);
    if (!entry.ok()) {
      *code = CodeOf(entry.status());
      return std::nullopt;
    }
    return LastEntryFields{entry->header.entry, entry->header.last_add_confirmed,
                           entry->header.length_bytes};
  }

  const LedgerId ledger_;
  const std::shared_ptr<const LedgerKeys> keys_;
  LacQuorum quorum_;
  LastEntryFields highest_;
  Completer<absl::StatusOr<LacReadResult>> done_;
};

wire::RequestBody RequestFor(LedgerId ledger, const LedgerKeys& keys, LacQuorum::Kind kind) {
  if (kind == LacQuorum::Kind::kPlain) return wire::ReadLacRequest{.ledger = ledger};
  return wire::ReadRequest{.ledger = ledger, .entry = kNoEntry, .fence_key = keys.master_key};
}

}  // namespace

Task<absl::StatusOr<LacReadResult>> ReadLac(
    ClientContext* context, LedgerId ledger,
    std::shared_ptr<const metadata::LedgerMetadata> metadata,
    std::shared_ptr<const LedgerKeys> keys, LacQuorum::Kind kind) {
  Completion<absl::StatusOr<LacReadResult>> done(context->env.executor);
  auto gathering = std::make_shared<LacGathering>(ledger, metadata->replication(), keys, kind,
                                                  done.GetCompleter());
  const metadata::Ensemble& ensemble = metadata->last_fragment().ensemble;
  for (size_t i = 0; i < ensemble.size(); ++i) {
    const auto index = static_cast<BookieIndex>(i);
    Bookie* const bookie = context->bookies->Get(ensemble[i]);
    bookie->Call(RequestFor(ledger, *keys, kind),
                 {.high_priority = kind == LacQuorum::Kind::kFencing},
                 [gathering, index, bookie](Answer answer) {
                   gathering->OnAnswer(index, bookie->id(), answer);
                 });
  }
  co_return co_await done;
}

}  // namespace stele::client

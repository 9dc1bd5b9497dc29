#include "autorecovery/admin/ledger_routes.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "client/client.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/observe/record.h"
#include "metadata/ledger_manager.h"

namespace stele::autorecovery {
namespace {

using http::Request;
using http::Response;
using metadata::LedgerMetadata;
using observe::JsonText;

Task<Response> Say(absl::Status failure) { co_return http::Failure(failure); }

absl::Status Refused(std::string_view why) {
  return MakeError(ErrorCode::kInvalidArgument, std::string(why));
}

absl::StatusOr<LedgerId> LedgerOf(const Request& request) {
  STELE_TRY(const std::optional<int64_t> id, request.IntegerParameter("ledger_id"));
  if (!id.has_value() || *id < 0) return Refused("name it: ledger_id=ID");
  return LedgerId(*id);
}

// Counted from 1; nullopt: none is asked for.
absl::StatusOr<std::optional<int64_t>> PageOf(const Request& request) {
  constexpr int64_t kPageMax = int64_t{1} << 32;
  STELE_TRY(const std::optional<int64_t> page, request.IntegerParameter("page"));
  if (!page.has_value()) return page;
  if (*page < 1 || *page > kPageMax) return Refused("pages are counted from 1");
  return page;
}

std::string_view StateName(metadata::LedgerState state) {
  switch (state) {
    case metadata::LedgerState::kOpen: return "OPEN";
    case metadata::LedgerState::kInRecovery: return "IN_RECOVERY";
    case metadata::LedgerState::kClosed: return "CLOSED";
  }
  return "";
}

std::string_view DigestName(DigestType type) {
  switch (type) {
    case DigestType::kCrc32: return "CRC32";
    case DigestType::kMac: return "MAC";
    case DigestType::kCrc32c: return "CRC32C";
    case DigestType::kDummy: return "DUMMY";
  }
  return "";
}

std::string EnsemblesText(const LedgerMetadata& metadata) {
  std::string list;
  for (const metadata::Fragment& fragment : metadata.fragments()) {
    std::string bookies;
    for (const BookieId& bookie : fragment.ensemble) {
      bookies += StrCat(bookies.empty() ? "" : ", ", "{\"id\": ", JsonText(bookie.value()), "}");
    }
    list +=
        StrCat(list.empty() ? "\"" : ", \"", fragment.first_entry.value(), "\": [", bookies, "]");
  }
  return "{" + list + "}";
}

// With the names and the order of Apache's, and without the password's text.
std::string ToJson(LedgerId ledger, const LedgerMetadata& metadata) {
  std::string custom;
  for (const auto& [key, value] : metadata.custom_metadata()) {
    custom += StrCat(custom.empty() ? "" : ", ", JsonText(key), ": ",
                     JsonText(absl::Base64Escape(value)));
  }
  const std::optional<absl::Time> created = metadata.creation_time();
  return StrCat("{\"ledgerId\": ", ledger.value(),
                ", \"metadataFormatVersion\": ", static_cast<int>(metadata.format()),
                ", \"ensembleSize\": ", metadata.replication().ensemble_size,
                ", \"writeQuorumSize\": ", metadata.replication().write_quorum_size,
                ", \"ackQuorumSize\": ", metadata.replication().ack_quorum_size, ", \"state\": \"",
                StateName(metadata.state()), "\", \"length\": ", metadata.length_bytes(),
                ", \"lastEntryId\": ", metadata.IsClosed() ? metadata.last_entry().value() : -1,
                ", \"ctime\": ", created.has_value() ? absl::ToUnixMillis(*created) : -1,
                ", \"digestType\": \"", DigestName(metadata.digest_type()),
                "\", \"password\": \"\", \"customMetadata\": {", custom,
                "}, \"closed\": ", metadata.IsClosed() ? "true" : "false",
                ", \"ctoken\": ", metadata.creator_token(),
                ", \"allEnsembles\": ", EnsemblesText(metadata), "}");
}

// Of the ledgers in ascending order those from number `first` on, `count` of them, and one more
// when there is one.
Task<absl::StatusOr<std::vector<LedgerId>>> ListSome(metadata::LedgerManager* ledgers,
                                                     int64_t first, int64_t count) {
  std::vector<LedgerId> some;
  metadata::LedgerLister lister = ledgers->List();
  int64_t passed = 0;
  while (static_cast<int64_t>(some.size()) <= count) {
    STELE_CO_TRY(const std::optional<metadata::LedgerRange> range, co_await lister.Next());
    if (!range.has_value()) break;
    for (const LedgerId ledger : *range) {
      if (passed++ < first) continue;
      some.push_back(ledger);
      if (static_cast<int64_t>(some.size()) > count) break;
    }
  }
  co_return some;
}

// As Apache shows entries: what is not ASCII is lost.
std::string AsciiJson(const Buffer& payload) {
  std::string text;
  for (const char c : payload.ToString()) {
    if (static_cast<unsigned char>(c) < 0x80) {
      text.push_back(c);
    } else {
      text += "\xef\xbf\xbd";
    }
  }
  return JsonText(text);
}

struct EntryRange {
  EntryId first = EntryId(0);
  std::optional<EntryId> last;
  std::optional<int64_t> page;
};

absl::StatusOr<EntryRange> RangeOf(const Request& request) {
  EntryRange range;
  STELE_TRY(const auto first, request.IntegerParameter("start_entry_id"));
  STELE_TRY(auto last, request.IntegerParameter("end_entry_id"));
  STELE_TRY(range.page, PageOf(request));
  int64_t begin = std::max<int64_t>(first.value_or(0), 0);
  if (last == -1) last.reset();
  if (range.page.has_value()) {
    const int64_t page_first = (*range.page - 1) * LedgerRoutes::kEntriesMax;
    const int64_t page_last = page_first + LedgerRoutes::kEntriesMax - 1;
    begin = std::max(begin, page_first);
    last = std::min(last.value_or(page_last), page_last);
  }
  if (last.has_value() && *last < begin) return Refused("there is no entry in that range");
  range.first = EntryId(begin);
  if (last.has_value()) range.last = EntryId(*last);
  return range;
}

// The members of the answer's object, in pieces of bounded size.
Task<absl::StatusOr<std::string>> ReadRange(client::ReadHandle* reader, EntryId first,
                                            EntryId last) {
  constexpr int64_t kPieceMaxBytes = 1 << 20;
  std::string list;
  size_t bytes = 0;
  while (first <= last) {
    const auto count = static_cast<int32_t>(Distance(first, last));
    STELE_CO_TRY(const std::vector<client::Entry> entries,
                 co_await reader->ReadBatch(first, count, kPieceMaxBytes));
    for (const client::Entry& entry : entries) {
      bytes += entry.payload.size();
      if (bytes > LedgerRoutes::kPayloadMaxBytes) {
        co_return Refused(StrCat("entries before ", entry.id.value(), " have ",
                                 LedgerRoutes::kPayloadMaxBytes >> 20,
                                 " MiB already: ask for fewer with end_entry_id"));
      }
      list +=
          StrCat(list.empty() ? "\"" : ", \"", entry.id.value(), "\": ", AsciiJson(entry.payload));
    }
    first = entries.back().id.Next();
  }
  co_return list;
}

struct Named {
  LedgerId ledger;
  metadata::Versioned<LedgerMetadata> metadata;
};

// The ledger that is asked for.
Task<absl::StatusOr<Named>> Find(metadata::LedgerManager* ledgers, Request request) {
  STELE_CO_TRY(const LedgerId ledger, LedgerOf(request));
  STELE_CO_TRY(auto metadata, co_await ledgers->Read(ledger));
  co_return Named{ledger, std::move(metadata)};
}

}  // namespace

void LedgerRoutes::AddTo(http::Router& router) {
  using R = LedgerRoutes;
  const std::string ledger = "/api/v1/ledger/";
  router.Get(ledger + "list", Alone(&R::List));
  router.Get(ledger + "metadata", When(&R::Metadata));
  router.GetSecret(ledger + "read", Alone(&R::Read));
  router.Delete(ledger + "delete", When(&R::Delete));
}

http::Router::Answerer LedgerRoutes::When(Answer answer) {
  return [this, answer](Request request) {
    if (!operations_->access().has_value()) return Say(NoAccess());
    return (this->*answer)(std::move(request));
  };
}

http::Router::Answerer LedgerRoutes::Alone(Answer answer) {
  return [this, answer](Request request) {
    if (!operations_->access().has_value()) return Say(NoAccess());
    return OneAtATime(answer, std::move(request));
  };
}

Task<Response> LedgerRoutes::OneAtATime(Answer answer, Request request) {
  if (is_busy_) co_return http::Text(503, "another question about ledgers is being answered");
  is_busy_ = true;
  Response response = co_await (this->*answer)(std::move(request));
  is_busy_ = false;
  co_return response;
}

Task<Response> LedgerRoutes::List(Request request) {
  const ClusterOperations::Access access = *operations_->access();
  const absl::StatusOr<std::optional<int64_t>> page = PageOf(request);
  if (!page.ok()) co_return http::Failure(page.status());
  const bool with_metadata = request.Parameter("print_metadata") == "true";
  const int64_t count = with_metadata ? kMetadataMax : kIdsMax;
  metadata::LedgerManager ledgers(env_, access.store, access.cluster.layout);
  auto ids = co_await ListSome(&ledgers, (page->value_or(1) - 1) * count, count);
  if (!ids.ok()) co_return http::Failure(ids.status());
  const bool has_more = static_cast<int64_t>(ids->size()) > count;
  // An answer that is cut off would look like a whole one.
  if (has_more && !page->has_value()) {
    co_return http::Text(400, StrCat("more than ", count, " ledgers: ask for page=1 and so on"));
  }
  if (has_more) ids->pop_back();
  std::string list;
  for (const LedgerId id : *ids) {
    std::string value = "null";
    if (with_metadata) {
      const auto metadata = co_await ledgers.Read(id);
      if (CodeOf(metadata.status()) == ErrorCode::kNoSuchLedgerMetadata) continue;  // deleted since
      if (!metadata.ok()) co_return http::Failure(metadata.status());
      value = ToJson(id, metadata->value);
    }
    list += StrCat(list.empty() ? "\"" : ", \"", id.value(), "\": ", value);
  }
  co_return http::Json("{" + list + "}");
}

Task<Response> LedgerRoutes::Metadata(Request request) {
  const ClusterOperations::Access access = *operations_->access();
  metadata::LedgerManager ledgers(env_, access.store, access.cluster.layout);
  const absl::StatusOr<Named> found = co_await Find(&ledgers, std::move(request));
  if (!found.ok()) co_return http::Failure(found.status());
  co_return http::Json(StrCat("{\"", found->ledger.value(),
                              "\": ", ToJson(found->ledger, found->metadata.value), "}"));
}

// Reads without recovery: what is acknowledged, as far as the ledger's bookies know. The token
// stands for the ledger's password.
Task<Response> LedgerRoutes::Read(Request request) {
  const ClusterOperations::Access access = *operations_->access();
  const absl::StatusOr<LedgerId> ledger = LedgerOf(request);
  if (!ledger.ok()) co_return http::Failure(ledger.status());
  const absl::StatusOr<EntryRange> range = RangeOf(request);
  if (!range.ok()) co_return http::Failure(range.status());
  const auto client =
      co_await client::Client::Connect(env_, access.store, access.cluster, access.client);
  if (!client.ok()) co_return http::Failure(client.status());
  const auto metadata = co_await (*client)->ReadMetadata(*ledger);
  if (!metadata.ok()) co_return http::Failure(metadata.status());
  auto reader =
      co_await (*client)->OpenLedger(*ledger).Password(metadata->password().value_or("")).Open();
  if (!reader.ok()) co_return http::Failure(reader.status());
  const EntryId end = reader->last_add_confirmed();
  const EntryId last = std::min(range->last.value_or(end), end);
  if (Distance(range->first, last) > kEntriesMax) {
    co_return http::Text(400,
                         StrCat("more than ", kEntriesMax, " entries: ask for page=1 and so on"));
  }
  auto list = co_await ReadRange(&*reader, range->first, last);
  (co_await (*client)->Close()).IgnoreError();  // nothing was written
  if (!list.ok()) co_return http::Failure(list.status());
  if (range->page.has_value()) {
    *list =
        StrCat("\"Entries for page: \": \"", *range->page, "\"", list->empty() ? "" : ", ", *list);
  }
  co_return http::Json("{" + *list + "}");
}

// Apache's deletes whatever is named. What may have a writer needs force=true here, as stele ledger
// delete needs --force.
Task<Response> LedgerRoutes::Delete(Request request) {
  const ClusterOperations::Access access = *operations_->access();
  metadata::LedgerManager ledgers(env_, access.store, access.cluster.layout);
  const absl::StatusOr<Named> found = co_await Find(&ledgers, request);
  if (!found.ok()) co_return http::Failure(found.status());
  const LedgerId ledger = found->ledger;
  if (!found->metadata.value.IsClosed() && request.Parameter("force") != "true") {
    co_return http::Text(409, StrCat("ledger ", ledger.value(),
                                     " may have a writer; force=true deletes it all the same"));
  }
  // Of the version that was looked at: a ledger that is written to since is not what was asked for.
  const absl::Status deleted = co_await ledgers.Delete(ledger, found->metadata.version);
  if (!deleted.ok()) co_return http::Failure(deleted);
  co_return http::Json(JsonText(StrCat("Deleted ledger: ", ledger.value())));
}

}  // namespace stele::autorecovery

#include "simulation/exhaustive/bookie_probe.h"

#include <utility>
#include <variant>

#include "bookie/testing/wire_client.h"

namespace stele::simulation {
namespace {

using bookie::LedgerRequests;
using bookie::WireClient;

// As the ledgers of a Stage are made.
LedgerRequests RequestsOf(LedgerId ledger) {
  return {.ledger = ledger, .password = "", .digest_type = DigestType::kCrc32};
}

Endpoint EndpointOf(const BookieId& bookie) {
  const std::string& name = bookie.value();
  return {name.substr(0, name.find(':')), 3181};
}

}  // namespace

Task<void> CountCopies(Env env, BookieId bookie, const LedgerOracle* ledger,
                       std::vector<EntryId> entries, std::shared_ptr<CopyCounts> copies) {
  const LedgerRequests requests = RequestsOf(ledger->id());
  WireClient wire(env, wire::ProtocolVersion::kV3);
  if (!(co_await wire.Connect(EndpointOf(bookie))).ok()) co_return;
  for (const EntryId entry : entries) {
    const absl::StatusOr<wire::Reply> reply = co_await wire.Call(requests.Read(entry.value()));
    if (!reply.ok()) co_return;
    if (reply->code != wire::ReplyCode::kOk) continue;
    const Buffer& packet = std::get<wire::ReadReply>(reply->body).body;
    if (requests.PayloadOf(packet, entry.value()) == ledger->PayloadOf(entry)) ++(*copies)[entry];
  }
}

Task<void> FenceDirectly(Env env, BookieId bookie, LedgerId ledger, EntryId entry,
                         std::shared_ptr<bool> fenced) {
  WireClient wire(env, wire::ProtocolVersion::kV3);
  if (!(co_await wire.Connect(EndpointOf(bookie))).ok()) co_return;
  const absl::StatusOr<wire::Reply> reply =
      co_await wire.Call(RequestsOf(ledger).FencingRead(entry.value()));
  *fenced = reply.ok() &&
            (reply->code == wire::ReplyCode::kOk || reply->code == wire::ReplyCode::kNoSuchEntry ||
             reply->code == wire::ReplyCode::kNoSuchLedger);
}

Task<void> AddDirectly(Env env, BookieId bookie, LedgerId ledger, EntryId entry,
                       std::shared_ptr<bool> accepted) {
  WireClient wire(env, wire::ProtocolVersion::kV3);
  if (!(co_await wire.Connect(EndpointOf(bookie))).ok()) co_return;
  const absl::StatusOr<wire::Reply> reply =
      co_await wire.Call(RequestsOf(ledger).Add(entry.value(), "a late append"));
  *accepted = reply.ok() && reply->code == wire::ReplyCode::kOk;
}

}  // namespace stele::simulation

// Sends to bookies what no client would: noise, frames cut short, frames of the right form with
// wrong contents. The bookie may answer, refuse or hang up; it may not suffer.
#include <span>
#include <string>
#include <utility>

#include "bookie/testing/wire_client.h"
#include "common/base/endian.h"
#include "common/base/strings.h"
#include "common/wire/request_codec.h"
#include "simulation/cluster.h"
#include "simulation/swarm/roles.h"

namespace stele::simulation {
namespace {

constexpr int64_t kForeignLedgers = 1'000'000'000;

class Deaf final : public ConnectionHandler {
 public:
  void OnFrames(std::span<Buffer> frames) override {}
  void OnPeerFinished() override {}
  void OnWritable() override {}
  void OnClosed(absl::Status why) override { is_closed = true; }
  bool is_closed = false;
};

std::string Noise(const RoleContext& context, size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(context.Below(256)));
  return bytes;
}

// An add that a bookie takes, or an entry that it has, with other bytes.
std::string AddAgain(const RoleContext& context) {
  const bookie::LedgerRequests requests{.ledger = LedgerId(kForeignLedgers + 100)};
  wire::Request request = requests.Add(static_cast<int64_t>(context.Below(3)), Noise(context, 8));
  request.header.version = wire::ProtocolVersion::kV3;
  const auto frame = wire::EncodeRequest(request);
  return StrCat(frame->head, frame->body.view());
}

// A request of the right form, and then perhaps damaged. Its ledger is none of ours: the first who
// names a ledger to a bookie sets its key.
std::string NearlyRight(const RoleContext& context) {
  wire::Request request;
  request.header.version =
      context.Chance(1, 2) ? wire::ProtocolVersion::kV2 : wire::ProtocolVersion::kV3;
  request.header.txn_id = context.Below(1'000);
  const LedgerId ledger(kForeignLedgers + static_cast<int64_t>(context.Below(100)));
  const EntryId entry(static_cast<int64_t>(context.Below(100)));
  wire::MasterKey key{};
  key[0] = static_cast<char>(context.Below(256));
  if (context.Chance(1, 2)) {
    request.header.operation = wire::Operation::kRead;
    request.body = wire::ReadRequest{.ledger = ledger, .entry = entry, .fence_key = key};
  } else {
    request.header.operation = wire::Operation::kAdd;
    std::string packet = Noise(context, 64);
    StoreBigEndian(packet.data(), ledger.value());
    StoreBigEndian(packet.data() + 8, entry.value());
    request.body = wire::AddRequest{.ledger = ledger,
                                    .entry = entry,
                                    .master_key = key,
                                    .body = Buffer::FromString(std::move(packet))};
  }
  const auto frame = wire::EncodeRequest(request);
  if (!frame.ok()) return Noise(context, 20);
  std::string bytes = StrCat(frame->head, frame->body.view());
  if (context.Chance(1, 2) && !bytes.empty()) bytes.resize(1 + context.Below(bytes.size()));
  return bytes;
}

std::string DrawBytes(const RoleContext& context) {
  if (context.Chance(1, 3)) return Noise(context, 1 + context.Below(200));
  return context.Chance(1, 3) ? AddAgain(context) : NearlyRight(context);
}

}  // namespace

Task<void> PlayIntruder(RoleContext context) {
  const Scenario& scenario = context.stage().scenario();
  for (int64_t visits = 0; context.goes_on() && visits < context.actor.operations; ++visits) {
    co_await context.Think(absl::Seconds(5));
    const std::string host = StrCat("b", 1 + context.Below(scenario.bookies));
    Deaf deaf;
    auto connected =
        co_await context.caller.env.transport->Connect({host, kBookiePort}, {}, absl::Seconds(5));
    if (!connected.ok()) continue;
    (*connected)->Start(&deaf);
    const uint64_t frames = 1 + context.Below(10);
    for (uint64_t i = 0; i < frames && !deaf.is_closed; ++i) {
      (*connected)->Send(DrawBytes(context), Buffer());
      co_await context.Think(absl::Milliseconds(50));
    }
  }
}

}  // namespace stele::simulation

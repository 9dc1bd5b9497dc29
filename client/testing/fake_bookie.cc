#include "client/testing/fake_bookie.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "common/seams/clock.h"
#include "common/wire/entry_packet.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::client {
namespace {

constexpr absl::Duration kPollStep = absl::Milliseconds(1);

}  // namespace

// One connection. It keeps itself in the bookie's set until it is closed.
class FakeBookie::Session : public ConnectionHandler,
                            public std::enable_shared_from_this<FakeBookie::Session> {
 public:
  Session(FakeBookie* bookie, std::unique_ptr<Connection> connection)
      : bookie_(bookie), connection_(std::move(connection)) {}

  void Start() { connection_->Start(this); }
  void Send(const wire::OutgoingFrame& frame) {
    if (connection_ != nullptr) connection_->Send(frame.head, frame.body);
  }
  void StartTls(const wire::RequestHeader& header, std::shared_ptr<const TlsCredentials> tls) {
    Send(wire::EncodeReply(header, wire::ReplyCode::kOk, wire::StartTlsReply{}));
    connection_->StartTls({.credentials = std::move(tls)});
  }
  void HangUp() {
    if (connection_ == nullptr) return;
    connection_->Close();
    OnClosed(absl::OkStatus());
  }

 private:
  void OnFrames(std::span<Buffer> frames) override {
    const std::shared_ptr<Session> self = shared_from_this();
    for (const Buffer& frame : frames) {
      wire::DecodedRequest decoded = wire::DecodeRequest(Buffer::CopyOf(frame.view()));
      if (auto* request = std::get_if<wire::Request>(&decoded)) {
        bookie_->OnRequest(self, std::move(*request));
      } else if (auto* refused = std::get_if<wire::RefusedRequest>(&decoded)) {
        Send(refused->reply);
      } else {
        HangUp();
      }
      if (connection_ == nullptr) return;
    }
  }
  void OnPeerFinished() override { HangUp(); }
  void OnClosed(absl::Status) override {
    const std::shared_ptr<Session> self = shared_from_this();
    bookie_->env_.executor->Post([connection = std::move(connection_), self] {});
    std::erase(bookie_->sessions_, self);
  }

  FakeBookie* bookie_;
  std::unique_ptr<Connection> connection_;
};

FakeBookie::FakeBookie(const Env& env, const Endpoint& at) : env_(env), tasks_(env.executor) {
  auto listener = env_.transport->Listen(at, TransportLimits{}, this);
  STELE_CHECK(listener.ok());
  listener_ = *std::move(listener);
}

FakeBookie::~FakeBookie() = default;

void FakeBookie::OnAccept(std::unique_ptr<Connection> connection) {
  auto session = std::make_shared<Session>(this, std::move(connection));
  sessions_.push_back(session);
  session->Start();
}

void FakeBookie::OnRequest(const std::shared_ptr<Session>& session, wire::Request request) {
  requests_.push_back(request);
  const Action action = script_ ? script_(request) : kServe;
  switch (action.kind) {
    case Action::Kind::kIgnore: return;
    case Action::Kind::kHangUp: return session->HangUp();
    case Action::Kind::kBabble: return session->Send({.head = "babble", .body = {}});
    case Action::Kind::kHoldRequest:
      held_.push_back({session, std::move(request), false, {}});
      return;
    case Action::Kind::kHoldReply:
      if (auto reply = Serve(session, request); reply.has_value()) {
        held_.push_back({session, std::move(request), true, *std::move(reply)});
      }
      return;
    case Action::Kind::kRefuse:
      if (auto reply = wire::EncodeError(request, action.code); reply.has_value()) {
        session->Send(*reply);
      }
      return;
    case Action::Kind::kServe: break;
  }
  if (auto reply = Serve(session, request); reply.has_value()) session->Send(*reply);
}

void FakeBookie::Release() {
  for (Held& held : std::exchange(held_, {})) {
    const std::shared_ptr<Session> session = held.session.lock();
    if (session == nullptr) continue;
    if (held.is_done) {
      session->Send(held.reply);
    } else if (auto reply = Serve(session, held.request); reply.has_value()) {
      session->Send(*reply);
    }
  }
}

void FakeBookie::ReleaseLastFirst() {
  std::reverse(held_.begin(), held_.end());
  Release();
}

void FakeBookie::Interject(const wire::OutgoingFrame& frame) {
  for (const std::shared_ptr<Session>& session : sessions_) session->Send(frame);
}

bool FakeBookie::Has(LedgerId id, EntryId entry) const {
  const auto place = ledgers_.find(id);
  return place != ledgers_.end() && place->second.entries.contains(entry);
}

size_t FakeBookie::CountRequests(const std::function<bool(const wire::Request&)>& matches) const {
  return static_cast<size_t>(std::count_if(requests_.begin(), requests_.end(), matches));
}

std::optional<wire::OutgoingFrame> FakeBookie::Serve(const std::shared_ptr<Session>& session,
                                                     const wire::Request& request) {
  const wire::RequestHeader& header = request.header;
  if (std::holds_alternative<wire::StartTlsRequest>(request.body)) {
    if (tls_ == nullptr) return wire::EncodeStatusOnly(header, wire::ReplyCode::kBadRequest);
    session->StartTls(header, tls_);
    return std::nullopt;
  }
  if (const auto* add = std::get_if<wire::AddRequest>(&request.body)) return Add(header, *add);
  if (const auto* read = std::get_if<wire::ReadRequest>(&request.body)) {
    return Read(session, header, *read);
  }
  if (const auto* batch = std::get_if<wire::BatchReadRequest>(&request.body)) {
    return BatchRead(header, *batch);
  }
  if (const auto* lac = std::get_if<wire::WriteLacRequest>(&request.body)) {
    return WriteLac(header, *lac);
  }
  if (const auto* lac = std::get_if<wire::ReadLacRequest>(&request.body)) {
    return ReadLac(header, *lac);
  }
  if (const auto* force = std::get_if<wire::ForceLedgerRequest>(&request.body)) {
    return wire::EncodeReply(header, wire::ReplyCode::kOk, wire::ForceLedgerReply{force->ledger});
  }
  return wire::EncodeError(request, wire::ReplyCode::kBadRequest);
}

bool FakeBookie::HasKey(Ledger& ledger, const wire::MasterKey& key) {
  if (!ledger.master_key.has_value()) ledger.master_key = key;
  return *ledger.master_key == key;
}

wire::OutgoingFrame FakeBookie::Add(const wire::RequestHeader& header,
                                    const wire::AddRequest& add) {
  Ledger& ledger = ledgers_[add.ledger];
  wire::ReplyCode code = wire::ReplyCode::kOk;
  if (!HasKey(ledger, add.master_key)) {
    code = wire::ReplyCode::kUnauthorized;
  } else if (ledger.is_fenced && !add.recovery) {
    code = wire::ReplyCode::kFenced;
  } else {
    ledger.entries.try_emplace(add.entry, Buffer::CopyOf(add.body.view()));
    const auto ids = wire::ParseEntryIds(add.body.view());
    STELE_CHECK(ids.ok());
    ledger.max_lac = std::max(ledger.max_lac, ids->last_add_confirmed);
  }
  return wire::EncodeAddReply(header, code, add.ledger, add.entry);
}

std::optional<wire::OutgoingFrame> FakeBookie::Read(const std::shared_ptr<Session>& session,
                                                    const wire::RequestHeader& header,
                                                    const wire::ReadRequest& read) {
  if (read.fence_key.has_value()) {
    Ledger& ledger = ledgers_[read.ledger];
    if (!HasKey(ledger, *read.fence_key)) {
      return wire::EncodeReply(header, wire::ReplyCode::kUnauthorized,
                               wire::ReadReply{.ledger = read.ledger, .entry = read.entry});
    }
    ledger.is_fenced = true;
  }
  if (read.previous_lac.has_value() && ledgers_.contains(read.ledger)) {
    tasks_.Spawn(WaitAndAnswer(this, session, header, read));
    return std::nullopt;
  }
  return ReadEntry(header, read);
}

wire::OutgoingFrame FakeBookie::ReadEntry(const wire::RequestHeader& header,
                                          const wire::ReadRequest& read) {
  wire::ReadReply reply{.ledger = read.ledger, .entry = read.entry};
  const auto place = ledgers_.find(read.ledger);
  if (place == ledgers_.end()) {
    return wire::EncodeReply(header, wire::ReplyCode::kNoSuchLedger, reply);
  }
  const Ledger& ledger = place->second;
  if (ledger.is_in_limbo) {
    return wire::EncodeReply(header, wire::ReplyCode::kUnknownLedgerState, reply);
  }
  auto entry = ledger.entries.find(read.entry);
  if (read.entry.IsNone() && !ledger.entries.empty()) entry = std::prev(ledger.entries.end());
  if (entry == ledger.entries.end()) {
    return wire::EncodeReply(header, wire::ReplyCode::kNoSuchEntry, reply);
  }
  reply.body = entry->second;
  if (!read.fence_key.has_value()) reply.max_lac = ledger.max_lac;
  return wire::EncodeReply(header, wire::ReplyCode::kOk, reply);
}

Task<void> FakeBookie::WaitAndAnswer(FakeBookie* bookie, std::weak_ptr<Session> session,
                                     wire::RequestHeader header, wire::ReadRequest read) {
  const MonotonicTime until =
      bookie->env_.clock->Now() + absl::Milliseconds(read.timeout_ms.value_or(0));
  for (;;) {
    const Ledger& ledger = bookie->ledgers_[read.ledger];
    if (ledger.max_lac > *read.previous_lac || ledger.is_fenced ||
        bookie->env_.clock->Now() >= until) {
      break;
    }
    co_await SleepFor(bookie->env_.executor, bookie->env_.clock, kPollStep);
  }
  if (const std::shared_ptr<Session> open = session.lock(); open != nullptr) {
    open->Send(bookie->AnswerPoll(header, read));
  }
}

wire::OutgoingFrame FakeBookie::AnswerPoll(const wire::RequestHeader& header,
                                           const wire::ReadRequest& read) {
  const Ledger& ledger = ledgers_[read.ledger];
  wire::ReadReply reply{
      .ledger = read.ledger, .entry = kNoEntry, .body = {}, .max_lac = ledger.max_lac};
  const EntryId next = read.previous_lac->Next();
  const auto entry = ledger.entries.find(next);
  if (ledger.max_lac >= next && entry != ledger.entries.end()) {
    reply.entry = next;
    reply.body = entry->second;
  }
  return wire::EncodeReply(header, wire::ReplyCode::kOk, reply);
}

wire::OutgoingFrame FakeBookie::BatchRead(const wire::RequestHeader& header,
                                          const wire::BatchReadRequest& read) {
  wire::BatchReadReply reply{
      .ledger = read.ledger, .first_entry = read.first_entry, .request_id = read.request_id};
  const Ledger& ledger = ledgers_[read.ledger];
  int64_t size_bytes = 0;
  for (EntryId entry = read.first_entry;; entry = entry.Next()) {
    const auto place = ledger.entries.find(entry);
    if (place == ledger.entries.end()) break;
    size_bytes += static_cast<int64_t>(place->second.size()) + 4;
    if (!reply.bodies.empty() && size_bytes > read.size_max_bytes) break;
    reply.bodies.push_back(place->second);
    if (static_cast<int32_t>(reply.bodies.size()) == read.count_max) break;
  }
  return wire::EncodeReply(
      header, reply.bodies.empty() ? wire::ReplyCode::kNoSuchEntry : wire::ReplyCode::kOk, reply);
}

wire::OutgoingFrame FakeBookie::WriteLac(const wire::RequestHeader& header,
                                         const wire::WriteLacRequest& lac) {
  Ledger& ledger = ledgers_[lac.ledger];
  const bool has_key = HasKey(ledger, lac.master_key);
  if (has_key) {
    ledger.explicit_lac = Buffer::CopyOf(lac.body.view());
    ledger.max_lac = std::max(ledger.max_lac, lac.lac);
  }
  return wire::EncodeReply(header, has_key ? wire::ReplyCode::kOk : wire::ReplyCode::kUnauthorized,
                           wire::WriteLacReply{lac.ledger});
}

wire::OutgoingFrame FakeBookie::ReadLac(const wire::RequestHeader& header,
                                        const wire::ReadLacRequest& lac) {
  wire::ReadLacReply reply{.ledger = lac.ledger};
  const auto place = ledgers_.find(lac.ledger);
  wire::ReplyCode code = wire::ReplyCode::kNoSuchEntry;
  if (place != ledgers_.end() && place->second.is_in_limbo) {
    code = wire::ReplyCode::kUnknownLedgerState;
  } else if (place != ledgers_.end()) {
    reply.lac_body = place->second.explicit_lac;
    if (!place->second.entries.empty()) {
      reply.last_entry_body = std::prev(place->second.entries.end())->second;
    }
    if (reply.lac_body.has_value() || reply.last_entry_body.has_value()) {
      code = wire::ReplyCode::kOk;
    }
  }
  return wire::EncodeReply(header, code, reply);
}

bool IsAdd(const wire::Request& request) {
  return std::holds_alternative<wire::AddRequest>(request.body);
}

bool IsAddOf(const wire::Request& request, EntryId entry) {
  const auto* add = std::get_if<wire::AddRequest>(&request.body);
  return add != nullptr && add->entry == entry;
}

bool IsReadOf(const wire::Request& request, EntryId entry) {
  const auto* read = std::get_if<wire::ReadRequest>(&request.body);
  return read != nullptr && read->entry == entry && !read->previous_lac.has_value();
}

bool IsFencing(const wire::Request& request) {
  const auto* read = std::get_if<wire::ReadRequest>(&request.body);
  return read != nullptr && read->fence_key.has_value();
}

}  // namespace stele::client

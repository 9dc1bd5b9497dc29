#include "simulation/java_bookie.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::simulation {
namespace {

using wire::ReplyCode;

constexpr size_t kLateStraysMax = 16;  // per connection
constexpr int64_t kLateMaxMs = 20'000;
// Of the replies, one in so many is followed by a stray.
constexpr uint64_t kRepliesPerStray = 30;
// Beyond all that anybody has used.
constexpr int64_t kUnknown = int64_t{1} << 40;
// A v2 reply: its size, and where its code is.
constexpr size_t kV2ReplySize = 24;
constexpr size_t kV2CodeEnd = 7;

Buffer Whole(std::string_view head, const Buffer& body) {
  std::string bytes(head);
  bytes.append(body.view());
  return Buffer::FromString(std::move(bytes));
}

Buffer Whole(const wire::OutgoingFrame& frame) { return Whole(frame.head, frame.body); }

// A v3 frame begins with the tag of its header.
wire::ProtocolVersion VersionOf(const Buffer& frame) {
  return frame.view().starts_with('\x0a') ? wire::ProtocolVersion::kV3 : wire::ProtocolVersion::kV2;
}

bool IsNegative(ReplyCode code) {
  return code == ReplyCode::kNoSuchEntry || code == ReplyCode::kNoSuchLedger;
}

bool MayComeAgain(const wire::Reply& reply) {
  const bool is_read = std::holds_alternative<wire::ReadReply>(reply.body);
  return reply.version == wire::ProtocolVersion::kV3 || !is_read || reply.code == ReplyCode::kOk;
}

// What no request of the connection asked for.
Buffer UnknownReply(const wire::Reply& after, SimRandom* random) {
  const LedgerId ledger(kUnknown + static_cast<int64_t>(random->Below(1'000)));
  const EntryId entry(static_cast<int64_t>(random->Below(10)));
  wire::RequestHeader header{.version = after.version,
                             .txn_id = static_cast<uint64_t>(ledger.value()),
                             .operation = wire::Operation::kAdd};
  if (after.version == wire::ProtocolVersion::kV3) {
    switch (random->Below(4)) {
      case 0: return Whole(wire::EncodeAddReply(header, ReplyCode::kOk, ledger, entry));
      case 1:
        header.operation = wire::Operation::kRead;
        return Whole(
            wire::EncodeReply(header, ReplyCode::kNoSuchEntry, wire::ReadReply{ledger, entry}));
      case 2:  // of a transaction that was answered, with another operation
        header.txn_id = after.txn_id;
        header.operation = after.operation == wire::Operation::kRead ? wire::Operation::kForceLedger
                                                                     : wire::Operation::kRead;
        return Whole(wire::EncodeStatusOnly(header, ReplyCode::kUnauthorized));
      default:  // the second reply to START_TLS, and the like
        header.operation = wire::Operation::kStartTls;
        return Whole(wire::EncodeStatusOnly(header, ReplyCode::kIoError));
    }
  }
  header.v2_version = static_cast<uint8_t>(random->Below(3));
  const wire::OutgoingFrame added = wire::EncodeAddReply(
      header, random->Chance(1, 2) ? ReplyCode::kOk : ReplyCode::kFenced, ledger, entry);
  std::string bytes = added.head;
  STELE_CHECK(bytes.size() == kV2ReplySize);
  switch (random->Below(5)) {
    case 0: return Whole(added);
    case 1:
      header.operation = wire::Operation::kRead;
      return Whole(
          wire::EncodeReply(header, ReplyCode::kNoSuchEntry, wire::ReadReply{ledger, entry}));
    case 2:
      header.operation = wire::Operation::kBatchRead;
      return Whole(wire::EncodeReply(
          header, random->Chance(1, 2) ? ReplyCode::kOk : ReplyCode::kNoSuchEntry,
          wire::BatchReadReply{.ledger = ledger, .first_entry = entry, .request_id = kUnknown}));
    case 3:  // a code without a name
      bytes[kV2CodeEnd] = static_cast<char>(107 + random->Below(100));
      return Buffer::FromString(std::move(bytes));
    default:  // the refusal of a v3 frame that was taken for one of version 10
      bytes[0] = '\x0a';
      bytes[1] = '\x07';
      bytes[kV2CodeEnd] = 103;
      return Buffer::FromString(std::move(bytes));
  }
}

}  // namespace

class JavaTransport;

// Between a peer and the server.
class JavaConnection final : public Connection, private ConnectionHandler {
 public:
  JavaConnection(JavaTransport* life, uint64_t number, std::unique_ptr<Connection> outside);
  ~JavaConnection() override;

  void Start(ConnectionHandler* handler) override {
    handler_ = handler;
    outside_->Start(this);
  }
  void Send(std::string_view head, Buffer body) override;
  void StartTls(TlsUpgrade upgrade) override { outside_->StartTls(std::move(upgrade)); }
  size_t queued_bytes() const override { return outside_->queued_bytes(); }
  void PauseReading() override { outside_->PauseReading(); }
  void ResumeReading() override { outside_->ResumeReading(); }
  void Close() override {
    late_.clear();
    handler_ = nullptr;
    outside_->Close();
  }
  void CloseAfterSending() override { outside_->CloseAfterSending(); }
  const std::string& peer() const override { return outside_->peer(); }

  // To the server, as if it came now.
  void Forward(Buffer frame) {
    if (handler_ != nullptr) handler_->OnFrames(std::span<Buffer>(&frame, 1));
  }
  // To the peer.
  void Reply(const wire::OutgoingFrame& frame) { outside_->Send(frame.head, frame.body); }
  uint64_t number() const { return number_; }

 private:
  void OnFrames(std::span<Buffer> frames) override;
  void OnTlsStarted(const TlsPeer& peer) override { handler_->OnTlsStarted(peer); }
  void OnWritable() override { handler_->OnWritable(); }
  void OnPeerFinished() override { handler_->OnPeerFinished(); }
  void OnClosed(absl::Status why) override {
    late_.clear();
    std::exchange(handler_, nullptr)->OnClosed(std::move(why));
  }
  void AddStray(const wire::Reply& reply, const Buffer& frame);
  void SendStray(Buffer frame);

  JavaTransport* life_;
  const uint64_t number_;
  const std::unique_ptr<Connection> outside_;
  ConnectionHandler* handler_ = nullptr;
  const bool is_spared_;
  std::vector<std::unique_ptr<Timer>> late_;
};

class JavaTransport final : public Transport, private AcceptHandler {
 public:
  JavaTransport(JavaBookie* bookie, Env env) : bookie_(bookie), env_(env) {}

  Task<absl::StatusOr<std::unique_ptr<Connection>>> Connect(Endpoint to, TransportLimits limits,
                                                            absl::Duration timeout) override {
    return env_.transport->Connect(std::move(to), limits, timeout);
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(Endpoint at, TransportLimits limits,
                                                   AcceptHandler* handler) override;

  // True: it is not for the server, or not yet.
  bool Take(JavaConnection* connection, const Buffer& frame);
  void OnReply(const wire::Reply& reply);
  void Forget(uint64_t number) { connections_.erase(number); }
  JavaBookie* bookie() { return bookie_; }
  const Env& env() const { return env_; }

 private:
  // A connection of its own to the server, on which it asks for what it has to know.
  class Inside;
  class OwnListener;
  struct Waiting {
    uint64_t connection;
    wire::RequestHeader header;
    EntryId entry;
    Buffer frame;
  };
  // What the process knows of a fence; while it is not durable it refuses adds all the same.
  struct Fence {
    bool durable = false;
    std::unique_ptr<Timer> journal;
    std::map<uint64_t, Waiting> waiting;  // by number of the question
  };

  void OnAccept(std::unique_ptr<Connection> connection) override;
  void TakeFencing(JavaConnection* connection, wire::RequestHeader header,
                   const wire::ReadRequest& read, const Buffer& frame);
  uint64_t Ask(wire::ReadRequest read);
  void OnAnswer(const wire::Reply& answer);
  void AnswerEarly(LedgerId ledger, const Waiting& waiting);
  void EndFence(LedgerId ledger, ReplyCode code);

  JavaBookie* bookie_;
  const Env env_;
  AcceptHandler* server_ = nullptr;
  Inside* inside_ = nullptr;
  std::map<uint64_t, JavaConnection*> connections_;
  uint64_t numbers_ = 0;
  std::map<LedgerId, int64_t> adds_;  // taken by the server and not answered
  std::map<LedgerId, Fence> fences_;
  struct Asked {
    LedgerId ledger;
    bool fences = false;
  };
  std::map<uint64_t, Asked> asked_;
};

class JavaTransport::Inside final : public Connection {
 public:
  explicit Inside(JavaTransport* life) : life_(life) {}
  ~Inside() override { Close(); }

  void Start(ConnectionHandler* handler) override { handler_ = handler; }
  void Send(std::string_view head, Buffer body) override {
    const auto reply = wire::DecodeReply(wire::ProtocolVersion::kV3, Whole(head, body));
    STELE_CHECK(reply.ok());
    // Not inside the call of the server.
    life_->env_.executor->Post([life = life_, answer = *reply] { life->OnAnswer(answer); });
  }
  void StartTls(TlsUpgrade) override {}
  size_t queued_bytes() const override { return 0; }
  void PauseReading() override {}
  void ResumeReading() override {}
  void Close() override {
    handler_ = nullptr;
    if (life_->inside_ == this) life_->inside_ = nullptr;
  }
  void CloseAfterSending() override { Close(); }
  const std::string& peer() const override { return peer_; }

  void Ask(Buffer frame) {
    if (handler_ != nullptr) handler_->OnFrames(std::span<Buffer>(&frame, 1));
  }

 private:
  JavaTransport* life_;
  ConnectionHandler* handler_ = nullptr;
  const std::string peer_ = "inside:0";
};

class JavaTransport::OwnListener final : public Listener {
 public:
  OwnListener(JavaTransport* life, std::unique_ptr<Listener> outside)
      : life_(life), outside_(std::move(outside)) {}
  ~OwnListener() override { life_->server_ = nullptr; }
  Endpoint endpoint() const override { return outside_->endpoint(); }

 private:
  JavaTransport* life_;
  const std::unique_ptr<Listener> outside_;
};

absl::StatusOr<std::unique_ptr<Listener>> JavaTransport::Listen(Endpoint at, TransportLimits limits,
                                                                AcceptHandler* handler) {
  absl::StatusOr<std::unique_ptr<Listener>> outside =
      env_.transport->Listen(std::move(at), limits, this);
  if (!outside.ok()) return outside.status();
  server_ = handler;
  return std::make_unique<OwnListener>(this, *std::move(outside));
}

void JavaTransport::OnAccept(std::unique_ptr<Connection> connection) {
  auto own = std::make_unique<JavaConnection>(this, ++numbers_, std::move(connection));
  connections_[own->number()] = own.get();
  server_->OnAccept(std::move(own));
}

// ---- Requests

bool JavaTransport::Take(JavaConnection* connection, const Buffer& frame) {
  const wire::DecodedRequest decoded = wire::DecodeRequest(frame);
  const auto* request = std::get_if<wire::Request>(&decoded);
  if (request == nullptr) return false;
  if (const auto* add = std::get_if<wire::AddRequest>(&request->body)) {
    const auto fence = fences_.find(add->ledger);
    if (fence != fences_.end() && !fence->second.durable && !add->recovery) {
      connection->Reply(
          wire::EncodeAddReply(request->header, ReplyCode::kFenced, add->ledger, add->entry));
      return true;
    }
    ++adds_[add->ledger];
    return false;
  }
  const auto* read = std::get_if<wire::ReadRequest>(&request->body);
  if (read == nullptr || !read->fence_key.has_value() || server_ == nullptr) return false;
  if (request->header.version != wire::ProtocolVersion::kV3) return false;
  const auto fence = fences_.find(read->ledger);
  // With an add under way it cannot know what it has.
  if (fence == fences_.end() ? adds_.contains(read->ledger) : fence->second.durable) return false;
  TakeFencing(connection, request->header, *read, frame);
  return true;
}

void JavaTransport::TakeFencing(JavaConnection* connection, wire::RequestHeader header,
                                const wire::ReadRequest& read, const Buffer& frame) {
  const auto [place, is_new] = fences_.try_emplace(read.ledger);
  if (is_new) {
    const bool is_slow = bookie_->random_.Chance(1, 2);
    const auto longest =
        static_cast<uint64_t>(absl::ToInt64Milliseconds(bookie_->options_.journal_delay_max));
    const auto delay = static_cast<int64_t>(is_slow ? bookie_->random_.Below(longest) : 0);
    place->second.journal = env_.clock->CallAt(
        env_.clock->Now() + absl::Milliseconds(delay),
        [this, ledger = read.ledger, key = *read.fence_key] {
          asked_[Ask({.ledger = ledger, .entry = kNoEntry, .fence_key = key})].fences = true;
        });
  }
  const uint64_t question = Ask({.ledger = read.ledger, .entry = read.entry});
  fences_[read.ledger].waiting.emplace(
      question, Waiting{connection->number(), header, read.entry, Buffer::CopyOf(frame.view())});
}

uint64_t JavaTransport::Ask(wire::ReadRequest read) {
  const uint64_t number = ++numbers_;
  asked_[number].ledger = read.ledger;
  if (inside_ == nullptr && server_ != nullptr) {
    auto inside = std::make_unique<Inside>(this);
    inside_ = inside.get();
    server_->OnAccept(std::move(inside));
  }
  const auto frame = wire::EncodeRequest(
      {{.version = wire::ProtocolVersion::kV3, .txn_id = number}, std::move(read)});
  STELE_CHECK(frame.ok());
  // The server may have refused the connection, or hung up: then there is no answer.
  if (inside_ != nullptr) inside_->Ask(Whole(*frame));
  return number;
}

void JavaTransport::OnAnswer(const wire::Reply& answer) {
  const auto found = asked_.find(answer.txn_id);
  if (found == asked_.end()) return;
  const Asked asked = found->second;
  asked_.erase(found);
  if (asked.fences) return EndFence(asked.ledger, answer.code);
  const auto fence = fences_.find(asked.ledger);
  if (fence == fences_.end()) return;
  const auto place = fence->second.waiting.find(answer.txn_id);
  if (place == fence->second.waiting.end() || !IsNegative(answer.code)) return;
  const Waiting waiting = std::move(place->second);
  fence->second.waiting.erase(place);
  AnswerEarly(asked.ledger, waiting);
}

// The ledger is known by now, since its fence is.
void JavaTransport::AnswerEarly(LedgerId ledger, const Waiting& waiting) {
  const auto connection = connections_.find(waiting.connection);
  if (connection == connections_.end()) return;
  bookie_->early_.insert(ledger);
  connection->second->Reply(wire::EncodeReply(waiting.header, ReplyCode::kNoSuchEntry,
                                              wire::ReadReply{ledger, waiting.entry}));
  bookie_->events_.on_early_fence(ledger);
}

// The others learn from the server itself.
void JavaTransport::EndFence(LedgerId ledger, ReplyCode code) {
  const auto found = fences_.find(ledger);
  if (found == fences_.end()) return;
  const bool is_durable = code == ReplyCode::kOk || IsNegative(code);
  const std::map<uint64_t, Waiting> waiting = std::exchange(found->second.waiting, {});
  if (is_durable) {
    found->second.durable = true;
    bookie_->early_.erase(ledger);
  } else {
    fences_.erase(found);
    if (bookie_->early_.erase(ledger) > 0) bookie_->events_.on_lost_fence(ledger);
  }
  for (const auto& [question, each] : waiting) {
    const auto connection = connections_.find(each.connection);
    if (connection != connections_.end()) connection->second->Forward(each.frame);
  }
}

// ---- Replies

void JavaTransport::OnReply(const wire::Reply& reply) {
  const auto* add = std::get_if<wire::AddReply>(&reply.body);
  if (add == nullptr) return;
  const auto under_way = adds_.find(add->ledger);
  if (under_way != adds_.end() && --under_way->second == 0) adds_.erase(under_way);
}

JavaConnection::JavaConnection(JavaTransport* life, uint64_t number,
                               std::unique_ptr<Connection> outside)
    : life_(life),
      number_(number),
      outside_(std::move(outside)),
      is_spared_(std::ranges::any_of(
          life->bookie()->options_.spared,
          [this](const std::string& host) { return outside_->peer().starts_with(host); })) {}

JavaConnection::~JavaConnection() { life_->Forget(number_); }

void JavaConnection::OnFrames(std::span<Buffer> frames) {
  std::vector<Buffer> for_server;
  for (Buffer& frame : frames) {
    if (!life_->Take(this, frame)) for_server.push_back(std::move(frame));
  }
  if (!for_server.empty()) handler_->OnFrames(std::span<Buffer>(for_server));
}

void JavaConnection::Send(std::string_view head, Buffer body) {
  const Buffer frame = Whole(head, body);
  const auto reply = wire::DecodeReply(VersionOf(frame), frame);
  if (reply.ok()) life_->OnReply(*reply);
  outside_->Send(head, std::move(body));
  if (reply.ok() && !is_spared_) AddStray(*reply, frame);
}

void JavaConnection::AddStray(const wire::Reply& reply, const Buffer& frame) {
  SimRandom& random = life_->bookie()->random_;
  if (!random.Chance(1, kRepliesPerStray)) return;
  const uint64_t kind = random.Below(3);
  if (kind == 0) return SendStray(UnknownReply(reply, &random));
  if (!MayComeAgain(reply)) return;
  if (kind == 1 || late_.size() == kLateStraysMax) return SendStray(frame);
  const auto delay = static_cast<int64_t>(random.Below(kLateMaxMs));
  late_.push_back(life_->env().clock->CallAt(life_->env().clock->Now() + absl::Milliseconds(delay),
                                             [this, frame] { SendStray(frame); }));
}

void JavaConnection::SendStray(Buffer frame) {
  life_->bookie()->events_.before_stray();
  outside_->Send({}, std::move(frame));
}

std::unique_ptr<Transport> JavaBookie::NewLife(Env env) {
  for (const LedgerId ledger : std::exchange(early_, {})) events_.on_lost_fence(ledger);
  return std::make_unique<JavaTransport>(this, env);
}

}  // namespace stele::simulation

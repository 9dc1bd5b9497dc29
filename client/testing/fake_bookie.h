// FakeBookie: a small bookie in memory that speaks the real wire protocol, for tests of the client.
// A test can make it hold, drop, refuse or forget.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "common/async/task_scope.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "common/wire/bookie_messages.h"

namespace stele::client {

class FakeBookie : private AcceptHandler {
 public:
  // What to do with one request.
  struct Action {
    enum class Kind {
      kServe,
      kIgnore,       // neither done nor answered
      kHoldRequest,  // done and answered at Release()
      kHoldReply,    // done now, answered at Release()
      kRefuse,       // answered with `code`, not done
      kHangUp,       // the connection is closed, nothing is done
      kBabble,       // answered with bytes that are no reply
    };
    Kind kind = Kind::kServe;
    wire::ReplyCode code = wire::ReplyCode::kOk;
  };
  static constexpr Action kServe{Action::Kind::kServe, {}};
  static constexpr Action kIgnore{Action::Kind::kIgnore, {}};
  static constexpr Action kHoldRequest{Action::Kind::kHoldRequest, {}};
  static constexpr Action kHoldReply{Action::Kind::kHoldReply, {}};
  static constexpr Action kHangUp{Action::Kind::kHangUp, {}};
  static constexpr Action kBabble{Action::Kind::kBabble, {}};
  static constexpr Action Refuse(wire::ReplyCode code) { return {Action::Kind::kRefuse, code}; }
  using Script = std::function<Action(const wire::Request&)>;

  FakeBookie(const Env& env, const Endpoint& at);
  ~FakeBookie() override;

  Endpoint endpoint() const { return listener_->endpoint(); }

  // From now on it has TLS.
  void SetTls(std::shared_ptr<const TlsCredentials> tls) { tls_ = std::move(tls); }

  // Asked for each request that arrives from now on; none: serve everything.
  void SetScript(Script script) { script_ = std::move(script); }
  // Lets go what was held, in order of arrival or the other way round. The script is not asked
  // again.
  void Release();
  void ReleaseLastFirst();
  // Sends a frame that nobody asked for on every connection.
  void Interject(const wire::OutgoingFrame& frame);
  size_t held() const { return held_.size(); }

  // What it has.
  struct Ledger {
    std::map<EntryId, Buffer> entries;  // packets
    std::optional<wire::MasterKey> master_key;
    bool is_fenced = false;
    bool is_in_limbo = false;  // it cannot say what it had
    std::optional<Buffer> explicit_lac;
    EntryId max_lac;
  };
  Ledger& ledger(LedgerId id) { return ledgers_[id]; }
  bool Has(LedgerId id, EntryId entry) const;
  void Forget() { ledgers_.clear(); }

  // Every request that has arrived, served or not.
  const std::vector<wire::Request>& requests() const { return requests_; }
  size_t CountRequests(const std::function<bool(const wire::Request&)>& matches) const;

 private:
  class Session;
  struct Held {
    std::weak_ptr<Session> session;
    wire::Request request;
    bool is_done;  // with kHoldReply: the reply is ready
    wire::OutgoingFrame reply;
  };

  void OnAccept(std::unique_ptr<Connection> connection) override;
  void OnRequest(const std::shared_ptr<Session>& session, wire::Request request);
  // Nothing: a long poll that answers later.
  std::optional<wire::OutgoingFrame> Serve(const std::shared_ptr<Session>& session,
                                           const wire::Request& request);
  wire::OutgoingFrame Add(const wire::RequestHeader& header, const wire::AddRequest& add);
  std::optional<wire::OutgoingFrame> Read(const std::shared_ptr<Session>& session,
                                          const wire::RequestHeader& header,
                                          const wire::ReadRequest& read);
  wire::OutgoingFrame ReadEntry(const wire::RequestHeader& header, const wire::ReadRequest& read);
  wire::OutgoingFrame AnswerPoll(const wire::RequestHeader& header, const wire::ReadRequest& read);
  wire::OutgoingFrame BatchRead(const wire::RequestHeader& header,
                                const wire::BatchReadRequest& read);
  wire::OutgoingFrame WriteLac(const wire::RequestHeader& header, const wire::WriteLacRequest& lac);
  wire::OutgoingFrame ReadLac(const wire::RequestHeader& header, const wire::ReadLacRequest& lac);
  bool HasKey(Ledger& ledger, const wire::MasterKey& key);
  static Task<void> WaitAndAnswer(FakeBookie* bookie, std::weak_ptr<Session> session,
                                  wire::RequestHeader header, wire::ReadRequest read);

  const Env env_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::shared_ptr<Session>> sessions_;  // as they came
  std::shared_ptr<const TlsCredentials> tls_;
  Script script_;
  std::vector<Held> held_;
  std::map<LedgerId, Ledger> ledgers_;
  std::vector<wire::Request> requests_;
  TaskScope tasks_;
};

// For scripts.
bool IsAdd(const wire::Request& request);
bool IsAddOf(const wire::Request& request, EntryId entry);
// Plain or fencing, of one entry; kNoEntry: of the last.
bool IsReadOf(const wire::Request& request, EntryId entry);
bool IsFencing(const wire::Request& request);

}  // namespace stele::client

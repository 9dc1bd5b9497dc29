// BookieClient: how the client talks to bookies. Requests go out, answers come back as plain
// callbacks on the client's shard, never from within the call that asked. Every request is answered
// exactly once, at the latest at its deadline; after DropSink, or when the BookieClient is
// destroyed, not at all.
//
// Tests put their own bookies behind this interface; wire_bookie_client.h is the real one.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/wire/bookie_messages.h"
#include "common/wire/request_codec.h"

namespace stele::client {

// An entry on its way to the bookies of its write set: encoded once, sent to each.
class OutgoingAdd {
 public:
  enum class Priority { kNormal, kHigh };
  explicit OutgoingAdd(wire::EntryToAdd entry, Priority priority = Priority::kNormal);

  const wire::EntryToAdd& entry() const { return entry_; }
  Priority priority() const { return priority_; }
  // The v2 frame, the same for every bookie. None for recovery and deferred-sync adds: they go by
  // v3, where each reply names its request.
  const std::optional<wire::OutgoingFrame>& v2_frame() const { return v2_frame_; }
  size_t size_bytes() const { return entry_.head.size() + entry_.payload.size(); }

 private:
  wire::EntryToAdd entry_;
  Priority priority_;
  std::optional<wire::OutgoingFrame> v2_frame_;
};

// What an add was for; comes back with its reply.
struct AddTag {
  EntryId entry;
  BookieIndex index = 0;
  uint32_t epoch = 0;  // of the position, see AppendWindow
};

// Receives the replies of adds: one object per writer instead of a callback per request.
class AddSink {
 public:
  virtual ~AddSink() = default;
  virtual void OnAddReply(const AddTag& tag, ErrorCode code) = 0;
  // A bookie that owed too much has caught up. Asked for by CallWhenRoom.
  virtual void OnRoom() = 0;
};

// The codes of an answer: kOk, or
//   kNoSuchLedger kNoSuchEntry      the bookie has nothing: a definite answer
//   kLedgerFenced kUnauthorized kReadOnlyBookie kOverloaded kUnknownLedgerState kProtocolVersion
//   kReadFailed kWriteFailed        what else a bookie refuses with
//   kDeadline kConnectionLost       no answer; kStopped: the client is closing
//   kInvalidArgument                of an add: its frame is above what the bookie takes, see
//                                   LargeAddLane
struct Answer {
  ErrorCode code = ErrorCode::kOk;
  wire::ReplyBody body;  // of the request's operation when code is kOk
};
using AnswerCallback = absl::AnyInvocable<void(Answer) &&>;

struct CallOptions {
  // Infinite: the default of the client's options.
  absl::Duration timeout = absl::InfiniteDuration();
  bool high_priority = false;
};

// One bookie, as long as the BookieClient lives. Connects by itself.
class Bookie {
 public:
  virtual ~Bookie() = default;
  virtual const BookieId& id() const = 0;

  virtual void Add(const OutgoingAdd& add, AddSink* sink, const AddTag& tag) = 0;

  // Any request but an add.
  virtual void Call(wire::RequestBody request, const CallOptions& options, AnswerCallback done) = 0;

  // False while the bookie owes acknowledgements for so many adds, of all writers of this client,
  // that the writers should wait: a bookie that falls behind without limit would end up refusing
  // adds, and cost its ledgers their ensemble.
  virtual bool HasRoom() const = 0;
  // Calls sink->OnRoom() once, when the bookie has caught up by half.
  virtual void CallWhenRoom(AddSink* sink) = 0;
};

class BookieClient {
 public:
  virtual ~BookieClient() = default;
  // Never null. The pointer is good as long as this object.
  virtual Bookie* Get(const BookieId& id) = 0;
  // No call of `sink` follows. What was sent stays sent.
  virtual void DropSink(AddSink* sink) = 0;
};

// What a bookie's status means to the client.
//   operation   decides what unspecific refusals become: kWriteFailed or kReadFailed
ErrorCode CodeOfReply(wire::Operation operation, wire::ReplyCode code);

}  // namespace stele::client

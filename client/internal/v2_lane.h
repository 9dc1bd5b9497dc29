// V2Lane: adds and plain reads over the fixed binary protocol: the hot path. Its replies name
// ledger and entry but not the request, so nothing whose answer is a vote goes here: a late answer
// of an earlier request must not be taken for that of a fencing one. V3Lane has those.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "client/internal/add_debt.h"
#include "client/internal/entry_numbers.h"
#include "client/internal/request_lane.h"

namespace stele::client {

class V2Lane : public RequestLane {
 public:
  V2Lane(const Env& env, const BookieId& bookie, const LaneOptions& options,
         BookieAddresses* addresses, AddDebt* debt)
      : RequestLane(env, bookie, options, addresses), debt_(debt) {}

  // False, and nothing is done, when an add of the same ledger and entry is outstanding: two
  // writers of one ledger in one process, whose replies could not be told apart.
  bool Add(const OutgoingAdd& add, AddSink* sink, const AddTag& tag);

  // True for reads of one entry without fencing, and batch reads.
  static bool CanSend(const wire::RequestBody& request);
  void Call(wire::RequestBody request, bool high_priority, AnswerCallback done);

  void DropSink(AddSink* sink);

 private:
  struct Key {
    LedgerId ledger;
    EntryId entry;
    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.ledger, key.entry);
    }
  };
  struct PendingAdd {
    Key key;
    AddSink* sink;  // null: nobody waits
    AddTag tag;
    size_t size_bytes;
    MonotonicTime deadline;
    bool is_answered = false;
  };
  struct PendingCall {
    wire::Operation operation;
    Key key;  // of a read
    AnswerCallback done;
    MonotonicTime deadline;
    bool is_answered = false;
  };

  MonotonicTime NextDeadline() const override;
  void Expire(MonotonicTime now) override;
  void FailAll(ErrorCode code) override;
  bool OnFrame(const Buffer& frame) override;

  // Of an add whose number was taken.
  void AnswerAdd(uint64_t number, ErrorCode code);
  void AnswerFirstAdd(ErrorCode code);
  void AnswerCall(uint64_t number, Answer answer);

  // Both in the order of sending, which is the order of their deadlines. The number of a request is
  // its place since the beginning.
  std::deque<PendingAdd> adds_;
  uint64_t adds_taken_ = 0;
  LedgerEntryNumbers add_numbers_;
  std::deque<PendingCall> calls_;
  uint64_t calls_taken_ = 0;
  // Several reads of one entry may be outstanding; any answer serves any of them.
  absl::flat_hash_map<Key, absl::InlinedVector<uint64_t, 1>> read_numbers_;
  AddDebt* debt_;
};

}  // namespace stele::client

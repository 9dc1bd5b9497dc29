// Coverage: have enough bookies answered that nobody can be acknowledged behind our back?
//
// A bookie is *known* when it gave a definite answer: its data, "no such entry" or "no such
// ledger". Timeouts, errors and "I cannot say" leave it unknown. The ensemble is covered when no
// possible ack quorum of any write set is entirely unknown: then each acknowledged entry has been
// seen, and each unseen one can never gather its acknowledgements from the bookies that are left.
//
// Source: docs/PROTOCOL.md "Fencing". The TLA+ specification asks for E - Qa + 1 answers, which is
// sufficient but, when E > Qw, more than needed; the rule here is exact.
#pragma once

#include <vector>

#include "common/base/ids.h"
#include "common/quorum/write_set.h"

namespace stele::quorum {

class Coverage {
 public:
  explicit Coverage(const Replication& replication);

  // `index` gave a definite answer. Repeating it changes nothing.
  void AddKnown(BookieIndex index);

  // True when every window of write_quorum_size circularly consecutive positions has fewer than
  // ack_quorum_size unknown ones, also windows that no entry has used yet.
  bool IsCovered() const;

 private:
  Replication replication_;
  std::vector<bool> known_;
};

// How many definite "not here" answers to a fencing read prove that an entry was not and will not
// be acknowledged: what they leave of the write set is smaller than an ack quorum.
constexpr int NegativeQuorumSize(const Replication& replication) {
  return replication.write_quorum_size - replication.ack_quorum_size + 1;
}

// Long poll: how many bookies must have nothing new before a reader believes that nothing is new.
constexpr int NothingNewQuorumSize(const Replication& replication) {
  return replication.ensemble_size - replication.ack_quorum_size + 1;
}

}  // namespace stele::quorum

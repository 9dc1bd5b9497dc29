// Rare places: the proof, by count, that tests of whole clusters go there. A counter that stays at
// zero over a campaign of the simulator is a blind spot of the simulator (docs/TESTING.md).
//
//   STELE_SOMETIMES(kRecoveryUndecided, decision == Decision::kUnknown);
//
// It counts and does nothing else. Only the simulator listens, with one thread. Where nobody does,
// a place costs a load and a branch, and its condition is not evaluated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stele {

// The name of each place, and what happens there.
// clang-format off
#define STELE_SOMETIMES_LIST(X)                                                                \
  X(kAppendAckOfReplacedBookie, "append: an ack of a replaced bookie is ignored")              \
  X(kAppendFailureDuringChange, "append: a bookie fails while another is replaced")            \
  X(kAppendTwoReplacedAtOnce, "append: two bookies are replaced at once")                      \
  X(kAppendChangeAtFirstEntry, "append: the ensemble changes before the first entry")          \
  X(kAppendChangeLostToRecovery, "append: a change of ensemble meets a recovery")              \
  X(kAppendChangeLostToClose, "append: a change of ensemble meets a closed ledger")            \
  X(kAppendNoReplacement, "append: no bookie is left to replace a failed one")                 \
  X(kAppendDelayedChange, "append: the next append starts a change that was put off")          \
  X(kAppendFencedByAdd, "append: the writer learns of a fence from a bookie")                  \
  X(kAppendWaitsForSlowBookie, "append: the writer waits for a bookie that owes too much")     \
  X(kCloseMeetsRecovery, "close: the ledger is being recovered by somebody")                   \
  X(kCloseOverridesRecovery, "close: it ends somebody else's recovery, as Java's client")      \
  X(kStrayReply, "client: a reply that nobody waits for is passed over")                       \
  X(kRecoveryOfMarkedLedger, "recovery: of a ledger that another recovery has marked")         \
  X(kRecoveryUndecided, "recovery: an entry is neither found nor proved absent")               \
  X(kRecoveryWriteBack, "recovery: an entry is written back")                                  \
  X(kRecoveryReplacesBookie, "recovery: a write-back needs a replacement")                     \
  X(kRecoveryNoReplacement, "recovery: no bookie is left for a write-back")                    \
  X(kRecoveryEmptyLastFragment, "recovery: the last fragment has no entry")                    \
  X(kRecoveryAdoptsEnd, "recovery: another recovery has closed the ledger meanwhile")          \
  X(kFenceOfUnknownLedger, "fence: of a ledger that the bookie has never seen")                \
  X(kFenceRefusesAdd, "fence: a late add is refused")                                          \
  X(kFenceWhileReadOnly, "fence: of a bookie that is read-only")                               \
  X(kFenceKnownFromDisk, "fence: it was found on disk and is journalled again")                \
  X(kUncertainAnswer, "bookie: it cannot say whether it had an entry")                         \
  X(kConflictingAdd, "bookie: an entry that it has comes with other bytes")                    \
  X(kSameAddAgain, "bookie: an entry that it has comes again")                                 \
  X(kAddsStalled, "bookie: adds wait for room in memory")                                      \
  X(kReadOnlyAdd, "bookie: an add is refused because it is read-only")                         \
  X(kReadOnly, "bookie: it becomes read-only")                                                 \
  X(kWritableAgain, "bookie: it becomes writable again")                                       \
  X(kJournalRolls, "journal: a batch goes to the next file")                                   \
  X(kJournalFileIsReused, "journal: a file is written again")                                  \
  X(kJournalFailed, "journal: a write fails")                                                  \
  X(kJournalDiskFull, "journal: no space for the next file")                                   \
  X(kReplayTornTail, "journal: replay drops a torn tail")                                      \
  X(kReplayRecords, "journal: replay brings records back")                                     \
  X(kFlushOfDeletedLedger, "storage: a ledger is deleted while it is flushed")                 \
  X(kEntryLogAbandoned, "storage: an entry log is given up after an error")                    \
  X(kCompactionMoves, "compaction: entries are moved")                                         \
  X(kCompactionOvertaken, "compaction: an entry has moved or gone meanwhile")                  \
  X(kCompactionAbandoned, "compaction: it is given up after an error")                         \
  X(kGarbageRemoved, "garbage: a deleted ledger is removed")                                   \
  X(kGarbageBrake, "garbage: too many ledgers are unknown, and nothing is removed")            \
  X(kGarbagePassFailed, "garbage: a pass ends because metadata cannot be read")                \
  X(kTombstoneRefusesAdd, "garbage: a tombstone refuses a late add")                           \
  X(kTombstoneRefusesFence, "garbage: a tombstone refuses a late fence")                       \
  X(kCreateFoundOwnNode, "metadata: a create whose answer was lost finds its own node")        \
  X(kCreateFoundOtherNode, "metadata: a create finds the node of somebody else")               \
  X(kDeleteFoundNothing, "metadata: a delete finds that the node has gone")                    \
  X(kLongPollEndedByFence, "reader: a fence ends a long poll")                                 \
  X(kLongPollOfUnknownLedger, "reader: a long poll waits for a ledger that is not there yet")  \
  X(kRecoveryCoveredInSilence, "recovery: enough bookies are fenced, others have not answered")\
  X(kRecoveryAbsentInSilence, "recovery: an entry is proved absent, a bookie has not answered")\
  X(kRecoveryFoundAfterNo, "recovery: an entry is found after a bookie denied it")             \
  X(kRecoveryCutsOff, "recovery: an entry behind the end is cut off")                          \
  X(kFenceAmongAdds, "fence: it meets records that are not durable yet")                       \
  X(kReplayMemoryFull, "journal: replay has to flush before it can go on")                     \
  X(kReadMeetsCompaction, "storage: an entry is moved while it is read")                       \
  X(kScrubRepairs, "scrub: a damaged entry is good again")                                     \
  X(kScrubFindsLocations, "scrub: a lost index is rebuilt from the logs")                      \
  X(kLimboEntered, "limbo: a bookie that has lost data marks its ledgers")                     \
  X(kLimboLeft, "limbo: all ledgers are whole again")                                          \
  X(kUpdateMeetsAnother, "metadata: an update meets another and is made again")                \
  X(kUpdateFoundDone, "metadata: an update whose answer was lost is found done")               \
  X(kRegistrationTakenOver, "bookie: its registration of before is taken over")                \
  X(kReadFollowsChange, "reader: it goes on in an ensemble that was changed meanwhile")        \
  X(kRepairLockTaken, "repair: another worker has the ledger")                                 \
  X(kRepairLockLost, "repair: the session ends while a lock is made")                          \
  X(kRepairLedgerGone, "repair: the ledger was deleted meanwhile")                             \
  X(kRepairNothingMissing, "repair: the bookie has come back, nothing is copied")              \
  X(kRepairOtherSource, "repair: a source has no good copy, another has")                      \
  X(kRepairInPlace, "repair: a member that lacks an entry gets it back")                       \
  X(kRepairTargetFails, "repair: a target fails, and another is taken")                        \
  X(kRepairOvertaken, "repair: metadata was changed meanwhile, and names others")              \
  X(kRepairWaitsForWriter, "repair: a broken tail waits for its writer")                       \
  X(kRepairFences, "repair: the writer did not help, and is fenced")                           \
  X(kRepairHopeless, "repair: no bookie has a good copy")                                      \
  X(kRepairFinishLost, "repair: it is not known whether task and lock have gone")
// clang-format on

enum class Sometimes : uint8_t {
#define STELE_SOMETIMES_NAME(name, text) name,
  STELE_SOMETIMES_LIST(STELE_SOMETIMES_NAME)
#undef STELE_SOMETIMES_NAME
};
#define STELE_SOMETIMES_ONE(name, text) +1
inline constexpr size_t kSometimesCount = 0 STELE_SOMETIMES_LIST(STELE_SOMETIMES_ONE);
#undef STELE_SOMETIMES_ONE

std::string_view TextOf(Sometimes place);

using SometimesHits = std::array<uint64_t, kSometimesCount>;

namespace internal {
// Null: nobody listens.
inline constinit SometimesHits* sometimes_hits = nullptr;
}  // namespace internal

// From now on hits are added there; null ends it. Only while one thread runs.
inline void CountSometimes(SometimesHits* hits) { internal::sometimes_hits = hits; }

}  // namespace stele

#define STELE_SOMETIMES(name, condition)                                                     \
  do {                                                                                       \
    if (::stele::internal::sometimes_hits != nullptr) [[unlikely]]                           \
      (*::stele::internal::sometimes_hits)[static_cast<size_t>(::stele::Sometimes::name)] += \
          (condition) ? 1 : 0;                                                               \
  } while (false)

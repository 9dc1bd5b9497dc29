#include "metadata/zookeeper/lost_write.h"

namespace stele::metadata {

void SeenNodes::EndSession() {
  session_ = 0;
  created_.clear();
}

void SeenNodes::NoteCreated(const std::string& path, const ZooKeeperStat& stat) {
  See(stat);
  const bool ours = stat.ephemeral_owner != 0 && stat.ephemeral_owner == session_;
  if (ours) created_.insert_or_assign(path, stat.created);
}

KnownNode SeenNodes::Know(const std::string& path) const {
  const auto known = created_.find(path);
  KnownNode result{.newest = newest_};
  if (known != created_.end()) result.own = known->second;
  return result;
}

LostWrite SeenNodes::JudgeLostCreate(const std::string& path, const ZooKeeperReply& found,
                                     std::string_view value, NodeKind kind) {
  See(found.stat);
  const int64_t owner = found.stat.ephemeral_owner;
  if (kind == NodeKind::kEphemeral) {
    const auto known = created_.find(path);
    const bool spoken_for = known != created_.end() && known->second == found.stat.created;
    if (owner == 0 || owner != session_ || spoken_for) return LostWrite::kLostRace;
    NoteCreated(path, found.stat);
    return LostWrite::kApplied;
  }
  if (owner != 0) return LostWrite::kLostRace;
  // Ours may have been changed by others since.
  if (found.stat.version != 0) return LostWrite::kUnknown;
  return found.text == value ? LostWrite::kApplied : LostWrite::kLostRace;
}

LostWrite JudgeLostPut(const ZooKeeperReply& found, std::string_view value, Version expected,
                       const KnownNode& known) {
  // Another node than the one that was written to.
  if (found.stat.created > known.newest) return LostWrite::kUnknown;
  const Version version = found.stat.version;
  if (version == expected) return LostWrite::kNotApplied;
  if (version == expected + 1 && found.text != value) return LostWrite::kLostRace;
  return LostWrite::kUnknown;
}

LostWrite JudgeLostBlindPut(const ZooKeeperReply& found, std::string_view value) {
  return found.text == value ? LostWrite::kApplied : LostWrite::kUnknown;
}

LostWrite JudgeLostDelete(const ZooKeeperReply& found, Version expected, const KnownNode& known) {
  if (known.own.has_value() && *known.own != found.stat.created) return LostWrite::kApplied;
  // Made after we had last seen anything: by whoever came after us, or before us and we never saw
  // it.
  if (found.stat.created > known.newest) return LostWrite::kUnknown;
  const bool changed = expected != kAnyVersion && found.stat.version != expected;
  return changed ? LostWrite::kLostRace : LostWrite::kNotApplied;
}

}  // namespace stele::metadata

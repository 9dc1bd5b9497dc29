#include "metadata/zookeeper/lost_write.h"

namespace stele::metadata {

LostWrite JudgeLostCreate(const ZooKeeperReply& found, std::string_view value, NodeKind kind,
                          int64_t session, std::optional<int64_t> own_created) {
  const int64_t owner = found.stat.ephemeral_owner;
  if (kind == NodeKind::kEphemeral) {
    const bool ours = owner == session && own_created != found.stat.created;
    return ours ? LostWrite::kApplied : LostWrite::kLostRace;
  }
  if (owner != 0) return LostWrite::kLostRace;
  // Ours may have been changed by others since.
  if (found.stat.version != 0) return LostWrite::kUnknown;
  return found.text == value ? LostWrite::kApplied : LostWrite::kLostRace;
}

LostWrite JudgeLostPut(const ZooKeeperReply& found, std::string_view value, Version expected) {
  const Version version = found.stat.version;
  if (version == expected) return LostWrite::kNotApplied;
  if (version == expected + 1 && found.text != value) return LostWrite::kLostRace;
  return LostWrite::kUnknown;
}

LostWrite JudgeLostBlindPut(const ZooKeeperReply& found, std::string_view value) {
  return found.text == value ? LostWrite::kApplied : LostWrite::kUnknown;
}

}  // namespace stele::metadata

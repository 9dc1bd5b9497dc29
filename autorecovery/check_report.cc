#include "autorecovery/check_report.h"

namespace stele::autorecovery {

std::string_view NameOf(FindingKind kind) {
  switch (kind) {
    case FindingKind::kUnreadableMetadata: return "unreadable_metadata";
    case FindingKind::kNoCookie: return "no_cookie";
    case FindingKind::kBookieDown: return "bookie_down";
    case FindingKind::kHole: return "hole";
    case FindingKind::kDamaged: return "damaged";
    case FindingKind::kLengthWrong: return "length_wrong";
    case FindingKind::kSilent: return "silent";
  }
  return "unknown";
}

}  // namespace stele::autorecovery

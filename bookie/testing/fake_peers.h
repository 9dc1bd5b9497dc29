// FakePeers: the other bookies of a bookie under test, as far as it can get copies from them.
#pragma once

#include <map>
#include <utility>

#include "absl/status/statusor.h"
#include "bookie/entry_source.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/errors.h"
#include "common/base/ids.h"

namespace stele::bookie {

struct FakePeers {
  // Must not outlive it.
  EntrySource AsSource() {
    return [this](LedgerId ledger, EntryId entry) { return Fetch(ledger, entry); };
  }
  Task<absl::StatusOr<Buffer>> Fetch(LedgerId ledger, EntryId entry) {
    ++asked;
    const auto found = copies.find({ledger, entry});
    if (found == copies.end()) co_return MakeError(ErrorCode::kReadFailed, "no peer has it");
    co_return found->second;
  }

  std::map<std::pair<LedgerId, EntryId>, Buffer> copies;
  int asked = 0;
};

}  // namespace stele::bookie

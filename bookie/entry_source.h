// EntrySource: the seam through which a bookie gets a copy of an entry from its peers. The bookie
// knows no client; the program that has both puts them together.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"

namespace stele::bookie {

// Gives the entry packet as a bookie stores it, of another bookie than this one, its digest
// verified. Any error: not to be had now. Empty: there are no peers to ask.
using EntrySource = std::function<Task<absl::StatusOr<Buffer>>(LedgerId ledger, EntryId entry)>;

}  // namespace stele::bookie

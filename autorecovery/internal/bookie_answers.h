// What repair asks of bookies, as tasks.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "client/internal/bookie_client.h"
#include "client/internal/client_context.h"
#include "client/internal/ledger_keys.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/wire/availability.h"
#include "common/wire/bookie_messages.h"
#include "common/wire/entry_packet.h"

namespace stele::autorecovery {

// Which entries of the ledger the bookie says it has; nothing: it does not know the ledger. What
// `context` points to outlives the task, here and below.
//   errors   those of a bookie that does not answer, or cannot say
Task<absl::StatusOr<std::optional<wire::Availability>>> ListEntries(client::ClientContext* context,
                                                                    BookieId bookie,
                                                                    LedgerId ledger);

// One copy of one entry as the bookie stores it; nothing is verified.
//   errors   kNoSuchEntry, kNoSuchLedger   it does not have it
//            those of a bookie that does not answer, or cannot say
Task<absl::StatusOr<Buffer>> ReadPacket(client::ClientContext* context, BookieId bookie,
                                        LedgerId ledger, EntryId entry);

// The same, with a digest that is right.
//   errors   as ReadPacket, and kDigestMismatch: it has something else
Task<absl::StatusOr<wire::VerifiedEntry>> ReadCopy(client::ClientContext* context,
                                                   const client::LedgerKeys* keys, BookieId bookie,
                                                   LedgerId ledger, EntryId entry);

// How much there is on its disks, and how much of it is free.
//   timeout  infinite: the client's own
//   errors   those of a bookie that does not answer
Task<absl::StatusOr<wire::GetBookieInfoReply>> AskForSpace(
    client::ClientContext* context, BookieId bookie,
    absl::Duration timeout = absl::InfiniteDuration());

// The bookie has spoken, and asking again would bring the same: it has no good copy.
bool IsDefinite(ErrorCode code);

}  // namespace stele::autorecovery

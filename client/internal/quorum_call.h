// CallQuorum: sends one request to several bookies and waits until enough have said yes.
#pragma once

#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "client/internal/bookie_client.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/wire/bookie_messages.h"

namespace stele::client {

// Completes when `needed` of the bookies have answered kOk, or when so many have not that it cannot
// happen any more; then with the code of the last one. The requests are sent by the call, not by
// awaiting.
Task<absl::Status> CallQuorum(Executor* executor, std::vector<Bookie*> bookies, int needed,
                              wire::RequestBody request);

}  // namespace stele::client

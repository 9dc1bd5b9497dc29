// ClientContext: what the handles of one client share. All on the client's shard.
#pragma once

#include <cstddef>

#include "client/client_options.h"
#include "client/internal/bookie_client.h"
#include "client/internal/bookie_memory.h"
#include "client/internal/placement_policy.h"
#include "common/seams/env.h"
#include "metadata/ledger_manager.h"

namespace stele::client {

// Owned by the client; everything here outlives the handles' activity.
struct ClientContext {
  Env env;
  ClientOptions options;
  metadata::LedgerManager* ledgers = nullptr;
  BookieClient* bookies = nullptr;
  PlacementPolicy* placement = nullptr;
  BookieMemory* slow_bookies = nullptr;
  BookieMemory* bookies_without_batches = nullptr;
  // Of the appends of all handles that are not acknowledged.
  size_t pending_append_bytes = 0;
};

}  // namespace stele::client

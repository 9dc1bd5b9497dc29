// BookieService: stele.admin.v1.Bookie (proto/stele_admin.proto): BookieOperations over gRPC. Pure:
// the bookie's shard calls it, sockets are elsewhere.
#pragma once

#include "bookie/admin/bookie_operations.h"
#include "common/rpc/router.h"

namespace stele::bookie {

// Adds its methods. `operations` outlives `router`.
void AddBookieService(BookieOperations* operations, rpc::Router& router);

}  // namespace stele::bookie

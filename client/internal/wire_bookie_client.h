// WireBookieClient: bookies behind the Transport seam. Up to three connections to each: V2Lane
// carries normal adds and plain reads; LargeAddLane adds that a bookie might find too large;
// V3Lane everything else. The last two are opened when first needed.
#pragma once

#include <map>
#include <memory>

#include "client/internal/add_debt.h"
#include "client/internal/bookie_client.h"
#include "client/internal/large_add_lane.h"
#include "client/internal/request_lane.h"
#include "client/internal/v2_lane.h"
#include "client/internal/v3_lane.h"
#include "common/seams/env.h"

namespace stele::client {

struct WireOptions {
  LaneOptions lane;
  AddDebtLimits add_debt;
};

class WireBookieClient : public BookieClient {
 public:
  // What `env` points to outlives this object.
  WireBookieClient(const Env& env, const WireOptions& options, BookieAddresses addresses);
  ~WireBookieClient() override;

  Bookie* Get(const BookieId& id) override;
  void DropSink(AddSink* sink) override;

  // Answers everything outstanding with kStopped, and from then on each request in its turn.
  void Stop();

 private:
  class WireBookie;

  const Env env_;
  const WireOptions options_;
  BookieAddresses addresses_;
  bool is_stopped_ = false;
  std::map<BookieId, std::unique_ptr<WireBookie>> bookies_;
  TaskScope tasks_;  // answers after Stop
};

}  // namespace stele::client

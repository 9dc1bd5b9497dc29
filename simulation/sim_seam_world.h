// The simulated seams under the contract suites.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/seams/contract/seam_world.h"
#include "common/seams/contract/transport_world.h"
#include "simulation/world.h"

namespace stele::simulation {

class SimSeamWorld : public TransportWorld {
 public:
  explicit SimSeamWorld(uint64_t seed);

  Env env() override { return world_.env(process_); }
  std::string scratch_directory() override { return "/scratch"; }
  void RunToEnd(Task<void> task) override;
  std::string host() override { return "127.0.0.1"; }
  Task<std::vector<std::string>> ExchangeHalfClosed(Endpoint to,
                                                    std::vector<std::string> frames) override;
  std::shared_ptr<const TlsCredentials> MakeTls(const TlsTestParty& party) override;

  World& world() { return world_; }

 private:
  World world_;
  SimProcess* process_;
};

// Three worlds of different seeds.
template <uint64_t kSeed, typename W>
std::unique_ptr<W> MakeSimSeamWorld() {
  return std::make_unique<SimSeamWorld>(kSeed);
}
inline constexpr SeamWorldKind kSimSeamWorlds[] = {
    {"Seed1", MakeSimSeamWorld<1, SeamWorld>},
    {"Seed2", MakeSimSeamWorld<2, SeamWorld>},
    {"Seed3", MakeSimSeamWorld<3, SeamWorld>},
};
inline constexpr TransportWorldKind kSimTransportWorlds[] = {
    {"Seed1", MakeSimSeamWorld<1, TransportWorld>},
    {"Seed2", MakeSimSeamWorld<2, TransportWorld>},
    {"Seed3", MakeSimSeamWorld<3, TransportWorld>},
};

}  // namespace stele::simulation

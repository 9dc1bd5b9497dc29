#include "common/seams/contract/transport_contract.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/real/blocking_pool.h"
#include "common/real/raw_peer.h"
#include "common/real/real_seam_world.h"

namespace stele {
namespace real {
namespace {

class RealTransportWorld final : public TransportWorld {
 public:
  RealTransportWorld() : world_(FileBackend::kProbe, testing::TempDir()) {}
  Env env() override { return world_.env(); }
  std::string scratch_directory() override { return world_.scratch_directory(); }
  void RunToEnd(Task<void> task) override { world_.RunToEnd(std::move(task)); }
  std::string host() override { return "127.0.0.1"; }
  Task<std::vector<std::string>> ExchangeHalfClosed(Endpoint to,
                                                    std::vector<std::string> frames) override {
    return peers_.Run(env().executor, [to, frames] {
      RawPeer peer(to);
      for (const std::string& frame : frames) peer.Send(Framed(frame));
      peer.Finish();
      return SplitFrames(peer.ReceiveAll());
    });
  }

 private:
  RealSeamWorld world_;
  BlockingPool peers_{1};
};

std::unique_ptr<TransportWorld> MakeRealTransportWorld() {
  return std::make_unique<RealTransportWorld>();
}

}  // namespace
}  // namespace real

INSTANTIATE_TEST_SUITE_P(Real, TransportContract,
                         testing::Values(TransportWorldKind{"Tcp", real::MakeRealTransportWorld}),
                         SeamWorldName());

}  // namespace stele

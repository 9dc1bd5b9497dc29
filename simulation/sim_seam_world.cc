#include "simulation/sim_seam_world.h"

#include <utility>

#include <gtest/gtest.h>

#include "common/seams/contract/co_assert.h"
#include "simulation/sim_tls.h"

namespace stele::simulation {
namespace {

Task<void> MakeScratch(Env env) {
  STELE_CO_EXPECT_OK(co_await env.files->MakeDirectories("/scratch"));
}

// A client that finishes sending and then reads until the end.
class HalfClosedClient : public ConnectionHandler {
 public:
  HalfClosedClient(Executor* executor, std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)), ended_(executor) {}

  Task<void> Exchange(std::vector<std::string> frames) {
    connection_->Start(this);
    for (const std::string& frame : frames) connection_->Send(frame, Buffer());
    SimNetwork::FinishSending(connection_.get());
    co_await ended_;
  }

  void OnFrames(std::span<Buffer> frames) override {
    for (const Buffer& frame : frames) received.push_back(frame.ToString());
  }
  void OnPeerFinished() override { ended_.GetCompleter().Set(true); }
  void OnClosed(absl::Status) override { ended_.GetCompleter().Set(true); }

  std::vector<std::string> received;

 private:
  std::unique_ptr<Connection> connection_;
  Completion<bool> ended_;
};

}  // namespace

SimSeamWorld::SimSeamWorld(uint64_t seed)
    : world_({.seed = seed, .step_limit = 10'000'000}),
      process_(world_.AddProcess(world_.AddMachine("machine"), "process")) {
  RunToEnd(MakeScratch(env()));
}

void SimSeamWorld::RunToEnd(Task<void> task) {
  const absl::Status status = world_.RunToEnd(process_, std::move(task));
  EXPECT_TRUE(status.ok()) << status;
}

Task<std::vector<std::string>> SimSeamWorld::ExchangeHalfClosed(Endpoint to,
                                                                std::vector<std::string> frames) {
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      co_await env().transport->Connect(std::move(to), {}, absl::Seconds(1));
  EXPECT_TRUE(connection.ok()) << connection.status();
  if (!connection.ok()) co_return std::vector<std::string>();
  HalfClosedClient client(env().executor, *std::move(connection));
  co_await client.Exchange(std::move(frames));
  co_return std::move(client.received);
}

std::shared_ptr<const TlsCredentials> SimSeamWorld::MakeTls(const TlsTestParty& party) {
  SimTlsIdentity identity{
      .authority = party.authority, .hosts = {host()}, .is_expired = party.is_expired};
  if (!party.organizational_unit.empty()) {
    identity.organizational_units.push_back(party.organizational_unit);
  }
  return std::make_shared<const SimTlsCredentials>(std::move(identity), party.trusted_authority,
                                                   party.requires_client_certificate);
}

}  // namespace stele::simulation

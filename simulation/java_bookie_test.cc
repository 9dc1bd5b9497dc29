// A bookie that its front makes worse: what its peers see of it.
#include "simulation/java_bookie.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/wire_client.h"
#include "client/testing/fake_bookie.h"
#include "simulation/world.h"

namespace stele::simulation {
namespace {

using client::FakeBookie;
using wire::ReplyCode;

constexpr LedgerId kLedger(7);

class JavaBookieTest : public testing::Test {
 protected:
  JavaBookieTest()
      : world_({.seed = 3}),
        java_(SimRandom(1), {.spared = {"probe"}},
              {.on_early_fence = [this](LedgerId) { ++early_; },
               .on_lost_fence = [this](LedgerId) { ++lost_; },
               .before_stray = [this] { ++strays_; }}) {
    process_ = world_.AddProcess(world_.AddMachine("b1"), "b1");
    peer_ = world_.AddProcess(world_.AddMachine("client"), "client");
    probe_ = world_.AddProcess(world_.AddMachine("probe"), "probe");
    Start();
  }
  ~JavaBookieTest() override {
    for (SimProcess* process : {peer_, probe_, process_}) process->Crash();
  }

  void Start() {
    Env env = world_.env(process_);
    env.transport = process_->Own(java_.NewLife(env));
    bookie_ = process_->Own(std::make_unique<FakeBookie>(env, Endpoint{"b1", 3181}));
  }
  void Restart() {
    process_->Crash();
    process_->Restart();
    Start();
  }
  bookie::WireClient* Connect(SimProcess* from, wire::ProtocolVersion version) {
    auto* wire = from->Own(std::make_unique<bookie::WireClient>(world_.env(from), version));
    EXPECT_TRUE(world_.RunToEnd(from, ConnectTo(wire)).ok());
    return wire;
  }
  static Task<void> ConnectTo(bookie::WireClient* wire) {
    EXPECT_TRUE((co_await wire->Connect({"b1", 3181})).ok());
  }
  // The code of each reply, as they come.
  static Task<void> ReceiveAll(bookie::WireClient* wire, std::vector<ReplyCode>* codes) {
    for (;;) {
      const auto reply = co_await wire->Receive();
      if (!reply.ok()) co_return;
      codes->push_back(reply->code);
    }
  }
  void RunFor(absl::Duration duration) { ASSERT_TRUE(world_.scheduler().RunFor(duration).ok()); }

  World world_;
  JavaBookie java_;
  SimProcess* process_ = nullptr;
  SimProcess* peer_ = nullptr;
  SimProcess* probe_ = nullptr;
  FakeBookie* bookie_ = nullptr;
  int early_ = 0;
  int lost_ = 0;
  int strays_ = 0;
  const bookie::LedgerRequests requests_{.ledger = kLedger};
};

using Codes = std::vector<ReplyCode>;

// The journal of the bookie hangs: its fence is never done.
FakeBookie::Action HoldFences(const wire::Request& request) {
  return client::IsFencing(request) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
}

TEST_F(JavaBookieTest, AFenceThatFindsNothingIsAnsweredFromMemoryAndLostWithIt) {
  bookie_->SetScript(HoldFences);
  bookie::WireClient* wire = Connect(probe_, wire::ProtocolVersion::kV3);
  Codes codes;
  probe_->Spawn(ReceiveAll(wire, &codes));
  wire->Send(requests_.FencingRead(0));
  RunFor(absl::Seconds(10));
  EXPECT_EQ(codes, Codes{ReplyCode::kNoSuchEntry});
  EXPECT_EQ(early_, 1);
  EXPECT_FALSE(bookie_->ledger(kLedger).is_fenced);
  // While the process lives it keeps its word.
  wire->Send(requests_.Add(0, "x"));
  wire->Send(requests_.RecoveryAdd(0, "x"));
  RunFor(absl::Seconds(1));
  EXPECT_EQ(codes, (Codes{ReplyCode::kNoSuchEntry, ReplyCode::kFenced, ReplyCode::kOk}));
  EXPECT_EQ(lost_, 0);
  Restart();
  EXPECT_EQ(lost_, 1);
  wire = Connect(probe_, wire::ProtocolVersion::kV3);
  codes.clear();
  probe_->Spawn(ReceiveAll(wire, &codes));
  wire->Send(requests_.Add(0, "x"));
  RunFor(absl::Seconds(1));
  EXPECT_EQ(codes, Codes{ReplyCode::kOk});
}

TEST_F(JavaBookieTest, AFenceThatIsDurableIsNotLost) {
  bookie::WireClient* wire = Connect(probe_, wire::ProtocolVersion::kV3);
  Codes codes;
  probe_->Spawn(ReceiveAll(wire, &codes));
  wire->Send(requests_.FencingRead(0));
  RunFor(absl::Seconds(10));
  EXPECT_EQ(codes, Codes{ReplyCode::kNoSuchEntry});
  EXPECT_TRUE(bookie_->ledger(kLedger).is_fenced);
  Restart();
  EXPECT_EQ(lost_, 0);
}

TEST_F(JavaBookieTest, AFenceThatFindsAnEntryIsAnsweredWhenItIsDurable) {
  bookie::WireClient* wire = Connect(probe_, wire::ProtocolVersion::kV3);
  Codes codes;
  probe_->Spawn(ReceiveAll(wire, &codes));
  wire->Send(requests_.Add(0, "x"));
  RunFor(absl::Seconds(1));
  bookie_->SetScript(HoldFences);
  wire->Send(requests_.FencingRead(0));
  RunFor(absl::Seconds(10));
  EXPECT_EQ(codes, Codes{ReplyCode::kOk});
  bookie_->Release();
  bookie_->SetScript(nullptr);
  RunFor(absl::Seconds(1));
  EXPECT_EQ(codes, (Codes{ReplyCode::kOk, ReplyCode::kOk}));
  EXPECT_EQ(early_, 0);
}

TEST_F(JavaBookieTest, WithAnAddUnderWayAFenceWaits) {
  bookie_->SetScript([](const wire::Request&) { return FakeBookie::kHoldRequest; });
  bookie::WireClient* wire = Connect(probe_, wire::ProtocolVersion::kV3);
  Codes codes;
  probe_->Spawn(ReceiveAll(wire, &codes));
  wire->Send(requests_.Add(0, "x"));
  wire->Send(requests_.FencingRead(1));
  RunFor(absl::Seconds(10));
  EXPECT_EQ(codes, Codes{});
  EXPECT_EQ(bookie_->held(), 2u);
  bookie_->Release();
  RunFor(absl::Seconds(1));
  EXPECT_EQ(codes, (Codes{ReplyCode::kOk, ReplyCode::kNoSuchEntry}));
  EXPECT_EQ(early_, 0);
}

TEST_F(JavaBookieTest, RepliesComeThatNobodyAskedFor) {
  constexpr int kRequests = 300;
  for (const auto version : {wire::ProtocolVersion::kV2, wire::ProtocolVersion::kV3}) {
    for (SimProcess* from : {peer_, probe_}) {
      bookie::WireClient* wire = Connect(from, version);
      strays_ = 0;
      for (int i = 0; i < kRequests; ++i) wire->Send(requests_.Add(i, "x"));
      std::vector<ReplyCode> codes;
      from->Spawn(ReceiveAll(wire, &codes));
      RunFor(absl::Minutes(1));
      EXPECT_EQ(strays_ > 0, from == peer_);
      // Those of a version that the peer does not know end its patience here.
      EXPECT_LE(codes.size(), static_cast<size_t>(kRequests + strays_));
      from->Crash();
      from->Restart();
    }
  }
}

}  // namespace
}  // namespace stele::simulation

// A bookie whose peers have something to prove: TLS in band, roles, and what is refused before.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"
#include "common/seams/clock.h"
#include "common/seams/contract/co_assert.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"
#include "simulation/sim_tls.h"

namespace stele::bookie {
namespace {

using simulation::SimTlsCredentials;
using wire::ProtocolVersion;
using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};

std::shared_ptr<const TlsCredentials> OfServer(bool asks_clients) {
  return std::make_shared<const SimTlsCredentials>(
      simulation::SimTlsIdentity{.authority = "house", .hosts = {"bookie"}}, "house", asks_clients);
}

std::shared_ptr<const TlsCredentials> OfClient(std::string unit) {
  return std::make_shared<const SimTlsCredentials>(
      simulation::SimTlsIdentity{.authority = "house", .organizational_units = {std::move(unit)}},
      "house", false);
}

BookieOptions With(PeerRequirements peers) {
  BookieOptions options = BookieWorld::DefaultOptions();
  options.peers = std::move(peers);
  return options;
}

// A bookie with these requirements, and a scenario that one peer plays.
using Scenario = Task<void> (*)(BookieWorld* world, ProtocolVersion version);
void Play(PeerRequirements peers, Scenario scenario) {
  for (const ProtocolVersion version : {ProtocolVersion::kV2, ProtocolVersion::kV3}) {
    BookieWorld world(1, With(peers));
    const absl::Status started = world.Start();
    ASSERT_TRUE(started.ok()) << started;
    world.Run(scenario(&world, version));
  }
}

Task<ReplyCode> CodeOfCall(WireClient* client, wire::Request request) {
  const absl::StatusOr<wire::Reply> reply = co_await client->Call(std::move(request));
  EXPECT_TRUE(reply.ok()) << reply.status();
  co_return reply.ok() ? reply->code : ReplyCode::kIoError;
}

wire::Request Auth() {
  return {{.operation = wire::Operation::kAuth},
          wire::AuthRequest{.plugin_name = std::string(wire::kAuthDisabledPlugin)}};
}

wire::Request StartTls() {
  return {{.version = ProtocolVersion::kV3, .operation = wire::Operation::kStartTls},
          wire::StartTlsRequest{}};
}

// ---- TLS that is offered

Task<void> ServeInAndBesideTls(BookieWorld* world, ProtocolVersion version) {
  WireClient clear(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await clear.Connect(world->endpoint()));
  WireClient secure(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await secure.Connect(world->endpoint()));
  STELE_CO_ASSERT_OK(co_await secure.StartTls(OfClient("")));
  EXPECT_EQ(co_await CodeOfCall(&secure, kRequests.Add(0, "zero")), ReplyCode::kOk);
  EXPECT_EQ(co_await CodeOfCall(&clear, kRequests.Read(0)), ReplyCode::kOk);
  EXPECT_EQ(co_await CodeOfCall(&secure, Auth()), ReplyCode::kOk);
}
TEST(BookieTlsTest, PeersInClearAreServedBesideThoseInTls) {
  Play({.tls = OfServer(false)}, ServeInAndBesideTls);
}

Task<void> AskTwice(BookieWorld* world, ProtocolVersion version) {
  WireClient client(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await client.Connect(world->endpoint()));
  STELE_CO_ASSERT_OK(co_await client.StartTls(OfClient("")));
  EXPECT_FALSE((co_await client.StartTls(OfClient(""))).ok());
  co_await client.UntilClosed();
}
TEST(BookieTlsTest, TlsInsideTlsClosesTheConnection) { Play({.tls = OfServer(false)}, AskTwice); }

Task<void> Pipeline(BookieWorld* world, ProtocolVersion version) {
  WireClient client(world->peer_env(), ProtocolVersion::kV3);
  STELE_CO_ASSERT_OK(co_await client.Connect(world->endpoint()));
  client.Send(StartTls());
  client.Send(kRequests.Add(0, "put in by somebody else"));
  co_await client.UntilClosed();
  WireClient other(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await other.Connect(world->endpoint()));
  EXPECT_EQ(co_await CodeOfCall(&other, kRequests.Read(0)), ReplyCode::kNoSuchLedger);
}
TEST(BookieTlsTest, WhatIsPipelinedBehindStartTlsIsNeverServed) {
  Play({.tls = OfServer(false)}, Pipeline);
}

Task<void> Stall(BookieWorld* world, ProtocolVersion) {
  WireClient client(world->peer_env(), ProtocolVersion::kV3);
  STELE_CO_ASSERT_OK(co_await client.Connect(world->endpoint()));
  EXPECT_EQ(co_await CodeOfCall(&client, StartTls()), ReplyCode::kOk);
  const MonotonicTime begun = world->peer_env().clock->Now();
  co_await client.UntilClosed();
  EXPECT_LT(world->peer_env().clock->Now() - begun, absl::Seconds(11));
}
TEST(BookieTlsTest, AHandshakeThatStallsIsEnded) { Play({.tls = OfServer(false)}, Stall); }

Task<void> WaitAcross(BookieWorld* world, ProtocolVersion) {
  WireClient client(world->peer_env(), ProtocolVersion::kV3);
  STELE_CO_ASSERT_OK(co_await client.Connect(world->endpoint()));
  EXPECT_EQ(co_await CodeOfCall(&client, kRequests.Add(0, "zero")), ReplyCode::kOk);
  client.Send(kRequests.LongPoll(0, 60'000));
  STELE_CO_ASSERT_OK(co_await client.StartTls(OfClient("")));
  EXPECT_EQ(co_await CodeOfCall(&client, kRequests.Add(1, "one", 0)), ReplyCode::kOk);
  client.Send(kRequests.Add(2, "two", 1));
  const absl::StatusOr<wire::Reply> first = co_await client.Receive();
  const absl::StatusOr<wire::Reply> second = co_await client.Receive();
  STELE_CO_ASSERT(first.ok() && second.ok());
  EXPECT_NE(first->operation, second->operation) << "the poll of before is answered inside TLS";
}
TEST(BookieTlsTest, RepliesToWhatWasAskedInClearComeInsideTls) {
  Play({.tls = OfServer(false)}, WaitAcross);
}

// ---- No TLS

Task<void> NoTls(BookieWorld* world, ProtocolVersion version) {
  WireClient client(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await client.Connect(world->endpoint()));
  const absl::Status declined = co_await client.StartTls(OfClient(""));
  EXPECT_EQ(CodeOf(declined), ErrorCode::kUnauthorized) << declined;
  EXPECT_FALSE(client.is_closed());
  EXPECT_EQ(co_await CodeOfCall(&client, kRequests.Add(0, "zero")), ReplyCode::kOk);
  const absl::StatusOr<wire::Reply> auth = co_await client.Call(Auth());
  STELE_CO_ASSERT_OK(auth);
  EXPECT_EQ(std::get<wire::AuthReply>(auth->body).plugin_name, wire::kAuthDisabledPlugin);
}
TEST(BookieTlsTest, ABookieWithoutTlsOrAuthenticationSaysSo) { Play({}, NoTls); }

// ---- TLS that is required

Task<void> RefuseInClear(BookieWorld* world, ProtocolVersion version) {
  for (const wire::Request& request : {kRequests.Add(0, "zero"), kRequests.Read(0)}) {
    WireClient client(world->peer_env(), version);
    STELE_CO_ASSERT_OK(co_await client.Connect(world->endpoint()));
    EXPECT_EQ(co_await CodeOfCall(&client, request), ReplyCode::kUnauthorized);
    co_await client.UntilClosed();
  }
  WireClient asking(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await asking.Connect(world->endpoint()));
  asking.Send(Auth());
  co_await asking.UntilClosed();
  WireClient client(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await client.Connect(world->endpoint()));
  STELE_CO_ASSERT_OK(co_await client.StartTls(OfClient("")));
  EXPECT_EQ(co_await CodeOfCall(&client, kRequests.Read(0)), ReplyCode::kNoSuchLedger);
}
TEST(BookieTlsTest, ABookieThatRequiresTlsServesNobodyInClear) {
  Play({.tls = OfServer(false), .tls_is_required = true}, RefuseInClear);
}

// ---- Roles

PeerRequirements Roles() {
  return {.tls = OfServer(true), .authorized_roles = {"writer", "reader"}};
}

Task<void> ServeARole(BookieWorld* world, ProtocolVersion version) {
  WireClient client(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await client.Connect(world->endpoint()));
  STELE_CO_ASSERT_OK(co_await client.StartTls(OfClient("0:writer")));
  EXPECT_EQ(co_await CodeOfCall(&client, kRequests.Add(0, "zero")), ReplyCode::kOk);
  EXPECT_EQ(co_await CodeOfCall(&client, Auth()), ReplyCode::kOk);
}
TEST(BookieTlsTest, WhoHasARoleIsServed) { Play(Roles(), ServeARole); }

Task<void> RefuseWithoutRole(BookieWorld* world, ProtocolVersion version) {
  WireClient stranger(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await stranger.Connect(world->endpoint()));
  STELE_CO_ASSERT_OK(co_await stranger.StartTls(OfClient("0:stranger")));
  WireClient clear(world->peer_env(), version);
  STELE_CO_ASSERT_OK(co_await clear.Connect(world->endpoint()));
  for (WireClient* client : {&stranger, &clear}) {
    // As Apache's: each request is refused, the connection stays.
    EXPECT_EQ(co_await CodeOfCall(client, kRequests.Add(0, "zero")), ReplyCode::kUnauthorized);
    EXPECT_EQ(co_await CodeOfCall(client, kRequests.Read(0)), ReplyCode::kUnauthorized);
  }
  if (version == ProtocolVersion::kV2) {
    clear.Send(kRequests.BatchRead(0, 1, 1'000));
    co_await clear.UntilClosed();
  } else {
    EXPECT_EQ(co_await CodeOfCall(&clear, Auth()), ReplyCode::kUnauthorized);
    // It may still prove who it is.
    STELE_CO_ASSERT_OK(co_await clear.StartTls(OfClient("0:reader")));
    EXPECT_EQ(co_await CodeOfCall(&clear, kRequests.Read(0)), ReplyCode::kNoSuchLedger);
  }
}
TEST(BookieTlsTest, WhoHasNoRoleIsRefused) { Play(Roles(), RefuseWithoutRole); }

}  // namespace
}  // namespace stele::bookie

#include "bookie/server/peer_gate.h"

#include <gtest/gtest.h>

namespace stele::bookie {
namespace {

using wire::Operation;
using Verdict = PeerGate::Verdict;

class SomeCredentials : public TlsCredentials {};

PeerRequirements With(bool tls, bool required, std::vector<std::string> roles) {
  return {.tls = tls ? std::make_shared<SomeCredentials>() : nullptr,
          .tls_is_required = required,
          .authorized_roles = std::move(roles)};
}

TlsPeer PeerWith(std::vector<std::string> units) {
  return {.has_certificate = true, .organizational_units = std::move(units)};
}

TEST(PeerGateTest, WhatIsServedByWhatWasShown) {
  enum State { kClear, kShakingHands, kNobody, kWriter, kStranger };
  struct Case {
    PeerRequirements requirements;
    State state;
    Verdict request;  // an add, and AUTH
    Verdict start_tls;
  };
  const PeerRequirements open = With(false, false, {});
  const PeerRequirements willing = With(true, false, {});
  const PeerRequirements required = With(true, true, {});
  const PeerRequirements roles = With(true, false, {"reader", "writer"});
  const Case cases[] = {
      {open, kClear, Verdict::kServe, Verdict::kNoTls},
      {willing, kClear, Verdict::kServe, Verdict::kStartTls},
      {willing, kNobody, Verdict::kServe, Verdict::kClose},
      {required, kClear, Verdict::kRefuseForGood, Verdict::kStartTls},
      {required, kShakingHands, Verdict::kRefuse, Verdict::kClose},
      {required, kNobody, Verdict::kServe, Verdict::kClose},
      {roles, kClear, Verdict::kRefuse, Verdict::kStartTls},
      {roles, kNobody, Verdict::kRefuse, Verdict::kClose},
      {roles, kStranger, Verdict::kRefuse, Verdict::kClose},
      {roles, kWriter, Verdict::kServe, Verdict::kClose},
  };
  for (const Case& c : cases) {
    PeerGate gate(&c.requirements);
    if (c.state != kClear) gate.OnTlsAsked();
    if (c.state == kNobody) gate.OnTlsStarted({});
    if (c.state == kWriter) gate.OnTlsStarted(PeerWith({"0:writer"}));
    if (c.state == kStranger) gate.OnTlsStarted(PeerWith({"0:stranger"}));
    const auto number = &c - cases;
    EXPECT_EQ(gate.Judge(Operation::kAdd, true), c.request) << number;
    EXPECT_EQ(gate.Judge(Operation::kAuth, true), c.request) << number;
    EXPECT_EQ(gate.Judge(Operation::kStartTls, true), c.start_tls) << number;
  }
}

TEST(PeerGateTest, NothingMayFollowStartTlsInClear) {
  const PeerRequirements willing = With(true, false, {});
  EXPECT_EQ(PeerGate(&willing).Judge(Operation::kStartTls, false), Verdict::kClose);
  const PeerRequirements open = With(false, false, {});
  EXPECT_EQ(PeerGate(&open).Judge(Operation::kStartTls, false), Verdict::kNoTls);
}

TEST(PeerGateTest, TheRoleIsReadAsApacheReadsIt) {
  const struct {
    std::vector<std::string> units;
    std::string role;
  } cases[] = {
      {{}, ""},
      {{"writer"}, ""},
      {{"0:writer"}, "writer"},
      {{"0: writer , reader"}, "writer"},
      {{"1:cluster;0:reader"}, "reader"},
      {{"0:first;0:last"}, "last"},
      {{"00:writer"}, ""},
      {{"people", "0:writer"}, ""},  // the first unit alone counts
      {{"0:"}, ""},
      {{";;0"}, ""},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(RoleIn(PeerWith(c.units)), c.role) << (c.units.empty() ? "" : c.units[0]);
  }
}

}  // namespace
}  // namespace stele::bookie

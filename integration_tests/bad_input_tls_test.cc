// What a bookie makes of peers that have something to prove and do not. The numbers are the rows of
// the list of bad inputs that this project keeps itself to.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/wire_client.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/shard.h"
#include "common/real/test_certificates.h"
#include "common/real/tls_credentials.h"
#include "integration_tests/bad_input_test.h"

namespace stele::integration {
namespace {

using bookie::LedgerRequests;
using bookie::WireClient;
using wire::ProtocolVersion;
using wire::ReplyCode;

const LedgerRequests kRequests{LedgerId(1)};

wire::Request StartTls() {
  return {{.operation = wire::Operation::kStartTls}, wire::StartTlsRequest{}};
}
wire::Request Auth() {
  return {{.operation = wire::Operation::kAuth},
          wire::AuthRequest{.plugin_name = "sasl", .payload = "token"}};
}

// The certificates of this test, and who uses them.
class Certificates {
 public:
  Certificates() : directory_(StrCat(std::getenv("TEST_TMPDIR"), "/certificates")) {
    std::filesystem::create_directories(directory_);
    const real::TestAuthority house("house");
    const real::TestAuthority thieves("thieves");
    house.Issue(directory_, "bookie", {});
    house.Issue(directory_, "writer", {.organizational_unit = "0:writer"});
    house.Issue(directory_, "guest", {.organizational_unit = "0:guest"});
    house.Issue(directory_, "expired", {.organizational_unit = "0:writer", .is_expired = true});
    thieves.Issue(directory_, "thief", {.organizational_unit = "0:writer"});
    house.WriteTo(directory_ + "/house.pem");
  }

  std::vector<std::string> OfBookie(std::vector<std::string> more = {}) const {
    more.insert(
        more.end(),
        {"tlsProviderFactoryClass=org.apache.bookkeeper.tls.TLSContextFactory",
         "tlsKeyStoreType=PEM", StrCat("tlsKeyStore=", directory_, "/bookie-key.pem"),
         StrCat("tlsCertificatePath=", directory_, "/bookie.pem"), "tlsTrustStoreType=PEM",
         StrCat("tlsTrustStore=", directory_, "/house.pem"), "tlsClientAuthentication=true"});
    return more;
  }

  // Of a client; empty: it has no certificate.
  std::shared_ptr<const TlsCredentials> Of(const std::string& name) const {
    TlsFiles files{.trust_path = directory_ + "/house.pem"};
    if (!name.empty()) {
      files.key_path = StrCat(directory_, "/", name, "-key.pem");
      files.certificate_path = StrCat(directory_, "/", name, ".pem");
    }
    auto credentials = real::LoadTlsCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return *std::move(credentials);
  }

 private:
  const std::string directory_;
};

Task<absl::StatusOr<ReplyCode>> CallInTls(Env env, Endpoint to,
                                          std::shared_ptr<const TlsCredentials> credentials,
                                          ProtocolVersion version, wire::Request request) {
  WireClient client(env, version);
  STELE_CO_TRY_OK(co_await client.Connect(std::move(to)));
  STELE_CO_TRY_OK(co_await client.StartTls(std::move(credentials)));
  STELE_CO_TRY(const wire::Reply reply, co_await client.Call(std::move(request)));
  co_return reply.code;
}

// One request inside TLS: the reply's code, or how the connection ended.
absl::StatusOr<ReplyCode> CallSecurely(const LiveBookie& bookie,
                                       std::shared_ptr<const TlsCredentials> credentials,
                                       wire::Request request,
                                       ProtocolVersion version = ProtocolVersion::kV3) {
  real::Shard shard({.name = "peer"});
  return shard.RunUntil(CallInTls(shard.env(), bookie.endpoint(), std::move(credentials), version,
                                  std::move(request)));
}

// ---- TLS is offered, and clients must show a certificate in it

class BadInputTlsTest : public BadInputTest {
 protected:
  static void SetUpTestSuite() {
    certificates_ = std::make_unique<Certificates>();
    StartBookie({.settings = certificates_->OfBookie()});
  }
  static void TearDownTestSuite() {
    BadInputTest::TearDownTestSuite();
    certificates_.reset();
  }
  static std::unique_ptr<Certificates> certificates_;
};
std::unique_ptr<Certificates> BadInputTlsTest::certificates_;

// What somebody else has put behind START_TLS is never served.
TEST_F(BadInputTlsTest, Row29NothingMayFollowStartTlsInClear) {
  ExpectClosed(FrameOf(StartTls()) + FrameOf(kRequests.Add(0, "not the peer's")),
               "start_tls_out_of_place");
  for (const std::string& behind : {FrameOf(kRequests.Add(0, "not the peer's")).substr(0, 3),
                                    std::string("GET / HTTP/1.1"), std::string(100'000, '\x16')}) {
    real::RawPeer peer(bookie_->endpoint());
    peer.Send(FrameOf(StartTls()));
    EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kOk);
    peer.Send(behind);
    peer.Finish();
    EXPECT_LT(peer.ReceiveAll().size(), 100u) << "an alert at most";
  }
  EXPECT_EQ(CallOnce(bookie_->endpoint(), kRequests.Read(0)).code, ReplyCode::kNoSuchLedger);
}

TEST_F(BadInputTlsTest, Row30CertificatesThatProveNothing) {
  for (const std::string name : {"", "thief", "expired"}) {
    const absl::StatusOr<ReplyCode> code =
        CallSecurely(*bookie_, certificates_->Of(name), kRequests.Read(0));
    EXPECT_FALSE(code.ok()) << name;
    Counts("tls_refused");
  }
  for (const ProtocolVersion version : {ProtocolVersion::kV2, ProtocolVersion::kV3}) {
    const absl::StatusOr<ReplyCode> code =
        CallSecurely(*bookie_, certificates_->Of("guest"), kRequests.Read(0), version);
    ASSERT_TRUE(code.ok()) << code.status();
    EXPECT_EQ(*code, ReplyCode::kNoSuchLedger);
  }
}

TEST_F(BadInputTlsTest, Row44HandshakesAreAbandoned) {
  const int64_t before = bookie_->descriptors();
  // The head of a ClientHello of 512 bytes.
  const std::string half("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (int round = 0; round < 3; ++round) {
    std::vector<real::RawPeer> peers;
    for (int i = 0; i < 100; ++i) {
      peers.emplace_back(bookie_->endpoint());
      peers.back().Send(FrameOf(StartTls()));
    }
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(ReceiveReply(peers[i]).code, ReplyCode::kOk);
      if (i % 2 == 0) peers[i].Send(half);
      if (i % 3 == 0) peers[i].Reset();
    }
    EXPECT_TRUE(writer_->AwaitProgress());
  }
  ExpectDescriptorsFall(before);
}

// ---- Roles, and TLS that is required

TEST(BadInputRolesTest, Row27NothingIsServedBeforeThePeerHasProvenItself) {
  const Certificates certificates;
  LiveBookie bookie(
      {.settings = certificates.OfBookie({"bookieAuthProviderFactoryClass="
                                          "org.apache.bookkeeper.tls.BookieAuthZFactory",
                                          "authorizedRoles=writer,reader"})});
  for (const wire::Request& request :
       {kRequests.Add(0, "zero"), kRequests.RecoveryAdd(0, "zero"), kRequests.Read(0),
        kRequests.FencingRead(0), kRequests.WriteLac(0), kRequests.ReadLac(), kRequests.Force(),
        kRequests.ListEntries(), Auth()}) {
    EXPECT_EQ(CallOnce(bookie.endpoint(), request).code, ReplyCode::kUnauthorized);
    const absl::StatusOr<ReplyCode> code = CallSecurely(bookie, certificates.Of("guest"), request);
    ASSERT_TRUE(code.ok()) << code.status();
    EXPECT_EQ(*code, ReplyCode::kUnauthorized);
  }
  for (const wire::Request& request : {kRequests.Add(0, "zero"), kRequests.Read(0)}) {
    EXPECT_EQ(CallOnce(bookie.endpoint(), request, ProtocolVersion::kV2).code,
              ReplyCode::kUnauthorized);
  }
  real::RawPeer peer(bookie.endpoint());
  peer.Send(FrameOf(kRequests.BatchRead(0, 1, 1000), ProtocolVersion::kV2));
  EXPECT_EQ(peer.ReceiveAll(), "");
  // Nothing has come of all that.
  const absl::StatusOr<ReplyCode> code =
      CallSecurely(bookie, certificates.Of("writer"), kRequests.Read(0));
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, ReplyCode::kNoSuchLedger);
  EXPECT_EQ(bookie.Stop(), 0);
  EXPECT_GE(bookie.BadInputs("unauthorized"), 21);
  EXPECT_EQ(bookie.BadInputs("no_authorized_role"), 9);
}

TEST(BadInputRolesTest, Row27TlsThatIsRequired) {
  const Certificates certificates;
  LiveBookie bookie({.settings = certificates.OfBookie({"stele.tlsRequired=true"})});
  for (const ProtocolVersion version : {ProtocolVersion::kV2, ProtocolVersion::kV3}) {
    real::RawPeer peer(bookie.endpoint());
    peer.Send(FrameOf(kRequests.Add(0, "zero"), version));
    EXPECT_EQ(ReceiveReply(peer, version).code, ReplyCode::kUnauthorized);
    EXPECT_EQ(peer.ReceiveAll(), "");
    const absl::StatusOr<ReplyCode> code =
        CallSecurely(bookie, certificates.Of("guest"), kRequests.Read(0), version);
    ASSERT_TRUE(code.ok()) << code.status();
    EXPECT_EQ(*code, ReplyCode::kNoSuchLedger);
  }
}

}  // namespace
}  // namespace stele::integration

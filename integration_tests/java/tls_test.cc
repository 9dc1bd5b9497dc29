// TLS between each client and each kind of bookie, with certificates that the test makes.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/strings.h"
#include "common/real/test_certificates.h"
#include "integration_tests/java/cluster.h"

namespace stele::integration {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

Lines operator+(Lines lines, const Lines& more) {
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

// Who there is: everybody of the house, and one whom it does not know.
class Certificates {
 public:
  Certificates() : directory_(StrCat(std::getenv("TEST_TMPDIR"), "/certificates")) {
    fs::create_directories(directory_);
    const real::TestAuthority house("house");
    const real::TestAuthority thieves("thieves");
    house.Issue(directory_, "bookie", {.organizational_unit = "0:bookie"});
    house.Issue(directory_, "writer", {.organizational_unit = "1:cluster;0:writer"});
    house.Issue(directory_, "guest", {.organizational_unit = "0:guest"});
    thieves.Issue(directory_, "thief", {.organizational_unit = "0:writer"});
    house.WriteTo(Path("house.pem"));
    thieves.WriteTo(Path("thieves.pem"));
    std::ofstream(Path("password")) << real::TestAuthority::kPassword;
    // The authority as Java's own tool stores it.
    const auto keytool = ChildProcess::Start(
        {.argv = {"/usr/bin/keytool", "-importcert", "-noprompt", "-alias", "house", "-file",
                  Path("house.pem"), "-keystore", Path("house.p12"), "-storetype", "PKCS12",
                  "-storepass", real::TestAuthority::kPassword},
         .output_path = Path("keytool.log")});
    EXPECT_EQ(keytool->Wait(), 0);
  }

  // Lines of a bookie's file: as PEM, trusting what keytool has stored.
  Lines OfBookie() const {
    return Common() + Lines{"tlsKeyStoreType=PEM",
                            StrCat("tlsKeyStore=", Path("bookie-key.pem")),
                            StrCat("tlsCertificatePath=", Path("bookie.pem")),
                            "tlsTrustStoreType=PKCS12",
                            StrCat("tlsTrustStore=", Path("house.p12")),
                            StrCat("tlsTrustStorePasswordPath=", Path("password"))};
  }
  // Lines of a client's: nobody, who trusts this authority.
  Lines OfClient(const std::string& trusted = "house") const {
    return Common() + Lines{"tlsTrustStoreType=PEM",
                            StrCat("tlsTrustStore=", Path(trusted + ".pem")),
                            "tlsHostnameVerificationEnabled=true"};
  }
  // With a certificate, as PKCS#12.
  Lines OfClientNamed(const std::string& name) const {
    return OfClient() + Lines{"tlsClientAuthentication=true", "tlsKeyStoreType=PKCS12",
                              StrCat("tlsKeyStore=", Path(name + ".p12")),
                              StrCat("tlsKeyStorePasswordPath=", Path("password"))};
  }

 private:
  static Lines Common() {
    return {"tlsProviderFactoryClass=org.apache.bookkeeper.tls.TLSContextFactory",
            "tlsProvider=JDK"};
  }
  std::string Path(const std::string& file) const { return StrCat(directory_, "/", file); }

  const std::string directory_;
};

class TlsTest : public ::testing::TestWithParam<BookieKind> {
 protected:
  static void SetUpTestSuite() { certificates_ = std::make_unique<Certificates>(); }
  static void TearDownTestSuite() {
    cluster_.reset();
    certificates_.reset();
  }

  void SetUp() override {
    if (cluster_ != nullptr && kind_ == GetParam()) return;
    kind_ = GetParam();
    cluster_.reset();
    cluster_ = std::make_unique<Cluster>(Cluster::Options{.bookies = {kind_}});
  }

  // Apache's client on Apache's bookie is not ours to test. Few are v2, where both speak alike:
  // each is a Java virtual machine to start.
  static std::vector<ClientKind> Clients() {
    if (kind_ == BookieKind::kJava) return {ClientKind::kStele};
    return {ClientKind::kJavaV3, ClientKind::kStele};
  }
  static std::vector<ClientKind> AllClients() {
    std::vector<ClientKind> clients = Clients();
    if (kind_ == BookieKind::kStele) clients.push_back(ClientKind::kJavaV2);
    return clients;
  }

  static void RestartBookieWith(const Lines& lines) {
    cluster_->Stop(0);
    cluster_->Configure(0, lines);
    cluster_->Start(0);
  }

  // Writes a ledger, reads it, and gives its id.
  static std::string ExpectServed(ClientKind kind, const Lines& settings) {
    SCOPED_TRACE(NameOf(kind));
    const auto client = cluster_->Connect(kind, settings);
    const std::string ledger = client->Must("create w e=1 w=1 a=1 password=pw").text;
    EXPECT_EQ(client->Must("append w 1000 200 50").text, "199");
    client->Must("close w");
    EXPECT_EQ(client->Must(StrCat("open r ", ledger, " password=pw recover=1")).text, "199 closed");
    EXPECT_EQ(client->Must("read r 0 199").text, "200 200000");
    return ledger;
  }
  static void ExpectRefused(ClientKind kind, const Lines& settings, const std::string& error) {
    SCOPED_TRACE(NameOf(kind));
    const auto client = cluster_->Connect(kind, settings);
    client->Must("create w e=1 w=1 a=1");
    const Answer answer = client->Do("append w 10 1 1");
    EXPECT_FALSE(answer.ok);
    EXPECT_EQ(answer.error, error) << answer.text;
  }
  // There is no connection that could be used.
  static void ExpectNoConnection(ClientKind kind, const Lines& settings) {
    ExpectRefused(kind, settings, "NotEnoughBookies");
  }

  static BookieKind kind_;
  static std::unique_ptr<Cluster> cluster_;
  static std::unique_ptr<Certificates> certificates_;
};

BookieKind TlsTest::kind_;
std::unique_ptr<Cluster> TlsTest::cluster_;
std::unique_ptr<Certificates> TlsTest::certificates_;

TEST_P(TlsTest, AClientThatWantsTlsNeverSpeaksInClear) {
  RestartBookieWith({});
  for (const ClientKind kind : Clients()) ExpectNoConnection(kind, certificates_->OfClient());
}

TEST_P(TlsTest, TheBookieShowsWhoItIs) {
  RestartBookieWith(certificates_->OfBookie());
  for (const ClientKind kind : AllClients()) ExpectServed(kind, certificates_->OfClient());
  for (const ClientKind kind : Clients()) {
    ExpectNoConnection(kind, certificates_->OfClient("thieves"));
  }
  // TLS is offered, not required.
  const auto in_clear = cluster_->Connect(ClientKind::kJavaV3);
  in_clear->Must("create w e=1 w=1 a=1");
  EXPECT_EQ(in_clear->Must("append w 10 1 1").text, "0");
  // Nor is it a secret.
  const std::string node = absl::HexStringToBytes(
      in_clear->Must("zk-get /ledgers/available/" + cluster_->bookie_id(0)).text);
  EXPECT_TRUE(node.ends_with("bookie-rpc\x32\x03tls")) << absl::CEscape(node);
}

TEST_P(TlsTest, BothShowWhoTheyAre) {
  RestartBookieWith(certificates_->OfBookie() + Lines{"tlsClientAuthentication=true"});
  for (const ClientKind kind : Clients()) {
    ExpectServed(kind, certificates_->OfClientNamed("guest"));
    ExpectNoConnection(kind, certificates_->OfClientNamed("thief"));
    ExpectNoConnection(kind, certificates_->OfClient());
  }
}

TEST_P(TlsTest, OnlyRolesThatTheBookieNamesAreServed) {
  RestartBookieWith(
      certificates_->OfBookie() +
      Lines{"tlsClientAuthentication=true",
            "bookieAuthProviderFactoryClass=org.apache.bookkeeper.tls.BookieAuthZFactory",
            "authorizedRoles=reader,writer"});
  for (const ClientKind kind : Clients())
    ExpectServed(kind, certificates_->OfClientNamed("writer"));
  for (const ClientKind kind : AllClients()) {
    ExpectRefused(kind, certificates_->OfClientNamed("guest"), "Unauthorized");
    ExpectRefused(kind, {}, "Unauthorized");
  }
}

// A bookie that asks for nothing says so, and the client's plug-in is not asked again.
TEST_P(TlsTest, AClientThatWantsToProveItselfIsLetIn) {
  if (GetParam() == BookieKind::kJava) return;  // our client has no plug-ins
  RestartBookieWith({});
  for (const ClientKind kind : {ClientKind::kJavaV3, ClientKind::kJavaV2}) {
    ExpectServed(kind, {"clientAuthProviderFactoryClass=TalkingAuth"});
  }
}

TEST_P(TlsTest, OurToolsTakeTheFileOfAClient) {
  const bool is_ours = GetParam() == BookieKind::kStele;
  // Apache's cannot be told to turn away who comes in clear.
  RestartBookieWith(certificates_->OfBookie() + Lines(is_ours, "stele.tlsRequired=true"));
  const std::string ledger = ExpectServed(ClientKind::kStele, certificates_->OfClient());
  const std::string file = cluster_->directory() + "/client.conf";
  {
    std::ofstream text(file);
    for (const std::string& line : certificates_->OfClient()) text << line << "\n";
  }
  const Lines cluster = {"--metadata", cluster_->metadata_uri()};
  for (const Lines& command : {Lines{"ledger", "read", ledger, "--password", "pw", "--hashes"},
                               Lines{"cluster", "fsck", "--mode", "full", "--ledger", ledger}}) {
    const Cluster::Output secured =
        cluster_->RunStele(command + cluster + Lines{"--client-conf", file});
    EXPECT_EQ(secured.exit_code, 0) << command[0] << ": " << secured.text;
    if (is_ours) EXPECT_NE(cluster_->RunStele(command + cluster).exit_code, 0) << command[0];
  }
  if (is_ours) ExpectRefused(ClientKind::kJavaV3, {}, "Unauthorized");
}

INSTANTIATE_TEST_SUITE_P(Drop, TlsTest, ::testing::Values(BookieKind::kStele, BookieKind::kJava),
                         [](const ::testing::TestParamInfo<BookieKind>& info) {
                           return std::string(info.param == BookieKind::kStele ? "Stele" : "Java");
                         });

}  // namespace
}  // namespace stele::integration

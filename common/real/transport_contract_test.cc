#include "common/seams/contract/transport_contract.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/real/blocking_pool.h"
#include "common/real/raw_peer.h"
#include "common/real/real_seam_world.h"
#include "common/real/test_certificates.h"
#include "common/real/tls_credentials.h"

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
  std::shared_ptr<const TlsCredentials> MakeTls(const TlsTestParty& party) override {
    TlsFiles files{.requires_client_certificate = party.requires_client_certificate};
    if (!party.authority.empty()) {
      const std::string name = StrCat("party", ++parties_);
      AuthorityOf(party.authority)
          .Issue(
              scratch_directory(), name,
              {.organizational_unit = party.organizational_unit, .is_expired = party.is_expired});
      files.certificate_path = StrCat(scratch_directory(), "/", name, ".pem");
      files.key_path = StrCat(scratch_directory(), "/", name, "-key.pem");
    }
    if (!party.trusted_authority.empty()) {
      files.trust_path = StrCat(scratch_directory(), "/", party.trusted_authority, ".pem");
      AuthorityOf(party.trusted_authority).WriteTo(files.trust_path);
    }
    auto credentials = LoadTlsCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return *std::move(credentials);
  }

 private:
  const TestAuthority& AuthorityOf(const std::string& name) {
    std::unique_ptr<TestAuthority>& authority = authorities_[name];
    if (authority == nullptr) authority = std::make_unique<TestAuthority>(name);
    return *authority;
  }

  std::map<std::string, std::unique_ptr<TestAuthority>> authorities_;
  int parties_ = 0;
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

#include "tools/shell/bookie_admin.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/test_certificates.h"
#include "metadata/bookie_service_info.h"
#include "metadata/cluster_paths.h"

namespace stele::shell {
namespace {

void WriteFile(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(BookieAdminTest, WhereTlsIsRequiredATokenStaysOnItsMachine) {
  EXPECT_TRUE(CheckTokenStaysHere({"127.0.0.1", 8080}, true).ok());
  EXPECT_TRUE(CheckTokenStaysHere({"bookie-3", 8080}, false).ok());
  EXPECT_EQ(CheckTokenStaysHere({"bookie-3", 8080}, true).message(),
            "--token-file: there is no TLS on the bookie's admin port (bookie-3:8080), and "
            "stele.tlsRequired is on: on the bookie's own machine, PUT "
            "/api/v1/bookie/state/readonly at 127.0.0.1 (docs/HTTP.md)");
}

// With a store, a registration and a client's configuration.
TEST(BookieAdminTest, WhatTheClientsConfigurationRequiresIsKeptBeforeAnythingIsSent) {
  const std::string directory = testing::TempDir();
  WriteFile(StrCat(directory, "/token"), "0123456789abcdef");
  ASSERT_EQ(chmod(StrCat(directory, "/token").c_str(), 0600), 0);
  real::TestAuthority("stele").WriteTo(StrCat(directory, "/ca.pem"));
  const std::string tls =
      StrCat("tlsProviderFactoryClass=org.apache.bookkeeper.tls.TLSContextFactory\n",
             "tlsTrustStoreType=PEM\ntlsTrustStore=", directory, "/ca.pem\n");
  WriteFile(StrCat(directory, "/asked.conf"), tls);
  WriteFile(StrCat(directory, "/required.conf"), StrCat(tls, "stele.tlsRequired=true\n"));
  const BookieId bookie("bookie-3");
  metadata::BookieServiceInfo info;
  info.endpoints.push_back({.id = "bookie",
                            .port = 3181,
                            .host = "bookie-3.example",
                            .protocol = std::string(metadata::kBookieProtocol)});
  info.endpoints.push_back({.id = "httpserver",
                            .port = 8080,
                            .host = "0.0.0.0",
                            .protocol = std::string(metadata::kAdminProtocol)});
  for (const bool is_required : {false, true}) {
    const auto session = Session::Open(
        {.metadata_uri = StrCat("sqlite://", directory, "/meta.db"),
         .client_config_path = StrCat(directory, is_required ? "/required.conf" : "/asked.conf")},
        true);
    ASSERT_TRUE(session.ok()) << session.status();
    const metadata::ClusterPaths paths((*session)->uri().root);
    (*session)
        ->shard()
        .RunUntil((*session)->store()->Create(paths.Writable(bookie),
                                              metadata::SerializeBookieServiceInfo(info),
                                              metadata::NodeKind::kPersistent))
        .IgnoreError();  // the second time it is there
    const auto admin = BookieAdmin::Open(**session, bookie, StrCat(directory, "/token"));
    EXPECT_EQ(CodeOf(admin.status()), is_required ? ErrorCode::kConfig : ErrorCode::kOk)
        << admin.status();
  }
}

}  // namespace
}  // namespace stele::shell

#include "bookie/config/bookie_config.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "bookie/config/properties.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

std::string ErrorOf(std::string_view text, UnknownKeys unknown = UnknownKeys::kRefuse) {
  auto config = ParseBookieConfig(text, unknown);
  const absl::Status status = config.ok() ? CheckBookieConfig(*config) : config.status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kConfig) << text;
  return std::string(status.message());
}

TEST(PropertiesTest, ReadsJavasSyntax) {
  const auto properties = ParseProperties(
      "# comment\n! another\n\n a = 1 \nb:two words\nc = x,\\\n    y\npath=C\\:\\\\x\r\nempty=\n");
  ASSERT_TRUE(properties.ok()) << properties.status();
  ASSERT_EQ(properties->size(), 5u);
  EXPECT_EQ((*properties)[0].value, "1");
  EXPECT_EQ((*properties)[0].line, 4);
  EXPECT_EQ((*properties)[1].value, "two words");
  EXPECT_EQ((*properties)[2].value, "x,y");
  EXPECT_EQ((*properties)[3].value, "C:\\x");
  EXPECT_EQ((*properties)[3].line, 8);
  EXPECT_EQ((*properties)[4].value, "");
}

TEST(PropertiesTest, BadFilesNameTheLine) {
  EXPECT_EQ(ErrorOf("bookiePort=1\nbookiePort=2\n"),
            "line 2: 'bookiePort' was set in line 1 already");
  EXPECT_EQ(ErrorOf("bookiePort\n"), "line 1: expected key=value, found 'bookiePort'");
  EXPECT_EQ(ErrorOf("\n=3\n"), "line 2: the key is empty");
  EXPECT_EQ(ErrorOf("# \xff\n"), "line 1: not UTF-8");
  EXPECT_EQ(ErrorOf("bookieId=\xc3(\n"), "line 1: not UTF-8");
  EXPECT_NE(ErrorOf(std::string(kPropertiesSizeMaxBytes + 1, '#')).find("at most 1048576"),
            std::string::npos);
}

TEST(BookieConfigTest, UsesTheKeys) {
  const auto config = ParseBookieConfig(
      "bookiePort=3182\nadvertisedAddress=b1.example\njournalDirectories=/j1, /j2\n"
      "ledgerDirectories=/l1\njournalMaxSizeMB=64\ndiskUsageThreshold=0.9\n"
      "diskUsageLwmThreshold=0.85\nmetadataServiceUri=zk+hierarchical://z:2181/ledgers\n",
      UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->options.listen.port, 3182);
  EXPECT_EQ(config->options.advertised.host, "b1.example");
  EXPECT_EQ(config->options.journal_directories, (std::vector<std::string>{"/j1", "/j2"}));
  EXPECT_EQ(config->options.journal_size_max_bytes, 64u << 20);
  EXPECT_EQ(config->options.disk_rules.full_above_ppm, 900'000);
  EXPECT_EQ(config->options.disk_rules.recovered_below_ppm, 850'000);
  EXPECT_EQ(config->metadata_service_uri, "zk+hierarchical://z:2181/ledgers");
  EXPECT_TRUE(config->warnings.empty());
}

TEST(BookieConfigTest, UnknownKeyNamesTheNearest) {
  EXPECT_EQ(ErrorOf("bookiePort=1\nledgerDirectoris=/x\n"),
            "line 2: unknown key 'ledgerDirectoris'; did you mean 'ledgerDirectories'? "
            "(--allow-unknown-keys passes over it)");
  const auto config = ParseBookieConfig("ledgerDirectoris=/x\n", UnknownKeys::kWarn);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->warnings, std::vector<std::string>{"line 1: unknown key 'ledgerDirectoris'"});
}

TEST(BookieConfigTest, BadValuesNameTheKey) {
  EXPECT_EQ(ErrorOf("bookiePort=x\n"),
            "line 1: bookiePort: expected a whole number from 0 to 65535, found 'x'");
  EXPECT_EQ(ErrorOf("bookiePort=65536\n"),
            "line 1: bookiePort: expected a whole number from 0 to 65535, found '65536'");
  EXPECT_EQ(ErrorOf("journalMaxSizeMB=-1\n"),
            "line 1: journalMaxSizeMB: expected a whole number from 1 to 1048576, found '-1'");
  EXPECT_EQ(ErrorOf("allowStorageExpansion=yes\n"),
            "line 1: allowStorageExpansion: expected true or false, found 'yes'");
  EXPECT_EQ(ErrorOf("diskUsageThreshold=1.5\n"),
            "line 1: diskUsageThreshold: expected a fraction above 0 and at most 1, found '1.5'");
  EXPECT_EQ(ErrorOf("diskUsageThreshold=0.x\n"),
            "line 1: diskUsageThreshold: expected a fraction such as 0.95, found '0.x'");
  EXPECT_EQ(ErrorOf("ledgerDirectories=/a,,/b\n"),
            "line 1: ledgerDirectories: expected directories separated by commas, found ',/b'");
  EXPECT_EQ(ErrorOf("diskUsageThreshold=0.8\ndiskUsageLwmThreshold=0.9\n"),
            "diskUsageLwmThreshold must not be above diskUsageThreshold");
}

TEST(BookieConfigTest, TheAdminPortIsOffAndLocalUnlessItIsAskedFor) {
  const auto none = ParseBookieConfig("", UnknownKeys::kRefuse);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->http_is_on);
  EXPECT_EQ(none->http_at, (Endpoint{"127.0.0.1", 8080}));
  const auto config = ParseBookieConfig(
      "httpServerEnabled=true\nhttpServerHost=0.0.0.0\nhttpServerPort=8000\n"
      "httpServerTlsEnable=false\nstele.httpTokenFile=/t\n",
      UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->http_is_on);
  EXPECT_EQ(config->http_at, (Endpoint{"0.0.0.0", 8000}));
  EXPECT_EQ(config->http_token_path, "/t");
  EXPECT_EQ(config->settings.at("httpServerPort"), "8000");
  // Whoever asks for TLS must not get a port in clear.
  EXPECT_NE(ErrorOf("httpServerTlsEnable=true\n"), "");
}

TEST(BookieConfigTest, GrpcIsOffAndLocalUnlessItIsAskedFor) {
  const auto none = ParseBookieConfig("", UnknownKeys::kRefuse);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->grpc_is_on);
  EXPECT_EQ(none->grpc_at, (Endpoint{"127.0.0.1", 8081}));
  EXPECT_EQ(none->grpc_token_path, "");
  const auto config = ParseBookieConfig(
      "stele.grpcEnabled=true\nstele.grpcHost=::1\nstele.grpcPort=0\nstele.grpcTokenFile=/t\n",
      UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->grpc_is_on);
  EXPECT_EQ(config->grpc_at, (Endpoint{"::1", 0}));
  EXPECT_EQ(config->grpc_token_path, "/t");
  EXPECT_NE(ErrorOf("stele.grpcPort=65536\n"), "");
  EXPECT_NE(ErrorOf("stele.grpcEnable=true\n").find("stele.grpcEnabled"), std::string::npos);
}

TEST(BookieConfigTest, WeakerDurabilityIsRefused) {
  EXPECT_EQ(ErrorOf("journalSyncData=false\n"),
            "line 1: journalSyncData: only 'true' is supported: an acknowledged entry is on disk");
  EXPECT_NE(ErrorOf("ledgerStorageClass=org.apache.bookkeeper.bookie.storage.ldb.DbLedgerStorage\n")
                .find("DbLedgerStorage is not supported"),
            std::string::npos);
}

constexpr char kTls[] =
    "tlsProviderFactoryClass=org.apache.bookkeeper.tls.TLSContextFactory\n"
    "tlsKeyStoreType=PEM\ntlsKeyStore=/k\ntlsCertificatePath=/c\n";

TEST(BookieConfigTest, TheFormOfTheIndexIsKeptUnlessItIsNamed) {
  const auto format_of = [](std::string_view text) {
    const auto config = ParseBookieConfig(text, UnknownKeys::kRefuse);
    EXPECT_TRUE(config.ok()) << config.status();
    return config->options.index_format;
  };
  EXPECT_EQ(format_of(""), std::nullopt);
  EXPECT_EQ(format_of("stele.indexFormat=files\n"), IndexFormat::kFiles);
  EXPECT_EQ(format_of("stele.indexFormat=extents\n"), IndexFormat::kExtents);
  EXPECT_NE(ErrorOf("stele.indexFormat=rocksdb\n").find("'files', as Java has them"),
            std::string::npos);
}

TEST(BookieConfigTest, TlsHasApachesKeys) {
  const std::string text =
      StrCat(kTls, "tlsTrustStore=/t\ntlsTrustStoreType=PKCS12\ntlsTrustStorePasswordPath=/p\n",
             "tlsClientAuthentication=true\ntlsEnabledProtocols=TLSv1.2, TLSv1.3\n",
             "tlsEnabledCipherSuites=TLS_AES_128_GCM_SHA256\n",
             "bookieAuthProviderFactoryClass=org.apache.bookkeeper.tls.BookieAuthZFactory\n",
             "authorizedRoles=writer,reader\nstele.tlsRequired=true\n");
  auto config = ParseBookieConfig(text, UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(CheckBookieConfig(*config).ok()) << CheckBookieConfig(*config);
  EXPECT_TRUE(config->warnings.empty());
  EXPECT_TRUE(config->tls.is_on);
  const TlsFiles& files = config->tls.files;
  EXPECT_EQ(files.key_format, TlsFiles::Format::kPem);
  EXPECT_EQ(files.key_path, "/k");
  EXPECT_EQ(files.certificate_path, "/c");
  EXPECT_EQ(files.trust_format, TlsFiles::Format::kPkcs12);
  EXPECT_EQ(files.trust_path, "/t");
  EXPECT_EQ(files.trust_password_path, "/p");
  EXPECT_TRUE(files.requires_client_certificate);
  EXPECT_EQ(files.protocols, (std::vector<std::string>{"TLSv1.2", "TLSv1.3"}));
  EXPECT_EQ(files.cipher_suites, std::vector<std::string>{"TLS_AES_128_GCM_SHA256"});
  EXPECT_TRUE(config->options.peers.tls_is_required);
  EXPECT_EQ(config->options.peers.authorized_roles, (std::vector<std::string>{"writer", "reader"}));
}

TEST(BookieConfigTest, WhatWouldServeThoseWhomItShouldNotIsRefused) {
  constexpr char kAsk[] =
      "bookieAuthProviderFactoryClass=org.apache.bookkeeper.tls.BookieAuthZFactory\n";
  EXPECT_NE(ErrorOf("bookieAuthProviderFactoryClass=org.apache.bookkeeper.sasl."
                    "SASLBookieAuthProviderFactory\n")
                .find("SASL and other plug-ins are not"),
            std::string::npos);
  EXPECT_EQ(ErrorOf("stele.tlsRequired=true\n"), "stele.tlsRequired needs tlsProviderFactoryClass");
  EXPECT_EQ(ErrorOf(kAsk), "bookieAuthProviderFactoryClass and authorizedRoles need each other");
  EXPECT_EQ(ErrorOf("authorizedRoles=a\n"),
            "bookieAuthProviderFactoryClass and authorizedRoles need each other");
  EXPECT_EQ(ErrorOf(StrCat(kTls, kAsk, "authorizedRoles=a\n")),
            "roles are read in certificates: authorizedRoles needs TLS and "
            "tlsClientAuthentication=true");
  EXPECT_EQ(ErrorOf(StrCat(kTls, "tlsClientAuthentication=true\n")),
            "tlsClientAuthentication needs tlsTrustStore");
  EXPECT_EQ(ErrorOf("tlsProviderFactoryClass=org.apache.bookkeeper.tls.TLSContextFactory\n"),
            "TLS needs tlsKeyStore");
  EXPECT_EQ(ErrorOf("tlsProviderFactoryClass=Mine\n"),
            "line 1: tlsProviderFactoryClass: only 'org.apache.bookkeeper.tls.TLSContextFactory' "
            "is known, found 'Mine'");
  EXPECT_EQ(ErrorOf("tlsEnabledProtocols=TLSv1\n"),
            "line 1: tlsEnabledProtocols: expected TLSv1.2 or TLSv1.3, found 'TLSv1'");
  EXPECT_NE(ErrorOf("tlsClientAuthentication=true\n").find("needs tlsProviderFactoryClass"),
            std::string::npos);
  EXPECT_NE(ErrorOf("zkEnableSecurity=true\n").find("ZooKeeper"), std::string::npos);
  EXPECT_NE(ErrorOf("disableServerSocketBind=true\n").find("only 'false'"), std::string::npos);
  for (const std::string_view line :
       {"bookieAuthProviderFactoryClass=null", "tlsClientAuthentication=false",
        "zkEnableSecurity=false", "authorizedRoles=", "permittedStartupUsers="}) {
    auto config = ParseBookieConfig(line, UnknownKeys::kRefuse);
    EXPECT_TRUE(config.ok() && CheckBookieConfig(*config).ok()) << line;
  }
}

TEST(BookieConfigTest, WhereTlsIsRequiredNoTokenIsSentInClear) {
  const auto error_of = [](std::string_view keys) {
    auto config =
        ParseBookieConfig(StrCat(kTls, "stele.tlsRequired=true\n", keys), UnknownKeys::kRefuse);
    EXPECT_TRUE(config.ok()) << config.status();
    return std::string(CheckBookieConfig(*config).message());
  };
  constexpr std::string_view kGrpc = "stele.grpcEnabled=true\nstele.grpcTokenFile=/t\n";
  constexpr std::string_view kHttp = "httpServerEnabled=true\nstele.httpTokenFile=/t\n";
  EXPECT_EQ(error_of(kGrpc), "");
  EXPECT_EQ(error_of(kHttp), "");
  EXPECT_EQ(error_of(StrCat(kGrpc, "stele.grpcHost=0.0.0.0\n")),
            "stele.grpcTokenFile: there is no TLS on this port, and stele.tlsRequired is on: "
            "listen at 127.0.0.1, with a proxy in front, or leave it out");
  EXPECT_NE(error_of(StrCat(kHttp, "httpServerHost=10.0.0.7\n")).find("stele.httpTokenFile"),
            std::string::npos);
  EXPECT_NE(error_of(StrCat(kHttp, "httpServerHost=127.example.org\n")), "");
  // Without a token there is nothing to steal, and a port that is off listens nowhere.
  EXPECT_EQ(error_of("stele.grpcEnabled=true\nstele.grpcHost=0.0.0.0\n"), "");
  EXPECT_EQ(error_of("stele.grpcHost=0.0.0.0\nstele.grpcTokenFile=/t\n"), "");
  for (const char* host : {"localhost", "::1", "127.0.0.2"}) {
    EXPECT_EQ(error_of(StrCat(kGrpc, "stele.grpcHost=", host, "\n")), "") << host;
  }
}

TEST(BookieConfigTest, KeysOfTlsThatIsOffAreNotPassedOverInSilence) {
  auto config = ParseBookieConfig("tlsKeyStore=/k\n", UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(CheckBookieConfig(*config).ok());
  EXPECT_EQ(config->warnings,
            std::vector<std::string>{"tlsKeyStore: no effect: TLS needs tlsProviderFactoryClass"});
}

TEST(ClientTlsTest, BothSpellingsOfTheStoresAreTaken) {
  const auto tls = ParseClientTls(
      "tlsProviderFactoryClass=org.apache.bookkeeper.tls.TLSContextFactory\n"
      "clientTrustStore=/t\nclientTrustStoreType=PEM\nclientKeyStore=/k\nreadTimeout=3\n"
      "tlsHostnameVerificationEnabled=false\n");
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_TRUE(tls->is_on);
  EXPECT_EQ(tls->files.trust_path, "/t");
  EXPECT_EQ(tls->files.trust_format, TlsFiles::Format::kPem);
  EXPECT_EQ(tls->files.key_path, "/k");
  EXPECT_EQ(tls->files.key_format, TlsFiles::Format::kPkcs12);
  EXPECT_FALSE(tls->verifies_server_name);
  EXPECT_EQ(CodeOf(ParseClientTls("tlsProviderFactoryClass="
                                  "org.apache.bookkeeper.tls.TLSContextFactory\n")
                       .status()),
            ErrorCode::kConfig);
  EXPECT_EQ(CodeOf(ParseClientTls("clientAuthProviderFactoryClass=org.example.Sasl\n").status()),
            ErrorCode::kConfig);
}

TEST(ClientTlsTest, WhoRequiresTlsHasIt) {
  const auto tls = ParseClientTls(StrCat(kTls, "tlsTrustStore=/t\nstele.tlsRequired=true\n"));
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_TRUE(tls->is_required);
  EXPECT_FALSE(ParseClientTls(StrCat(kTls, "tlsTrustStore=/t\n"))->is_required);
  EXPECT_EQ(ParseClientTls("stele.tlsRequired=true\n").status().message(),
            "stele.tlsRequired needs tlsProviderFactoryClass");
  EXPECT_EQ(CodeOf(ParseClientTls("stele.tlsRequired=perhaps\n").status()), ErrorCode::kConfig);
}

TEST(BookieConfigTest, KeysWithoutEffectAreAcceptedWithANote) {
  const auto config =
      ParseBookieConfig("numAddWorkerThreads=4\nindexDirectories=\n", UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->warnings,
            std::vector<std::string>{
                "numAddWorkerThreads: no effect: one thread per shard does all the work"});
}

TEST(BookieConfigTest, OldZooKeeperKeysMakeTheUri) {
  const auto config =
      ParseBookieConfig("zkServers=a:1,b:2\nzkLedgersRootPath=/bk\n", UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->metadata_service_uri, "zk+null://a:1;b:2/bk");
}

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(BookieConfigTest, TheFileThatApacheShipsIsAccepted) {
  const std::string text = ReadAll("bookie/config/testdata/apache_4.17.3.conf");
  const auto config = ParseBookieConfig(text, UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->options.listen.port, 3181);
  EXPECT_EQ(config->options.journal_directories, std::vector<std::string>{"/tmp/bk-txn"});
  EXPECT_EQ(config->options.ledger_directories, std::vector<std::string>{"/tmp/bk-data"});
  EXPECT_EQ(config->metadata_service_uri, "zk+hierarchical://localhost:2181/ledgers");
  EXPECT_FALSE(config->allow_loopback);
}

// An operator who takes the comment sign away before a line gets what Apache's default is.
TEST(BookieConfigTest, EachDefaultInTheFileThatApacheShipsIsAccepted) {
  std::istringstream lines(ReadAll("bookie/config/testdata/apache_4.17.3.conf"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    if (line.starts_with("#")) line.erase(0, 1);
    const auto config = ParseBookieConfig(line, UnknownKeys::kRefuse);
    EXPECT_TRUE(config.ok()) << line << ": " << config.status();
  }
  EXPECT_EQ(count, 215);
}

TEST(KnownBookieKeysTest, ThePageSaysWhatBecomesOfEach) {
  const std::string page = ReadAll("docs/CONFIGURATION.md");
  for (const KnownKey& key : KnownBookieKeys()) {
    const std::string row =
        StrCat("| `", key.key, "` | ", key.note.empty() ? "used" : key.note, " |\n");
    EXPECT_NE(page.find(row), std::string::npos) << row;
  }
}

TEST(KnownBookieKeysTest, SortedAndUnique) {
  const auto& keys = KnownBookieKeys();
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end(),
                             [](const KnownKey& a, const KnownKey& b) { return a.key < b.key; }));
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end(),
                               [](const KnownKey& a, const KnownKey& b) { return a.key == b.key; }),
            keys.end());
}

}  // namespace
}  // namespace stele::bookie

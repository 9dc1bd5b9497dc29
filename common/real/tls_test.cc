// TLS against peers that do what a Connection never would, and the files it is made of.
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/blocking_pool.h"
#include "common/real/raw_peer.h"
#include "common/real/real_seam_world.h"
#include "common/real/test_certificates.h"
#include "common/real/tls_credentials.h"
#include "common/real/tls_session.h"
#include "common/seams/contract/co_assert.h"

namespace stele::real {
namespace {

// ---- Connections

// Accepts one connection, which starts TLS, as server, with the frame "start".
class TlsServer : public AcceptHandler, public ConnectionHandler {
 public:
  TlsServer(Env env, std::shared_ptr<const TlsCredentials> credentials, absl::Duration deadline)
      : closed_(env.executor), credentials_(std::move(credentials)), deadline_(deadline) {
    auto listener = env.transport->Listen({"127.0.0.1", 0}, {}, this);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }
  Endpoint endpoint() const { return listener_->endpoint(); }
  Completion<absl::Status>& closed() { return closed_; }
  const std::vector<std::string>& frames() const { return frames_; }

  void OnAccept(std::unique_ptr<Connection> connection) override {
    connection_ = std::move(connection);
    connection_->Start(this);
  }
  void OnFrames(std::span<Buffer> frames) override {
    for (const Buffer& frame : frames) frames_.push_back(frame.ToString());
    if (frames_.back() != "start") return;
    connection_->Send("go", Buffer());
    connection_->StartTls({.credentials = credentials_, .deadline = deadline_});
  }
  void OnPeerFinished() override { connection_->CloseAfterSending(); }
  void OnClosed(absl::Status why) override { closed_.GetCompleter().Set(std::move(why)); }

 private:
  Completion<absl::Status> closed_;
  const std::shared_ptr<const TlsCredentials> credentials_;
  const absl::Duration deadline_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Connection> connection_;
  std::vector<std::string> frames_;
};

class TlsTest : public testing::Test {
 protected:
  TlsTest() : world_(FileBackend::kProbe, testing::TempDir()), authority_("house") {
    authority_.Issue(directory(), "node", {.organizational_unit = "0:bookie"});
    authority_.WriteTo(directory() + "/ca.pem");
  }
  std::string directory() { return world_.scratch_directory(); }
  TlsFiles Files() {
    return {.key_path = directory() + "/node-key.pem",
            .certificate_path = directory() + "/node.pem",
            .trust_path = directory() + "/ca.pem"};
  }
  std::shared_ptr<const TlsCredentials> Load(const TlsFiles& files) {
    auto credentials = LoadTlsCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return *std::move(credentials);
  }
  void ExpectConfigError(const TlsFiles& files, const std::string& text) {
    const auto credentials = LoadTlsCredentials(files);
    EXPECT_EQ(CodeOf(credentials.status()), ErrorCode::kConfig);
    EXPECT_TRUE(std::string(credentials.status().message()).find(text) != std::string::npos)
        << credentials.status() << " does not say: " << text;
  }

  // What the server says when a peer behaves like that; the peer's last words are what it got.
  struct Outcome {
    absl::Status closed;
    std::vector<std::string> frames;
    std::string received;
  };
  Outcome Meet(std::vector<std::string> words, absl::Duration deadline = absl::Seconds(20)) {
    Outcome outcome;
    world_.RunToEnd(MeetInside(this, std::move(words), deadline, &outcome));
    return outcome;
  }

  RealSeamWorld world_;
  TestAuthority authority_;
  BlockingPool peers_{1};

 private:
  // The peer says the first words, hears "go" if the first end with "start", says the others, and
  // reads until the end.
  static Task<void> MeetInside(TlsTest* test, std::vector<std::string> words,
                               absl::Duration deadline, Outcome* outcome) {
    const Env env = test->world_.env();
    TlsServer server(env, test->Load(test->Files()), deadline);
    outcome->received =
        co_await test->peers_.Run(env.executor, [to = server.endpoint(), words = std::move(words)] {
          RawPeer peer(to);
          peer.Send(words[0]);
          if (words[0] == Framed("start")) {
            EXPECT_EQ(peer.Receive(6), Framed("go"));
          }
          for (size_t i = 1; i < words.size(); ++i) peer.Send(words[i]);
          return peer.ReceiveAll();
        });
    outcome->closed = co_await server.closed();
    outcome->frames = server.frames();
  }
};

TEST_F(TlsTest, GarbageInsteadOfAClientHelloIsRefused) {
  for (const std::string& garbage :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(1'000'000, 'x'), std::string(64, '\0'),
        Framed("another frame in clear"),
        std::string("\x16\x03\x01\x02\x00garbage", 12) + std::string(600, 'x')}) {
    const Outcome outcome = Meet({Framed("start"), garbage});
    EXPECT_EQ(CodeOf(outcome.closed), ErrorCode::kUnauthorized) << outcome.closed;
    EXPECT_EQ(outcome.frames, std::vector<std::string>{"start"});
    EXPECT_LT(outcome.received.size(), 100u) << "an alert at most";
  }
}

TEST_F(TlsTest, HalfAFrameBehindTheLastOneInClearIsRefused) {
  const Outcome outcome = Meet({Framed("start") + std::string("\0\0\0\1", 4)});
  EXPECT_EQ(CodeOf(outcome.closed), ErrorCode::kUnauthorized) << outcome.closed;
}

TEST_F(TlsTest, AHandshakeThatStallsHalfWayHasADeadline) {
  // The head of a ClientHello of 512 bytes.
  const Outcome outcome =
      Meet({Framed("start"), std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)},
           absl::Milliseconds(50));
  EXPECT_EQ(CodeOf(outcome.closed), ErrorCode::kDeadline) << outcome.closed;
  EXPECT_EQ(outcome.received, "");
}

TEST_F(TlsTest, AHandshakeMessageWithoutEndIsRefused) {
  // Records of 16 KiB that claim to be parts of one message of 16 MiB.
  std::string record("\x16\x03\x01\x40\x00", 5);
  record += std::string("\x01\xff\xff\xff", 4) + std::string(16'380, 'x');
  std::string next("\x16\x03\x03\x40\x00", 5);
  next += std::string(16'384, 'x');
  std::string all = record;
  for (int i = 0; i < 40; ++i) all += next;
  const Outcome outcome = Meet({Framed("start"), all});
  EXPECT_EQ(CodeOf(outcome.closed), ErrorCode::kUnauthorized) << outcome.closed;
}

// ---- Sessions without sockets

struct Ends {
  std::unique_ptr<TlsSession> client;
  std::unique_ptr<TlsSession> server;

  // Carries what they say until both are silent.
  absl::Status Talk() {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto [from, to] :
           {std::pair(client.get(), server.get()), std::pair(server.get(), client.get())}) {
        if (!from->is_established()) {
          const absl::StatusOr<bool> done = from->Handshake();
          if (!done.ok()) return done.status();
        }
        const std::string said(from->outgoing());
        from->PopOutgoing(said.size());
        if (said.empty()) continue;
        moved = true;
        to->Feed(said);
        if (!to->is_established()) {
          const absl::StatusOr<bool> done = to->Handshake();
          if (!done.ok()) return done.status();
        }
      }
    }
    return absl::OkStatus();
  }
};

Ends MakeEnds(std::shared_ptr<const TlsCredentials> client,
              std::shared_ptr<const TlsCredentials> server) {
  return {.client = *TlsSession::Create(
              {.side = TlsUpgrade::Side::kClient, .credentials = std::move(client)}),
          .server = *TlsSession::Create({.credentials = std::move(server)})};
}

TEST_F(TlsTest, EachFormOfKeyAndTrustWorks) {
  const std::string password = directory() + "/password";
  std::ofstream(password) << TestAuthority::kPassword << "\n";
  const TlsFiles pem = Files();
  const TlsFiles pkcs12{.key_format = TlsFiles::Format::kPkcs12,
                        .key_path = directory() + "/node.p12",
                        .key_password_path = password,
                        .trust_path = directory() + "/ca.pem"};
  for (const TlsFiles& files : {pem, pkcs12}) {
    Ends ends = MakeEnds(Load(files), Load(files));
    EXPECT_TRUE(ends.Talk().ok()) << ends.Talk();
    EXPECT_TRUE(ends.client->is_established() && ends.server->is_established());
    EXPECT_EQ(ends.client->peer().organizational_units, std::vector<std::string>{"0:bookie"});
  }
}

TEST_F(TlsTest, ATrustedCertificateNeedsNoAuthorityBehindIt) {
  TlsFiles files = Files();
  files.trust_path = files.certificate_path;
  Ends ends = MakeEnds(Load(files), Load(Files()));
  EXPECT_TRUE(ends.Talk().ok()) << ends.Talk();
  EXPECT_TRUE(ends.client->is_established());
}

TEST_F(TlsTest, EndsWithoutACommonProtocolRefuse) {
  TlsFiles old = Files();
  old.protocols = {"TLSv1.2"};
  TlsFiles fresh = Files();
  fresh.protocols = {"TLSv1.3"};
  Ends same = MakeEnds(Load(old), Load(old));
  EXPECT_TRUE(same.Talk().ok());
  Ends different = MakeEnds(Load(old), Load(fresh));
  EXPECT_EQ(CodeOf(different.Talk()), ErrorCode::kUnauthorized);
}

TEST_F(TlsTest, CipherSuitesNarrowWhatIsSpoken) {
  const auto with = [&](std::vector<std::string> suites) {
    TlsFiles files = Files();
    files.cipher_suites = std::move(suites);
    return files;
  };
  const TlsFiles small = with({"TLS_AES_128_GCM_SHA256"});
  const TlsFiles large = with({"TLS_AES_256_GCM_SHA384"});
  const TlsFiles old =
      with({"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"});
  for (const TlsFiles& files : {small, old, with({})}) {
    Ends same = MakeEnds(Load(files), Load(files));
    EXPECT_TRUE(same.Talk().ok());
    EXPECT_TRUE(same.client->is_established() && same.server->is_established());
  }
  for (const TlsFiles& files : {large, old}) {
    EXPECT_EQ(CodeOf(MakeEnds(Load(files), Load(small)).Talk()), ErrorCode::kUnauthorized);
  }
  ExpectConfigError(with({"TLS_RSA_WITH_AES_128_CBC_SHA"}), "only TLS_AES_128_GCM_SHA256, ");
  TlsFiles nothing = small;
  nothing.protocols = {"TLSv1.2"};
  ExpectConfigError(nothing, "no cipher suite is of a protocol that is enabled");
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreNamed) {
  TlsFiles files = Files();
  files.key_path = directory() + "/nothing.pem";
  ExpectConfigError(files, "nothing.pem: cannot be opened");
  files = Files();
  files.certificate_path = files.key_path;
  ExpectConfigError(files, "node-key.pem: holds no certificate");
  files = Files();
  files.certificate_path = "";
  ExpectConfigError(files, "no certificate is named");
  files = Files();
  files.certificate_path = files.trust_path;
  ExpectConfigError(files, "the key is not that of the certificate");
  files = Files();
  files.protocols = {"TLSv1.1"};
  ExpectConfigError(files, "TLSv1.1 is not spoken");
  files = Files();
  files.trust_format = TlsFiles::Format::kPkcs12;
  ExpectConfigError(files, "ca.pem: is no PKCS#12 store");
  const TlsFiles locked{.key_format = TlsFiles::Format::kPkcs12,
                        .key_path = directory() + "/node.p12"};
  ExpectConfigError(locked, "cannot be read with this password");
  const std::string jks = directory() + "/store.jks";
  std::ofstream(jks) << "\xfe\xed\xfe\xed and so on";
  ExpectConfigError({.trust_format = TlsFiles::Format::kPkcs12, .trust_path = jks},
                    "keytool -importkeystore");
}

}  // namespace
}  // namespace stele::real

#include "common/real/tls_session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/tls_credentials.h"

namespace stele::real {
namespace {

// A peer that makes OpenSSL answer without end and reads nothing is dropped here.
constexpr size_t kOutgoingBytesHardMax = 4 * TlsSession::kOutgoingBytesMax;

// More than this is not kept for a connection that has nothing to say.
constexpr size_t kIdleBytesMax = 32 * 1024;

}  // namespace

struct TlsSession::Io {
  static int Read(BIO* bio, char* place, int size) {
    auto& incoming = static_cast<TlsSession*>(BIO_get_data(bio))->incoming_;
    BIO_clear_retry_flags(bio);
    if (incoming.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t taken = std::min(static_cast<size_t>(size), incoming.size());
    std::memcpy(place, incoming.data(), taken);
    incoming.remove_prefix(taken);
    return static_cast<int>(taken);
  }

  static int Write(BIO* bio, const char* bytes, int size) {
    auto* const session = static_cast<TlsSession*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (session->outgoing().size() > kOutgoingBytesHardMax) return -1;
    session->outgoing_.append(bytes, static_cast<size_t>(size));
    return size;
  }

  static long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* Method() {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stele");
      BIO_meth_set_read(made, Read);
      BIO_meth_set_write(made, Write);
      BIO_meth_set_ctrl(made, Control);
      return made;
    }();
    return method;
  }
};

TlsSession::TlsSession(ssl_st* ssl, const TlsUpgrade& upgrade)
    : ssl_(ssl), credentials_(upgrade.credentials) {
  BIO* const bio = BIO_new(Io::Method());
  STELE_CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

absl::StatusOr<std::unique_ptr<TlsSession>> TlsSession::Create(const TlsUpgrade& upgrade) {
  const auto* credentials = dynamic_cast<const OpenSslCredentials*>(upgrade.credentials.get());
  STELE_CHECK(credentials != nullptr);
  ERR_clear_error();
  SSL* const ssl = SSL_new(credentials->context());
  STELE_CHECK(ssl != nullptr);
  std::unique_ptr<TlsSession> session(new TlsSession(ssl, upgrade));
  if (upgrade.side == TlsUpgrade::Side::kServer) {
    SSL_set_accept_state(ssl);
    SSL_set_verify(ssl,
                   credentials->requires_client_certificate()
                       ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                       : SSL_VERIFY_NONE,
                   nullptr);
    return session;
  }
  SSL_set_connect_state(ssl);
  SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  if (upgrade.server_name.empty()) return session;
  const char* const name = upgrade.server_name.c_str();
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1) return session;
  ERR_clear_error();
  if (SSL_set1_host(ssl, name) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat(upgrade.server_name, " is no name of a server"));
  }
  return session;
}

absl::Status TlsSession::Failure(std::string_view doing) {
  std::string reason = "the protocol is broken";
  if (const long verified = SSL_get_verify_result(ssl_); verified != X509_V_OK) {
    reason = X509_verify_cert_error_string(verified);
  } else if (const char* text = ERR_reason_error_string(ERR_peek_last_error()); text != nullptr) {
    reason = text;
  }
  ERR_clear_error();
  return MakeError(ErrorCode::kUnauthorized, Effect::kUnknown, StrCat(doing, ": ", reason));
}

absl::StatusOr<bool> TlsSession::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    is_established_ = true;
    return true;
  }
  if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return false;
  return Failure("TLS handshake");
}

absl::StatusOr<size_t> TlsSession::Read(char* place, size_t size) {
  ERR_clear_error();
  size_t got = 0;
  const int result = SSL_read_ex(ssl_, place, size, &got);
  if (result == 1) return got;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: return size_t{0};
    case SSL_ERROR_ZERO_RETURN: peer_has_finished_ = true; return size_t{0};
    default: return Failure("TLS");
  }
}

absl::Status TlsSession::Write(std::string_view bytes) {
  ERR_clear_error();
  size_t written = 0;
  if (SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) != 1) return Failure("TLS");
  STELE_CHECK(written == bytes.size());
  return absl::OkStatus();
}

void TlsSession::Finish() {
  if (!is_established_ || std::exchange(has_finished_, true)) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

void TlsSession::PopOutgoing(size_t size) {
  sent_ += size;
  if (sent_ < outgoing_.size()) {
    // A stream that never runs dry must not keep what it has sent.
    if (sent_ >= kOutgoingBytesMax && sent_ * 2 >= outgoing_.size()) {
      outgoing_.erase(0, std::exchange(sent_, 0));
    }
    return;
  }
  sent_ = 0;
  if (outgoing_.capacity() > kIdleBytesMax) {
    outgoing_ = std::string();
  } else {
    outgoing_.clear();
  }
}

TlsPeer TlsSession::peer() const {
  TlsPeer peer;
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return peer;
  peer.has_certificate = true;
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  char text[256];
  X509_NAME_oneline(subject, text, sizeof(text));
  peer.subject = text;
  for (int at = -1;
       (at = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, at)) >= 0;) {
    unsigned char* utf8 = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) continue;
    peer.organizational_units.emplace_back(reinterpret_cast<char*>(utf8),
                                           static_cast<size_t>(size));
    OPENSSL_free(utf8);
  }
  return peer;
}

}  // namespace stele::real

#include "common/real/tls_credentials.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::real {
namespace {

// No key store of ours or of Java's comes near it.
constexpr size_t kFileSizeMaxBytes = 1 << 20;

// Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
constexpr char kCiphersOfTls12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

template <auto function>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    function(object);
  }
};
using OwnedBio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using OwnedCertificate = std::unique_ptr<X509, Freed<X509_free>>;
using OwnedContext = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using OwnedKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using OwnedPkcs12 = std::unique_ptr<PKCS12, Freed<PKCS12_free>>;

absl::Status ConfigError(std::string_view path, std::string_view what) {
  const unsigned long error = ERR_peek_last_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return MakeError(ErrorCode::kConfig, StrCat(path, ": ", what, reason == nullptr ? "" : ": ",
                                              reason == nullptr ? "" : reason));
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const std::unique_ptr<FILE, Freed<fclose>> file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) return ConfigError(path, "cannot be opened");
  std::string bytes(kFileSizeMaxBytes + 1, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  if (std::ferror(file.get()) != 0) return ConfigError(path, "cannot be read");
  if (bytes.size() > kFileSizeMaxBytes) return ConfigError(path, "is larger than 1 MiB");
  return bytes;
}

// As Apache's: the file's text without the blanks around it.
absl::StatusOr<std::string> ReadPassword(const std::string& path) {
  if (path.empty()) return std::string();
  STELE_TRY(const std::string text, ReadSmallFile(path));
  const auto is_blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  const auto begin = std::find_if_not(text.begin(), text.end(), is_blank);
  const auto end =
      std::find_if_not(text.rbegin(), std::string::const_reverse_iterator(begin), is_blank);
  return std::string(begin, end.base());
}

OwnedBio Reader(const std::string& bytes) {
  return OwnedBio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

struct Store {
  OwnedKey key;
  std::vector<OwnedCertificate> certificates;  // the key's own first, when there is a key
};

absl::StatusOr<Store> ReadPkcs12(const std::string& path, const std::string& password_path) {
  STELE_TRY(const std::string bytes, ReadSmallFile(path));
  STELE_TRY(const std::string password, ReadPassword(password_path));
  if (bytes.starts_with("\xfe\xed\xfe\xed")) {
    return ConfigError(path, StrCat("is in Java's own old format; convert it: keytool "
                                    "-importkeystore -srckeystore ",
                                    path, " -destkeystore ", path, ".p12 -deststoretype PKCS12"));
  }
  const OwnedBio reader = Reader(bytes);
  const OwnedPkcs12 parsed(d2i_PKCS12_bio(reader.get(), nullptr));
  if (parsed == nullptr) return ConfigError(path, "is no PKCS#12 store");
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* others = nullptr;
  if (PKCS12_parse(parsed.get(), password.c_str(), &key, &certificate, &others) != 1) {
    return ConfigError(path, "cannot be read with this password");
  }
  Store store;
  store.key.reset(key);
  if (certificate != nullptr) store.certificates.emplace_back(certificate);
  while (sk_X509_num(others) > 0) store.certificates.emplace_back(sk_X509_shift(others));
  sk_X509_free(others);
  return store;
}

absl::StatusOr<std::vector<OwnedCertificate>> ReadPemCertificates(const std::string& path) {
  STELE_TRY(const std::string bytes, ReadSmallFile(path));
  const OwnedBio reader = Reader(bytes);
  std::vector<OwnedCertificate> certificates;
  while (X509* next = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(next);
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return ConfigError(path, "holds a certificate that cannot be read");
  }
  ERR_clear_error();
  if (certificates.empty()) return ConfigError(path, "holds no certificate");
  return certificates;
}

int GivePassword(char* place, int size, int /*writing*/, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  if (text.size() > static_cast<size_t>(size)) return -1;
  std::copy(text.begin(), text.end(), place);
  return static_cast<int>(text.size());
}

absl::StatusOr<Store> ReadOwnStore(const TlsFiles& files) {
  if (files.key_format == TlsFiles::Format::kPkcs12) {
    STELE_TRY(Store store, ReadPkcs12(files.key_path, files.key_password_path));
    if (store.key == nullptr) return ConfigError(files.key_path, "holds no private key");
    return store;
  }
  Store store;
  STELE_TRY(const std::string bytes, ReadSmallFile(files.key_path));
  STELE_TRY(std::string password, ReadPassword(files.key_password_path));
  const OwnedBio reader = Reader(bytes);
  store.key.reset(PEM_read_bio_PrivateKey(reader.get(), nullptr, GivePassword, &password));
  if (store.key == nullptr) {
    return ConfigError(files.key_path, "holds no private key that can be read");
  }
  if (files.certificate_path.empty()) {
    return ConfigError(files.key_path, "is a key, but no certificate is named");
  }
  STELE_TRY(store.certificates, ReadPemCertificates(files.certificate_path));
  return store;
}

absl::Status UseOwnStore(const TlsFiles& files, SSL_CTX* context) {
  STELE_TRY(const Store store, ReadOwnStore(files));
  if (store.certificates.empty() ||
      SSL_CTX_use_certificate(context, store.certificates.front().get()) != 1) {
    return ConfigError(files.key_path, "has no certificate that can be used");
  }
  for (size_t i = 1; i < store.certificates.size(); ++i) {
    SSL_CTX_add1_chain_cert(context, store.certificates[i].get());
  }
  if (SSL_CTX_use_PrivateKey(context, store.key.get()) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return ConfigError(files.key_path, "the key is not that of the certificate");
  }
  return absl::OkStatus();
}

absl::Status UseTrust(const TlsFiles& files, SSL_CTX* context) {
  std::vector<OwnedCertificate> trusted;
  if (files.trust_format == TlsFiles::Format::kPkcs12) {
    STELE_TRY(Store store, ReadPkcs12(files.trust_path, files.trust_password_path));
    trusted = std::move(store.certificates);
    if (trusted.empty()) return ConfigError(files.trust_path, "holds no certificate");
  } else {
    STELE_TRY(trusted, ReadPemCertificates(files.trust_path));
  }
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const OwnedCertificate& certificate : trusted) {
    X509_STORE_add_cert(store, certificate.get());
    // A server names them when it asks for a certificate.
    SSL_CTX_add_client_CA(context, certificate.get());
  }
  // As Java: each of them is trusted for itself, also one that another has signed.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  return absl::OkStatus();
}

absl::Status Unspoken(const std::string& name, std::string_view spoken) {
  return MakeError(ErrorCode::kConfig, StrCat(name, " is not spoken; only ", spoken));
}

struct Versions {
  bool has_12 = true;
  bool has_13 = true;
};

absl::StatusOr<Versions> VersionsOf(const std::vector<std::string>& protocols) {
  if (protocols.empty()) return Versions();
  Versions versions = {.has_12 = false, .has_13 = false};
  for (const std::string& name : protocols) {
    if (name != "TLSv1.2" && name != "TLSv1.3") return Unspoken(name, "TLSv1.2 and TLSv1.3 are");
    (name == "TLSv1.2" ? versions.has_12 : versions.has_13) = true;
  }
  return versions;
}

// Leaves those that have a name in `wanted`, and the versions that they belong to.
absl::Status NarrowCiphers(const std::vector<std::string>& wanted, SSL_CTX* context,
                           Versions* versions) {
  if (wanted.empty()) return absl::OkStatus();
  std::map<std::string, const SSL_CIPHER*> spoken;
  const STACK_OF(SSL_CIPHER)* const all = SSL_CTX_get_ciphers(context);
  for (int i = 0; i < sk_SSL_CIPHER_num(all); ++i) {
    const SSL_CIPHER* cipher = sk_SSL_CIPHER_value(all, i);
    spoken[SSL_CIPHER_standard_name(cipher)] = cipher;
  }
  std::string of_12;
  std::string of_13;
  for (const std::string& name : wanted) {
    const auto found = spoken.find(name);
    if (found == spoken.end()) {
      std::string names;
      for (const auto& [known, cipher] : spoken) names += StrCat(names.empty() ? "" : ", ", known);
      return Unspoken(name, names);
    }
    const bool is_13 = std::string_view(SSL_CIPHER_get_version(found->second)) == "TLSv1.3";
    std::string& list = is_13 ? of_13 : of_12;
    list += StrCat(list.empty() ? "" : ":", SSL_CIPHER_get_name(found->second));
  }
  SSL_CTX_set_ciphersuites(context, of_13.c_str());
  if (!of_12.empty()) SSL_CTX_set_cipher_list(context, of_12.c_str());
  versions->has_12 &= !of_12.empty();
  versions->has_13 &= !of_13.empty();
  return absl::OkStatus();
}

absl::Status UseProtocols(const TlsFiles& files, SSL_CTX* context) {
  STELE_TRY(Versions versions, VersionsOf(files.protocols));
  SSL_CTX_set_cipher_list(context, kCiphersOfTls12);
  STELE_TRY_OK(NarrowCiphers(files.cipher_suites, context, &versions));
  if (!versions.has_12 && !versions.has_13) {
    return MakeError(ErrorCode::kConfig, "no cipher suite is of a protocol that is enabled");
  }
  SSL_CTX_set_min_proto_version(context, versions.has_12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(context, versions.has_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TlsCredentials>> LoadTlsCredentials(const TlsFiles& files) {
  ERR_clear_error();
  OwnedContext context(SSL_CTX_new(TLS_method()));
  if (context == nullptr) return ConfigError("TLS", "OpenSSL cannot be used");
  STELE_TRY_OK(UseProtocols(files, context.get()));
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // A connection lives long: nobody resumes sessions, so that no ticket key has to be kept.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  if (!files.key_path.empty()) STELE_TRY_OK(UseOwnStore(files, context.get()));
  if (!files.trust_path.empty()) STELE_TRY_OK(UseTrust(files, context.get()));
  return std::make_shared<const OpenSslCredentials>(context.release(),
                                                    files.requires_client_certificate);
}

OpenSslCredentials::~OpenSslCredentials() { SSL_CTX_free(context_); }

}  // namespace stele::real

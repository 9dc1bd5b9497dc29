#include "common/real/test_certificates.h"

#include <cstdio>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include "common/base/check.h"

namespace stele::real {
namespace {

constexpr long kDaySeconds = 24 * 60 * 60;

void AddToName(X509_NAME* name, const char* field, const std::string& value) {
  STELE_CHECK(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                         reinterpret_cast<const unsigned char*>(value.data()),
                                         static_cast<int>(value.size()), -1, 0) == 1);
}

void AddExtension(X509* certificate, int kind, const char* value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
  STELE_CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* StartCertificate(EVP_PKEY* key, long begins_seconds, long ends_seconds) {
  static long last_number = 0;
  X509* const certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++last_number);
  X509_gmtime_adj(X509_getm_notBefore(certificate), begins_seconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), ends_seconds);
  X509_set_pubkey(certificate, key);
  return certificate;
}

template <typename Write>
void WriteFile(const std::string& path, Write write) {
  FILE* const file = std::fopen(path.c_str(), "wb");
  STELE_CHECK(file != nullptr);
  STELE_CHECK(write(file) == 1);
  STELE_CHECK(std::fclose(file) == 0);
}

void WriteCertificate(const std::string& path, X509* certificate) {
  WriteFile(path, [&](FILE* file) { return PEM_write_X509(file, certificate); });
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name) : key_(EVP_EC_gen("P-256")) {
  certificate_ = StartCertificate(key_, -kDaySeconds, 30 * kDaySeconds);
  AddToName(X509_get_subject_name(certificate_), "CN", name);
  X509_set_issuer_name(certificate_, X509_get_subject_name(certificate_));
  AddExtension(certificate_, NID_basic_constraints, "critical,CA:TRUE");
  STELE_CHECK(X509_sign(certificate_, key_, EVP_sha256()) > 0);
}

TestAuthority::~TestAuthority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

void TestAuthority::Issue(const std::string& directory, const std::string& name,
                          const TestCertificate& options) const {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate =
      StartCertificate(key, -2 * kDaySeconds, options.is_expired ? -kDaySeconds : 30 * kDaySeconds);
  X509_NAME* const subject = X509_get_subject_name(certificate);
  AddToName(subject, "CN", options.common_name);
  if (!options.organizational_unit.empty()) AddToName(subject, "OU", options.organizational_unit);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate_));
  AddExtension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  STELE_CHECK(X509_sign(certificate, key_, EVP_sha256()) > 0);

  const std::string base = directory + "/" + name;
  WriteCertificate(base + ".pem", certificate);
  WriteFile(base + "-key.pem", [&](FILE* file) {
    return PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  PKCS12* const store =
      PKCS12_create(kPassword, name.c_str(), key, certificate, nullptr, 0, 0, 0, 0, 0);
  STELE_CHECK(store != nullptr);
  WriteFile(base + ".p12", [&](FILE* file) { return i2d_PKCS12_fp(file, store); });
  PKCS12_free(store);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

void TestAuthority::WriteTo(const std::string& path) const { WriteCertificate(path, certificate_); }

}  // namespace stele::real

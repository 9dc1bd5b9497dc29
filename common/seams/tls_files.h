// TlsFiles: where keys and trust are, as BookKeeper's configuration names them. Read by
// real::LoadTlsCredentials.
#pragma once

#include <string>
#include <vector>

namespace stele {

struct TlsFiles {
  enum class Format { kPem, kPkcs12 };

  // Who this process is. Without a key it has no certificate, which only a client can do.
  Format key_format = Format::kPem;
  std::string key_path;           // the private key; kPkcs12: with its certificates
  std::string certificate_path;   // kPem: the certificate, and those between it and its authority
  std::string key_password_path;  // a file with the password; empty: none

  // Whom it trusts: any of these certificates. Empty: nobody.
  Format trust_format = Format::kPem;
  std::string trust_path;
  std::string trust_password_path;

  // A server that turns clients away which have no certificate that it trusts.
  bool requires_client_certificate = false;

  // Of "TLSv1.2" and "TLSv1.3"; empty: both. Older ones are never spoken.
  std::vector<std::string> protocols;
  // Of those that are spoken, by the names of the standard, as "TLS_AES_128_GCM_SHA256"; empty:
  // all. They narrow the protocols: without one of TLS 1.3 it is not spoken.
  std::vector<std::string> cipher_suites;
};

}  // namespace stele

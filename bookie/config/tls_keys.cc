#include "bookie/config/tls_keys.h"

#include <map>
#include <utility>
#include <vector>

#include "bookie/config/properties.h"
#include "common/base/errors.h"
#include "common/base/loopback.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kFactory = "org.apache.bookkeeper.tls.TLSContextFactory";

absl::Status SetFormat(std::string_view value, TlsFiles::Format& into) {
  if (value == "PEM") {
    into = TlsFiles::Format::kPem;
  } else if (value == "PKCS12" || value == "JKS") {
    // Java writes PKCS#12 under the name JKS too; the old form is refused where it is found.
    into = TlsFiles::Format::kPkcs12;
  } else {
    return BadValue("PEM, PKCS12 or JKS", value);
  }
  return absl::OkStatus();
}

absl::Status SetFactory(std::string_view value, TlsSettings& tls) {
  if (!value.empty() && value != kFactory) {
    return MakeError(ErrorCode::kConfig,
                     StrCat("only '", kFactory, "' is known, found '", value, "'"));
  }
  tls.is_on = !value.empty();
  return absl::OkStatus();
}

absl::Status SetProtocols(std::string_view value, TlsSettings& tls) {
  constexpr std::string_view kExpected = "TLSv1.2 or TLSv1.3";
  STELE_TRY(tls.files.protocols, ParseList(value, kExpected));
  for (const std::string& protocol : tls.files.protocols) {
    if (protocol != "TLSv1.2" && protocol != "TLSv1.3") return BadValue(kExpected, protocol);
  }
  return absl::OkStatus();
}

absl::Status SetCipherSuites(std::string_view value, TlsSettings& tls) {
  STELE_TRY(tls.files.cipher_suites, ParseList(value, "cipher suites separated by commas"));
  return absl::OkStatus();
}

absl::Status SetBool(std::string_view value, bool& into) {
  STELE_TRY(into, ParseBool(value));
  return absl::OkStatus();
}

using Setter = absl::Status (*)(std::string_view value, TlsSettings& tls);

template <auto TlsFiles::* place>
absl::Status SetText(std::string_view value, TlsSettings& tls) {
  tls.files.*place = std::string(value);
  return absl::OkStatus();
}
template <auto TlsFiles::* place>
absl::Status SetFormatAt(std::string_view value, TlsSettings& tls) {
  return SetFormat(value, tls.files.*place);
}

const std::map<std::string_view, Setter>& Setters() {
  static const auto* const setters = new std::map<std::string_view, Setter>{
      {"tlsProviderFactoryClass", SetFactory},
      {"tlsKeyStoreType", SetFormatAt<&TlsFiles::key_format>},
      {"tlsKeyStore", SetText<&TlsFiles::key_path>},
      {"tlsKeyStorePasswordPath", SetText<&TlsFiles::key_password_path>},
      {"tlsCertificatePath", SetText<&TlsFiles::certificate_path>},
      {"tlsTrustStoreType", SetFormatAt<&TlsFiles::trust_format>},
      {"tlsTrustStore", SetText<&TlsFiles::trust_path>},
      {"tlsTrustStorePasswordPath", SetText<&TlsFiles::trust_password_path>},
      {"tlsClientAuthentication",
       [](std::string_view value, TlsSettings& tls) {
         return SetBool(value, tls.files.requires_client_certificate);
       }},
      {"tlsHostnameVerificationEnabled",
       [](std::string_view value, TlsSettings& tls) {
         return SetBool(value, tls.verifies_server_name);
       }},
      {"tlsEnabledProtocols", SetProtocols},
      {"tlsEnabledCipherSuites", SetCipherSuites},
  };
  return *setters;
}

}  // namespace

bool IsTlsKey(std::string_view key) { return Setters().contains(key); }

absl::Status SetTlsKey(std::string_view key, std::string_view value, TlsSettings& tls) {
  // Apache's file says "null" where nothing is set.
  if (value.empty() || value == "null") return absl::OkStatus();
  return WithContext(Setters().at(key)(value, tls), key);
}

absl::Status CheckServerTls(const TlsSettings& tls) {
  const TlsFiles& files = tls.files;
  if (!tls.is_on) {
    if (!files.requires_client_certificate) return absl::OkStatus();
    return MakeError(ErrorCode::kConfig,
                     "tlsClientAuthentication needs tlsProviderFactoryClass: without TLS no client "
                     "can show a certificate");
  }
  if (files.key_path.empty()) return MakeError(ErrorCode::kConfig, "TLS needs tlsKeyStore");
  if (files.key_format == TlsFiles::Format::kPem && files.certificate_path.empty()) {
    return MakeError(ErrorCode::kConfig, "a key of type PEM needs tlsCertificatePath");
  }
  if (files.requires_client_certificate && files.trust_path.empty()) {
    return MakeError(ErrorCode::kConfig, "tlsClientAuthentication needs tlsTrustStore");
  }
  return absl::OkStatus();
}

absl::Status CheckNoTokenInClear(std::string_view token_key, bool is_on, std::string_view host,
                                 std::string_view token_path) {
  if (!is_on || token_path.empty() || IsLoopback(host)) return absl::OkStatus();
  return MakeError(ErrorCode::kConfig,
                   StrCat(token_key,
                          ": there is no TLS on this port, and stele.tlsRequired is on: listen at "
                          "127.0.0.1, with a proxy in front, or leave it out"));
}

absl::StatusOr<TlsSettings> ParseClientTls(std::string_view text) {
  STELE_TRY(const std::vector<Property> properties, ParseProperties(text));
  TlsSettings tls;
  for (const Property& property : properties) {
    const auto at_line = [&](const absl::Status& status) {
      return WithContext(status, StrCat("line ", property.line));
    };
    std::string key = property.key;
    if (key.starts_with("clientKeyStore") || key.starts_with("clientTrustStore")) {
      key.replace(0, std::string_view("client").size(), "tls");
    }
    const std::string& value = property.value;
    if (IsTlsKey(key)) {
      STELE_TRY_OK(at_line(SetTlsKey(key, value, tls)));
    } else if (key == "stele.tlsRequired") {
      STELE_TRY_OK(at_line(WithContext(SetBool(value, tls.is_required), key)));
    } else if (key == "clientAuthProviderFactoryClass" && !value.empty() && value != "null") {
      return at_line(MakeError(
          ErrorCode::kConfig,
          StrCat(key, ": authentication plug-ins are not supported, found '", value, "'")));
    }
  }
  if (tls.is_required && !tls.is_on) {
    return MakeError(ErrorCode::kConfig, "stele.tlsRequired needs tlsProviderFactoryClass");
  }
  if (tls.is_on && tls.files.trust_path.empty()) {
    return MakeError(ErrorCode::kConfig, "TLS needs tlsTrustStore: which bookies to trust");
  }
  return tls;
}

}  // namespace stele::bookie

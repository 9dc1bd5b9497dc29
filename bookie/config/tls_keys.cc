#include "bookie/config/tls_keys.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "bookie/config/properties.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kFactory = "org.apache.bookkeeper.tls.TLSContextFactory";

absl::Status Bad(std::string_view expected, std::string_view value) {
  return MakeError(ErrorCode::kConfig, StrCat("expected ", expected, ", found '", value, "'"));
}

absl::Status SetBool(std::string_view value, bool& into) {
  if (value != "true" && value != "false") return Bad("true or false", value);
  into = value == "true";
  return absl::OkStatus();
}

absl::Status SetFormat(std::string_view value, TlsFiles::Format& into) {
  if (value == "PEM") {
    into = TlsFiles::Format::kPem;
  } else if (value == "PKCS12" || value == "JKS") {
    // Java writes PKCS#12 under the name JKS too; the old form is refused where it is found.
    into = TlsFiles::Format::kPkcs12;
  } else {
    return Bad("PEM, PKCS12 or JKS", value);
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

absl::Status SetProtocols(std::string_view value, std::vector<std::string>& into) {
  into.clear();
  while (!value.empty()) {
    const size_t comma = std::min(value.find(','), value.size());
    std::string_view part = value.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (part != "TLSv1.2" && part != "TLSv1.3") return Bad("TLSv1.2 or TLSv1.3", part);
    into.emplace_back(part);
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
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
      {"tlsEnabledProtocols",
       [](std::string_view value, TlsSettings& tls) {
         return SetProtocols(value, tls.files.protocols);
       }},
  };
  return *setters;
}

}  // namespace

absl::StatusOr<bool> SetTlsKey(std::string_view key, std::string_view value, TlsSettings& tls) {
  const auto setter = Setters().find(key);
  if (setter == Setters().end()) return false;
  // Apache's file says "null" where nothing is set.
  if (!value.empty() && value != "null") {
    STELE_TRY_OK(WithContext(setter->second(value, tls), key));
  }
  return true;
}

absl::Status CheckServerTls(const TlsSettings& tls) {
  if (!tls.is_on) return absl::OkStatus();
  const TlsFiles& files = tls.files;
  if (files.key_path.empty()) return MakeError(ErrorCode::kConfig, "TLS needs tlsKeyStore");
  if (files.key_format == TlsFiles::Format::kPem && files.certificate_path.empty()) {
    return MakeError(ErrorCode::kConfig, "a key of type PEM needs tlsCertificatePath");
  }
  if (files.requires_client_certificate && files.trust_path.empty()) {
    return MakeError(ErrorCode::kConfig, "tlsClientAuthentication needs tlsTrustStore");
  }
  return absl::OkStatus();
}

absl::StatusOr<TlsSettings> ParseClientTls(std::string_view text) {
  STELE_TRY(const std::vector<Property> properties, ParseProperties(text));
  TlsSettings tls;
  for (const Property& property : properties) {
    std::string key = property.key;
    if (key.starts_with("clientKeyStore") || key.starts_with("clientTrustStore")) {
      key.replace(0, 6, "tls");
    }
    const absl::StatusOr<bool> set = SetTlsKey(key, property.value, tls);
    if (!set.ok()) return WithContext(set.status(), StrCat("line ", property.line));
  }
  if (tls.is_on && tls.files.trust_path.empty()) {
    return MakeError(ErrorCode::kConfig, "TLS needs tlsTrustStore: which bookies to trust");
  }
  // A client shows a certificate when it has one: what is asked of it is the bookie's affair.
  return tls;
}

}  // namespace stele::bookie

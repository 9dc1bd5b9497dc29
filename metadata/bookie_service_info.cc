#include "metadata/bookie_service_info.h"

#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/loopback.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "metadata/decimal.h"
#include "proto/bookie_identity.pb.h"

namespace stele::metadata {
namespace {

using stored::BookieServiceInfoFormat;

absl::Status Corrupt(const BookieId& bookie, std::string_view detail) {
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("the registration of bookie ", bookie.value(), " ", detail));
}

bool IsPort(int64_t port) { return port >= 1 && port <= UINT16_MAX; }

absl::StatusOr<BookieServiceInfo> LegacyInfo(const BookieId& bookie) {
  const std::string& id = bookie.value();
  const size_t colon = id.find(':');
  if (colon == std::string::npos || colon == 0) {
    return Corrupt(bookie, "is empty, and its id is not host:port");
  }
  const std::optional<int64_t> port = ParseDecimal(std::string_view(id).substr(colon + 1));
  if (!port.has_value() || !IsPort(*port)) {
    return Corrupt(bookie, "is empty, and its id is not host:port");
  }
  BookieServiceInfo info;
  info.endpoints.push_back({.id = id,
                            .port = static_cast<int32_t>(*port),
                            .host = id.substr(0, colon),
                            .protocol = kBookieProtocol});
  return info;
}

}  // namespace

std::string SerializeBookieServiceInfo(const BookieServiceInfo& info) {
  BookieServiceInfoFormat message;
  for (const BookieServiceInfo::ServiceEndpoint& from : info.endpoints) {
    BookieServiceInfoFormat::Endpoint* to = message.add_endpoints();
    to->set_id(from.id);
    to->set_port(from.port);
    to->set_host(from.host);
    to->set_protocol(from.protocol);
    for (const std::string& auth : from.auth) to->add_auth(auth);
    for (const std::string& extension : from.extensions) to->add_extensions(extension);
  }
  for (const auto& [key, value] : info.properties) (*message.mutable_properties())[key] = value;
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    STELE_CHECK(message.SerializeToCodedStream(&coded));
  }
  return bytes;
}

absl::StatusOr<BookieServiceInfo> ParseBookieServiceInfo(const BookieId& bookie,
                                                         std::string_view bytes) {
  if (bytes.empty()) return LegacyInfo(bookie);
  if (bytes.size() > kBookieServiceInfoSizeMaxBytes) return Corrupt(bookie, "is too long");
  BookieServiceInfoFormat message;
  if (!message.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !message.IsInitialized()) {
    return Corrupt(bookie, "cannot be parsed");
  }
  BookieServiceInfo info;
  for (const BookieServiceInfoFormat::Endpoint& from : message.endpoints()) {
    info.endpoints.push_back({.id = from.id(),
                              .port = from.port(),
                              .host = from.host(),
                              .protocol = from.protocol(),
                              .auth = {from.auth().begin(), from.auth().end()},
                              .extensions = {from.extensions().begin(), from.extensions().end()}});
  }
  info.properties = {message.properties().begin(), message.properties().end()};
  return info;
}

absl::StatusOr<Endpoint> BookieEndpointOf(const BookieId& bookie, std::string_view bytes) {
  STELE_TRY(BookieServiceInfo info, ParseBookieServiceInfo(bookie, bytes));
  for (BookieServiceInfo::ServiceEndpoint& endpoint : info.endpoints) {
    if (endpoint.protocol == kBookieProtocol && !endpoint.host.empty() && IsPort(endpoint.port)) {
      return Endpoint{std::move(endpoint.host), static_cast<uint16_t>(endpoint.port)};
    }
  }
  return Corrupt(bookie, "has no endpoint for bookie-rpc");
}

absl::StatusOr<Endpoint> AdminEndpointOf(const BookieId& bookie, std::string_view bytes) {
  STELE_TRY(const BookieServiceInfo info, ParseBookieServiceInfo(bookie, bytes));
  for (const BookieServiceInfo::ServiceEndpoint& endpoint : info.endpoints) {
    if (endpoint.protocol != kAdminProtocol || !IsPort(endpoint.port)) continue;
    STELE_TRY(const Endpoint bookie_at, BookieEndpointOf(bookie, bytes));
    const std::string& host = endpoint.host;
    const bool listens_to_all = host.empty() || host == "0.0.0.0" || host == "::";
    if (!listens_to_all && IsLoopback(host) && !IsLoopback(bookie_at.host)) {
      return MakeError(ErrorCode::kUnsupported,
                       StrCat("its admin port listens to its own machine only (", host, ")"));
    }
    return Endpoint{listens_to_all ? bookie_at.host : host, static_cast<uint16_t>(endpoint.port)};
  }
  return MakeError(ErrorCode::kNoSuchKey, "it has no admin port");
}

}  // namespace stele::metadata

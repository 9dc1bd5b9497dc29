#include "metadata/service_uri.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::metadata {
namespace {

// Apache BookKeeper finds generated ids with the root path as a regular expression, so with one of
// these in it no ledger could be created by it.
constexpr std::string_view kForbiddenInRoot = "+*?()[]{}|^$\\";

struct Parts {
  std::string driver;
  std::string type;  // empty when there is none
  std::string authority;
  std::string path;
};

absl::Status Wrong(std::string_view uri, std::string_view detail) {
  return MakeError(ErrorCode::kConfig, StrCat("metadataServiceUri \"", uri, "\": ", detail));
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Nothing when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> PercentDecode(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    if (i + 2 >= text.size() || HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0) {
      return std::nullopt;
    }
    result += static_cast<char>(16 * HexValue(text[i + 1]) + HexValue(text[i + 2]));
    i += 2;
  }
  return result;
}

absl::StatusOr<Parts> Split(std::string_view uri) {
  const size_t colon = uri.find("://");
  if (colon == std::string_view::npos) {
    return Wrong(uri, "write zk+hierarchical://host:2181/ledgers or sqlite:///directory/meta.db");
  }
  Parts parts;
  const std::string scheme = absl::AsciiStrToLower(ToAbsl(uri.substr(0, colon)));
  const size_t plus = scheme.find('+');
  parts.driver = scheme.substr(0, plus);
  if (plus != std::string::npos) {
    parts.type = scheme.substr(plus + 1, scheme.find('+', plus + 1) - plus - 1);
  }
  std::string_view rest = uri.substr(colon + 3);
  rest = rest.substr(0, rest.find_first_of("?#"));
  const size_t slash = std::min(rest.find('/'), rest.size());
  parts.authority = std::string(rest.substr(0, slash));
  const std::optional<std::string> path = PercentDecode(rest.substr(slash));
  if (!path.has_value()) return Wrong(uri, "a % in it is not followed by two hexadecimal digits");
  parts.path = *path;
  return parts;
}

absl::StatusOr<std::optional<LayoutType>> LayoutOf(std::string_view uri, std::string_view type) {
  if (type.empty() || type == "null") return std::optional<LayoutType>();
  for (const LayoutType known :
       {LayoutType::kHierarchical, LayoutType::kLongHierarchical, LayoutType::kFlat}) {
    if (type == NameOf(known)) return std::optional<LayoutType>(known);
  }
  return Wrong(uri, StrCat("the layout \"", type,
                           "\" is not one of hierarchical, longhierarchical and flat"));
}

absl::Status CheckRoot(std::string_view root) {
  const auto wrong = [](std::string_view detail) {
    return MakeError(ErrorCode::kConfig, StrCat("the ledgers root path ", detail));
  };
  if (root.empty()) return wrong("is missing: add /ledgers");
  if (root.front() != '/') return wrong("does not begin with /");
  if (root.find_first_of(kForbiddenInRoot) != std::string_view::npos) {
    return wrong(StrCat("has one of ", kForbiddenInRoot));
  }
  for (size_t begin = 1; begin <= root.size();) {
    const size_t end = std::min(root.find('/', begin), root.size());
    const std::string_view part = root.substr(begin, end - begin);
    if (part.empty()) return wrong("has an empty part, or a / at its end");
    if (part == "." || part == "..") return wrong("has a part . or ..");
    if (std::any_of(part.begin(), part.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
      return wrong("has a control character");
    }
    begin = end + 1;
  }
  return absl::OkStatus();
}

absl::StatusOr<ServiceUri> ZooKeeperUri(std::string_view uri, Parts parts) {
  ServiceUri result;
  if (parts.authority.empty()) return Wrong(uri, "the servers are missing: zk://host:2181/ledgers");
  result.servers = std::move(parts.authority);
  std::replace(result.servers.begin(), result.servers.end(), ';', ',');
  if (const absl::Status root = CheckRoot(parts.path); !root.ok()) {
    return Wrong(uri, ToStd(root.message()));
  }
  result.root = std::move(parts.path);
  return result;
}

absl::StatusOr<ServiceUri> SqliteUri(std::string_view uri, Parts parts) {
  if (!parts.authority.empty()) {
    return Wrong(uri, StrCat("a file has no host: write sqlite:///", parts.authority, parts.path));
  }
  if (parts.path.size() < 2 || parts.path.back() == '/') {
    return Wrong(uri, "the file is missing: write sqlite:///directory/meta.db");
  }
  if (parts.path.find('\0') != std::string::npos) return Wrong(uri, "the path has a zero byte");
  ServiceUri result;
  result.driver = ServiceUri::Driver::kSqlite;
  result.database_path = std::move(parts.path);
  return result;
}

}  // namespace

absl::StatusOr<ServiceUri> ParseServiceUri(std::string_view uri) {
  STELE_TRY(Parts parts, Split(uri));
  STELE_TRY(const std::optional<LayoutType> layout, LayoutOf(uri, parts.type));
  absl::StatusOr<ServiceUri> result =
      parts.driver == "zk" ? ZooKeeperUri(uri, std::move(parts))
      : parts.driver == "sqlite"
          ? SqliteUri(uri, std::move(parts))
          : Wrong(uri, StrCat("the scheme \"", parts.driver, "\" is not one of zk and sqlite"));
  if (result.ok()) result->layout = layout;
  return result;
}

absl::StatusOr<ServiceUri> ServiceUriOfOldKeys(const OldMetadataKeys& keys) {
  if (keys.zk_servers.empty()) {
    return MakeError(ErrorCode::kConfig, "neither metadataServiceUri nor zkServers is set");
  }
  ServiceUri result;
  result.servers = keys.zk_servers;
  std::replace(result.servers.begin(), result.servers.end(), ';', ',');
  if (!keys.zk_ledgers_root_path.empty()) {
    STELE_TRY_OK(WithContext(CheckRoot(keys.zk_ledgers_root_path), "zkLedgersRootPath"));
    result.root = keys.zk_ledgers_root_path;
  }
  if (!keys.ledger_manager_factory_class.empty()) {
    const absl::StatusOr<LayoutType> layout =
        ParseLayout(StrCat("2\n", keys.ledger_manager_factory_class, ":1"));
    if (!layout.ok()) {
      return MakeError(ErrorCode::kConfig,
                       StrCat("ledgerManagerFactoryClass \"", keys.ledger_manager_factory_class,
                              "\" is not supported; set metadataServiceUri"));
    }
    result.layout = *layout;
  }
  return result;
}

}  // namespace stele::metadata

#include "bookie/config/bookie_config.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <utility>

#include "bookie/config/properties.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr int64_t kMiB = 1 << 20;

absl::StatusOr<int64_t> ParseInteger(std::string_view value, int64_t min, int64_t max) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool whole = error == std::errc() && end == value.data() + value.size();
  if (!whole || number < min || number > max) {
    return BadValue(StrCat("a whole number from ", min, " to ", max), value);
  }
  return number;
}

// "0.95" as parts per million, without floating point.
absl::StatusOr<int64_t> ParseFraction(std::string_view value) {
  const size_t dot = value.find('.');
  const std::string_view whole = value.substr(0, dot);
  std::string digits(dot == std::string_view::npos ? "" : value.substr(dot + 1));
  const bool numeric = digits.find_first_not_of("0123456789") == std::string::npos &&
                       (whole == "0" || whole == "1" || whole.empty());
  digits.resize(6, '0');
  int64_t ppm = 0;
  if (!numeric || value.empty() || value == ".") return BadValue("a fraction such as 0.95", value);
  std::from_chars(digits.data(), digits.data() + digits.size(), ppm);
  if (whole == "1") ppm += 1'000'000;
  if (ppm <= 0 || ppm > 1'000'000) return BadValue("a fraction above 0 and at most 1", value);
  return ppm;
}

absl::StatusOr<std::vector<std::string>> ParseDirectories(std::string_view value) {
  return ParseList(value, "directories separated by commas");
}

absl::StatusOr<std::vector<std::string>> ParseNames(std::string_view value) {
  return ParseList(value, "names separated by commas");
}

using Setter = std::function<absl::Status(std::string_view value, BookieConfig& config)>;

// Makes a setter of a parser and a place.
template <typename Parse, typename Store>
Setter Set(Parse parse, Store store) {
  return [=](std::string_view value, BookieConfig& config) -> absl::Status {
    STELE_TRY(auto parsed, parse(value));
    store(config, std::move(parsed));
    return absl::OkStatus();
  };
}

auto Integer(int64_t min, int64_t max) {
  return [=](std::string_view value) { return ParseInteger(value, min, max); };
}

absl::StatusOr<std::string> ParseText(std::string_view value) {
  if (value.empty()) return BadValue("a value", value);
  return std::string(value);
}

// What cannot be had otherwise: the file may ask for nothing else.
Setter MustBe(std::string_view required, std::string_view why) {
  return [=](std::string_view value, BookieConfig& config) -> absl::Status {
    if (value == required) return absl::OkStatus();
    return MakeError(ErrorCode::kConfig, StrCat("only '", required, "' is supported: ", why));
  };
}

absl::Status SetStorageClass(std::string_view value, BookieConfig& config) {
  if (value.find("DbLedgerStorage") != std::string_view::npos) {
    return MakeError(ErrorCode::kConfig,
                     "DbLedgerStorage is not supported; use SortedLedgerStorage or "
                     "InterleavedLedgerStorage, which share their files with this bookie");
  }
  return absl::OkStatus();
}

absl::Status SetIndexFormat(std::string_view value, BookieConfig& config) {
  if (value == "files") {
    config.options.index_format = IndexFormat::kFiles;
  } else if (value == "extents") {
    config.options.index_format = IndexFormat::kExtents;
  } else {
    return MakeError(ErrorCode::kConfig,
                     "is 'files', as Java has them, or 'extents', for very many ledgers; leave it "
                     "out to keep what is there");
  }
  return absl::OkStatus();
}

absl::Status SetAuthProvider(std::string_view value, BookieConfig& config) {
  if (value == "null") return absl::OkStatus();  // Apache's file says so where nothing is set
  config.roles_are_asked = value == "org.apache.bookkeeper.tls.BookieAuthZFactory";
  if (config.roles_are_asked) return absl::OkStatus();
  // A bookie that served everybody although it was told to ask would be worse than none.
  return MakeError(ErrorCode::kConfig,
                   StrCat("only 'org.apache.bookkeeper.tls.BookieAuthZFactory' is supported, "
                          "which asks for a role in the client's certificate; SASL and other "
                          "plug-ins are not, found '",
                          value, "'"));
}

// Apache's file switches things off by 0 or -1.
absl::Duration SecondsOrNever(int64_t value) { return absl::Seconds(std::max<int64_t>(value, 0)); }
absl::Duration MillisOrNever(int64_t value) {
  return absl::Milliseconds(std::max<int64_t>(value, 0));
}

const std::map<std::string, Setter, std::less<>>& Setters() {
  constexpr int64_t kBig = int64_t{1} << 50;
  constexpr int64_t kSecondsMax = 10 * 366 * 86'400LL;
  using C = BookieConfig&;
  static const auto* const setters = new std::map<std::string, Setter, std::less<>>{
      {"bookieId",
       Set(ParseText, [](C c, std::string v) { c.options.id = BookieId(std::move(v)); })},
      {"bookiePort", Set(Integer(0, 65535), [](C c, int64_t v) { c.options.listen.port = v; })},
      {"listeningInterface",
       Set(ParseText, [](C c, std::string v) { c.listening_interface = std::move(v); })},
      {"useHostNameAsBookieID", Set(ParseBool, [](C c, bool v) { c.use_host_name = v; })},
      {"useShortHostName", Set(ParseBool, [](C c, bool v) { c.use_short_host_name = v; })},
      {"advertisedAddress",
       Set(ParseText, [](C c, std::string v) { c.options.advertised.host = std::move(v); })},
      {"allowLoopback", Set(ParseBool, [](C c, bool v) { c.allow_loopback = v; })},
      {"metadataServiceUri",
       Set(ParseText, [](C c, std::string v) { c.metadata_service_uri = std::move(v); })},
      {"zkTimeout",
       Set(Integer(1, 3'600'000),
           [](C c, int64_t v) { c.options.metadata_timeout = absl::Milliseconds(v); })},
      {"journalDirectories",
       Set(ParseDirectories, [](C c, auto v) { c.options.journal_directories = std::move(v); })},
      {"journalDirectory",
       Set(ParseDirectories, [](C c, auto v) { c.options.journal_directories = std::move(v); })},
      {"ledgerDirectories",
       Set(ParseDirectories, [](C c, auto v) { c.options.ledger_directories = std::move(v); })},
      {"indexDirectories",
       Set(ParseDirectories, [](C c, auto v) { c.options.index_directories = std::move(v); })},
      {"allowStorageExpansion",
       Set(ParseBool, [](C c, bool v) { c.options.allow_storage_expansion = v; })},
      {"journalMaxSizeMB",
       Set(Integer(1, 1 << 20),
           [](C c, int64_t v) { c.options.journal_size_max_bytes = v * kMiB; })},
      {"journalMaxBackups",
       Set(Integer(0, 100'000), [](C c, int64_t v) { c.options.journal_backups = v; })},
      {"journalBufferedWritesThreshold",
       Set(Integer(4096, 64 * kMiB),
           [](C c, int64_t v) { c.options.journal_batch_max_bytes = v; })},
      {"journalMaxMemorySizeMb",
       Set(Integer(1, 1 << 20),
           [](C c, int64_t v) { c.options.journal_pending_max_bytes = v * kMiB; })},
      {"logSizeLimit",
       Set(Integer(kMiB, 1 << 30), [](C c, int64_t v) { c.options.entry_log_size_max_bytes = v; })},
      {"skipListSizeLimit",
       Set(Integer(kMiB, kBig), [](C c, int64_t v) { c.options.memtable_max_bytes = v; })},
      {"openFileLimit",
       Set(Integer(1, 1 << 20), [](C c, int64_t v) { c.options.open_index_files_max = v; })},
      {"flushInterval",
       Set(Integer(1, 86'400'000),
           [](C c, int64_t v) { c.options.flush_interval = absl::Milliseconds(v); })},
      {"gcWaitTime", Set(Integer(1, 30 * 86'400'000LL),
                         [](C c, int64_t v) { c.options.gc_interval = absl::Milliseconds(v); })},
      {"localScrubInterval", Set(Integer(0, 366 * 86'400),
                                 [](C c, int64_t v) {
                                   c.options.scrub.enabled = v > 0;
                                   c.options.scrub.pause = absl::Seconds(v);
                                   c.options.scrub.first =
                                       std::min(ScrubOptions().first, absl::Seconds(v));
                                 })},
      {"minorCompactionThreshold",
       Set(ParseFraction, [](C c, int64_t v) { c.options.compaction.minor_threshold_ppm = v; })},
      {"majorCompactionThreshold",
       Set(ParseFraction, [](C c, int64_t v) { c.options.compaction.major_threshold_ppm = v; })},
      {"minorCompactionInterval",
       Set(Integer(-1, kSecondsMax),
           [](C c, int64_t v) { c.options.compaction.minor_interval = SecondsOrNever(v); })},
      {"majorCompactionInterval",
       Set(Integer(-1, kSecondsMax),
           [](C c, int64_t v) { c.options.compaction.major_interval = SecondsOrNever(v); })},
      {"minorCompactionMaxTimeMillis",
       Set(Integer(-1, 1000 * kSecondsMax),
           [](C c, int64_t v) { c.options.compaction.minor_time_max = MillisOrNever(v); })},
      {"majorCompactionMaxTimeMillis",
       Set(Integer(-1, 1000 * kSecondsMax),
           [](C c, int64_t v) { c.options.compaction.major_time_max = MillisOrNever(v); })},
      {"compactionRateByBytes",
       Set(Integer(1, kBig), [](C c, int64_t v) { c.options.compaction.bytes_per_second = v; })},
      {"diskCheckInterval",
       Set(Integer(1, 86'400'000),
           [](C c, int64_t v) { c.options.disk_check_interval = absl::Milliseconds(v); })},
      {"readOnlyModeEnabled",
       Set(ParseBool, [](C c, bool v) { c.options.read_only_mode_enabled = v; })},
      {"forceReadOnlyBookie", Set(ParseBool, [](C c, bool v) { c.options.force_read_only = v; })},
      {"diskUsageThreshold",
       Set(ParseFraction, [](C c, int64_t v) { c.options.disk_rules.full_above_ppm = v; })},
      {"diskUsageLwmThreshold",
       Set(ParseFraction, [](C c, int64_t v) { c.options.disk_rules.recovered_below_ppm = v; })},
      {"readOnlyModeOnAnyDiskFullEnabled",
       Set(ParseBool, [](C c, bool v) { c.options.disk_rules.read_only_on_any_full = v; })},
      {"minUsableSizeForHighPriorityWrites",
       Set(Integer(0, kBig),
           [](C c, int64_t v) { c.options.disk_rules.high_priority_reserve_bytes = v; })},
      {"nettyMaxFrameSizeBytes",
       Set(Integer(4096, 256 * kMiB),
           [](C c, int64_t v) { c.options.server.transport.frame_size_max_bytes = v; })},
      {"maxBatchReadSize", Set(Integer(1, 256 * kMiB),
                               [](C c, int64_t v) { c.options.reads.batch_size_max_bytes = v; })},
      {"httpServerEnabled", Set(ParseBool, [](C c, bool v) { c.http_is_on = v; })},
      {"httpServerHost", Set(ParseText, [](C c, std::string v) { c.http_at.host = std::move(v); })},
      {"httpServerPort", Set(Integer(0, 65535), [](C c, int64_t v) { c.http_at.port = v; })},
      {"httpServerTlsEnable",
       MustBe("false", "bind the admin port to an address that only a proxy with TLS reaches")},
      {"stele.grpcEnabled", Set(ParseBool, [](C c, bool v) { c.grpc_is_on = v; })},
      {"stele.grpcHost", Set(ParseText, [](C c, std::string v) { c.grpc_at.host = std::move(v); })},
      {"stele.grpcPort", Set(Integer(0, 65535), [](C c, int64_t v) { c.grpc_at.port = v; })},
      {"stele.grpcTokenFile",
       Set(ParseText, [](C c, std::string v) { c.grpc_token_path = std::move(v); })},
      {"stele.httpTokenFile",
       Set(ParseText, [](C c, std::string v) { c.http_token_path = std::move(v); })},
      {"bookieAuthProviderFactoryClass", SetAuthProvider},
      {"authorizedRoles",
       Set(ParseNames, [](C c, auto v) { c.options.peers.authorized_roles = std::move(v); })},
      {"stele.acceptsPerSecondMax",
       Set(Integer(1, 1'000'000), [](C c, int64_t v) { c.accepts_per_second_max = v; })},
      {"stele.connectionsMax",
       Set(Integer(1, 1'000'000), [](C c, int64_t v) { c.options.server.connections_max = v; })},
      {"stele.connectionsPerAddressMax",
       Set(Integer(1, 1'000'000),
           [](C c, int64_t v) { c.options.server.connections_per_address_max = v; })},
      {"stele.diskHangMaxSec",
       Set(Integer(1, 86'400), [](C c, int64_t v) { c.options.disk_hang_max = absl::Seconds(v); })},
      {"stele.firstByteMs", Set(Integer(1, 3'600'000),
                                [](C c, int64_t v) { c.first_byte_max = absl::Milliseconds(v); })},
      {"stele.frameDeadlineMs", Set(Integer(1, 3'600'000),
                                    [](C c, int64_t v) {
                                      c.options.server.transport.frame_deadline =
                                          absl::Milliseconds(v);
                                    })},
      {"stele.indexFormat", SetIndexFormat},
      {"stele.longPollsMax",
       Set(Integer(0, 10'000'000), [](C c, int64_t v) { c.options.reads.long_polls_max = v; })},
      {"stele.partialFramesMaxBytes",
       Set(Integer(kMiB, kBig), [](C c, int64_t v) { c.partial_frames_max_bytes = v; })},
      {"stele.sendStallMs", Set(Integer(1, 3'600'000),
                                [](C c, int64_t v) { c.send_stall_max = absl::Milliseconds(v); })},
      {"permittedStartupUsers",
       Set(ParseNames, [](C c, auto v) { c.permitted_users = std::move(v); })},
      {"zkEnableSecurity",
       MustBe("false",
              "the nodes of this bookie may be changed by everybody who reaches "
              "ZooKeeper; let nobody else reach it")},
      {"disableServerSocketBind", MustBe("false", "a bookie here has no other way to its peers")},
      {"stele.tlsRequired",
       Set(ParseBool, [](C c, bool v) { c.options.peers.tls_is_required = v; })},
      {"ledgerStorageClass", SetStorageClass},
      {"journalSyncData", MustBe("true", "an acknowledged entry is on disk")},
      {"journalWriteData", MustBe("true", "an acknowledged entry is on disk")},
      {"journalFormatVersionToWrite", MustBe("6", "older journal versions are read, not written")},
      {"fileInfoFormatVersionToWrite", MustBe("1", "older index versions are read, not written")},
  };
  return *setters;
}

// Levenshtein's distance, in one row.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

std::string_view NearestKey(std::string_view key) {
  const auto& known = KnownBookieKeys();
  return std::min_element(known.begin(), known.end(),
                          [&](const KnownKey& a, const KnownKey& b) {
                            return Distance(key, a.key) < Distance(key, b.key);
                          })
      ->key;
}

constexpr size_t kKeySizeMax = 200;  // a longer one is not compared with the known keys

absl::Status SetUnknown(std::string_view key) {
  if (key.size() > kKeySizeMax) return MakeError(ErrorCode::kConfig, "unknown key");
  return MakeError(ErrorCode::kConfig,
                   StrCat("unknown key '", key, "'; did you mean '", NearestKey(key),
                          "'? (--allow-unknown-keys passes over it)"));
}

// The old keys zkServers and zkLedgersRootPath, when the newer metadataServiceUri is absent.
void SetUriFromOldKeys(const std::vector<Property>& properties, BookieConfig& config) {
  if (!config.metadata_service_uri.empty()) return;
  std::string servers;
  std::string root = "/ledgers";
  for (const Property& property : properties) {
    if (property.key == "zkServers") servers = property.value;
    if (property.key == "zkLedgersRootPath") root = property.value;
  }
  if (servers.empty()) return;
  std::replace(servers.begin(), servers.end(), ',', ';');
  config.metadata_service_uri = StrCat("zk+null://", servers, root);
}

}  // namespace

absl::Status SetBookieKey(std::string_view key, std::string_view value, BookieConfig& config) {
  if (!value.empty() && key.size() <= kKeySizeMax) config.settings[std::string(key)] = value;
  if (const auto setter = Setters().find(key); setter != Setters().end()) {
    // Apache's file has keys with nothing behind the sign: they mean the default.
    if (value.empty()) return absl::OkStatus();
    return WithContext(setter->second(value, config), key);
  }
  if (key == "zkServers" || key == "zkLedgersRootPath") return absl::OkStatus();
  const auto& known = KnownBookieKeys();
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const KnownKey& candidate) { return candidate.key == key; });
  if (found == known.end()) return SetUnknown(key);
  if (found->note.empty()) return SetTlsKey(key, value, config.tls);
  config.warnings.push_back(StrCat(key, ": no effect: ", found->note));
  return absl::OkStatus();
}

absl::StatusOr<BookieConfig> ParseBookieConfig(std::string_view text, UnknownKeys unknown_keys) {
  STELE_TRY(const std::vector<Property> properties, ParseProperties(text));
  BookieConfig config;
  config.options.listen = {"0.0.0.0", 3181};
  for (const Property& property : properties) {
    const absl::Status set = SetBookieKey(property.key, property.value, config);
    if (set.ok()) continue;
    const bool unknown = ToStd(set.message()).starts_with("unknown key");
    if (!unknown || unknown_keys == UnknownKeys::kRefuse) {
      return WithContext(set, StrCat("line ", property.line));
    }
    config.warnings.push_back(StrCat("line ", property.line, ": unknown key '", property.key, "'"));
  }
  SetUriFromOldKeys(properties, config);
  return config;
}

absl::Status CheckBookieConfig(BookieConfig& config) {
  const DiskRuleOptions& disks = config.options.disk_rules;
  if (disks.recovered_below_ppm > disks.full_above_ppm) {
    return MakeError(ErrorCode::kConfig,
                     "diskUsageLwmThreshold must not be above diskUsageThreshold");
  }
  STELE_TRY_OK(CheckServerTls(config.tls));
  if (!config.tls.is_on && !config.tls.files.key_path.empty()) {
    config.warnings.emplace_back("tlsKeyStore: no effect: TLS needs tlsProviderFactoryClass");
  }
  const PeerRequirements& peers = config.options.peers;
  if (peers.tls_is_required && !config.tls.is_on) {
    return MakeError(ErrorCode::kConfig, "stele.tlsRequired needs tlsProviderFactoryClass");
  }
  if (peers.tls_is_required) {
    STELE_TRY_OK(CheckNoTokenInClear("stele.grpcTokenFile", config.grpc_is_on, config.grpc_at.host,
                                     config.grpc_token_path));
    STELE_TRY_OK(CheckNoTokenInClear("stele.httpTokenFile", config.http_is_on, config.http_at.host,
                                     config.http_token_path));
  }
  if (config.roles_are_asked == peers.authorized_roles.empty()) {
    return MakeError(ErrorCode::kConfig,
                     "bookieAuthProviderFactoryClass and authorizedRoles need each other");
  }
  if (config.roles_are_asked &&
      !(config.tls.is_on && config.tls.files.requires_client_certificate)) {
    return MakeError(ErrorCode::kConfig,
                     "roles are read in certificates: authorizedRoles needs TLS and "
                     "tlsClientAuthentication=true");
  }
  return absl::OkStatus();
}

}  // namespace stele::bookie

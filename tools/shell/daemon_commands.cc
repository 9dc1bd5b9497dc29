#include "tools/shell/daemon_commands.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "autorecovery/admin/cluster_routes.h"
#include "autorecovery/admin/ledger_routes.h"
#include "autorecovery/peer_copies.h"
#include "bookie/admin/bookie_routes.h"
#include "bookie/admin/bookie_service.h"
#include "bookie/bookie.h"
#include "bookie/config/bookie_config.h"
#include "bookie/config/properties.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/link_limits.h"
#include "common/real/process_limits.h"
#include "common/real/shard.h"
#include "common/real/signals.h"
#include "common/real/tls_credentials.h"
#include "metadata/cluster_init.h"
#include "metadata/drivers/open_metadata_store.h"
#include "metadata/service_uri.h"
#include "tools/shell/admin_port.h"
#include "tools/shell/autorecovery_daemon.h"
#include "tools/shell/grpc_port.h"
#include "tools/shell/host_address.h"
#include "tools/shell/output.h"
#include "tools/shell/service_manager.h"
#include "tools/shell/text_file.h"

namespace stele::shell {
namespace {

using bookie::Bookie;
using bookie::BookieConfig;
using observe::LogLevel;

constexpr int64_t kDescriptorsMin = 512;

// One bookie with its store, on the shard that runs it.
struct RunningBookie {
  std::unique_ptr<metadata::MetadataStore> store;
  std::optional<autorecovery::ClusterOperations::Access> access;
  std::unique_ptr<autorecovery::PeerCopies> peers;
  std::unique_ptr<Bookie> bookie;
};

struct BookieSetup {
  BookieConfig config;
  metadata::ServiceUri uri;
  bool init_if_missing = false;
};

Task<absl::Status> InitIfMissing(metadata::MetadataStore* store, Random* random,
                                 metadata::ServiceUri uri) {
  const absl::Status made = co_await metadata::InitializeCluster(
      store, random, uri.root, uri.layout.value_or(metadata::LayoutType::kHierarchical));
  // Another bookie may have been faster: that is what we wanted.
  if (CodeOf(made) == ErrorCode::kKeyExists) co_return absl::OkStatus();
  co_return made;
}

// To other bookies this one is a client, with the same certificate.
client::ClientOptions AsClient(const BookieConfig& config, observe::Log* log) {
  client::ClientOptions as_client;
  as_client.frame_size_max_bytes = config.options.server.transport.frame_size_max_bytes;
  as_client.tls = config.options.peers.tls;
  as_client.tls_verifies_name = config.tls.verifies_server_name;
  as_client.log = log;
  return as_client;
}

Task<absl::Status> StartBookie(Env env, BookieSetup setup, observe::Log* log,
                               absl::AnyInvocable<void(absl::Status)> on_fatal,
                               RunningBookie* into) {
  STELE_CO_TRY(into->store, co_await metadata::OpenMetadataStore(
                                setup.uri, env.executor, env.clock,
                                {.session_timeout = setup.config.options.metadata_timeout,
                                 .create_if_missing = setup.init_if_missing}));
  if (setup.init_if_missing) {
    STELE_CO_TRY_OK(co_await InitIfMissing(into->store.get(), env.random, setup.uri));
  }
  bookie::BookieOptions& options = setup.config.options;
  STELE_CO_TRY(metadata::Cluster cluster,
               co_await metadata::OpenCluster(into->store.get(), setup.uri.root, setup.uri.layout));
  into->access = {into->store.get(), std::move(cluster), AsClient(setup.config, log)};
  into->peers = std::make_unique<autorecovery::PeerCopies>(
      env, into->store.get(), into->access->cluster, options.id, into->access->client);
  options.entry_source = [peers = into->peers.get()](LedgerId ledger, EntryId entry) {
    return peers->Fetch(ledger, entry);
  };
  STELE_CO_TRY(into->bookie, co_await Bookie::Start(env, into->store.get(), std::move(options), log,
                                                    std::move(on_fatal)));
  co_return absl::OkStatus();
}

Task<absl::Status> StopBookie(RunningBookie* running) {
  absl::Status stopped = absl::OkStatus();
  if (running->peers != nullptr) co_await running->peers->Stop();  // nobody waits for an answer
  if (running->bookie != nullptr) stopped = co_await running->bookie->Stop();
  running->bookie.reset();
  running->peers.reset();
  // It stays until the admin port, which answers to the end, has let go of it.
  if (running->store != nullptr) co_await running->store->Close();
  co_return stopped;
}

Task<absl::StatusOr<std::string>> ReadText(FileSystem* files, std::string path) {
  STELE_CO_TRY(const Buffer text,
               co_await ReadFile(files, std::move(path), bookie::kPropertiesSizeMaxBytes));
  co_return text.ToString();
}

void SetDataDirectory(const std::string& directory, bookie::BookieOptions& options) {
  if (directory.empty()) return;
  options.journal_directories = {directory + "/journal"};
  options.ledger_directories = {directory + "/ledgers"};
  options.index_directories.clear();
}

absl::Status CheckUser(const std::vector<std::string>& permitted) {
  if (permitted.empty()) return absl::OkStatus();
  const std::string user = real::UserName();
  if (std::find(permitted.begin(), permitted.end(), user) != permitted.end()) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kConfig,
                   StrCat("permittedStartupUsers does not name '", user, "', who starts it"));
}

// A bookie on an embedded store has its whole cluster on this machine; another one must be found
// from elsewhere.
absl::Status CompleteAddress(BookieConfig& config) {
  bookie::BookieOptions& options = config.options;
  if (!config.listening_interface.empty()) {
    STELE_TRY(const HostAddress found, FindHostAddress({.interface = config.listening_interface}));
    options.listen.host = found.ip;
  }
  if (!options.advertised.host.empty()) return absl::OkStatus();
  if (config.metadata_service_uri.starts_with("sqlite:")) {
    options.advertised.host = "127.0.0.1";
    return absl::OkStatus();
  }
  STELE_TRY(const HostAddress found,
            FindHostAddress({.interface = config.listening_interface,
                             .use_host_name = config.use_host_name,
                             .use_short_name = config.use_short_host_name}));
  if (found.is_loopback && !config.allow_loopback) {
    return MakeError(ErrorCode::kConfig,
                     StrCat("the address of this host is ", found.ip,
                            ", which other machines cannot reach: set advertisedAddress, or "
                            "listeningInterface, or allowLoopback=true"));
  }
  options.advertised.host = found.host;
  return absl::OkStatus();
}

// Fills what has no default in the file: the address, and with it the id.
absl::Status CompleteOptions(BookieConfig& config) {
  bookie::BookieOptions& options = config.options;
  if (options.journal_directories.empty() || options.ledger_directories.empty()) {
    return MakeError(
        ErrorCode::kConfig,
        "no directories: give --data DIR, or journalDirectories and ledgerDirectories");
  }
  if (config.metadata_service_uri.empty()) {
    return MakeError(ErrorCode::kConfig,
                     "no metadata store: give --metadata sqlite:///path/meta.db or "
                     "zk+hierarchical://host:2181/ledgers, metadataServiceUri in the file, or "
                     "STELE_METADATA in the environment");
  }
  STELE_TRY_OK(CompleteAddress(config));
  if (options.id.value().empty()) {
    if (options.listen.port == 0) {
      return MakeError(ErrorCode::kConfig,
                       "a bookie on a free port (port 0) needs a name: set bookieId");
    }
    options.id = BookieId(StrCat(options.advertised.host, ":", options.listen.port));
  }
  return absl::OkStatus();
}

absl::StatusOr<BookieSetup> MakeSetup(real::Shard& shard, const BookieCommand& command,
                                      observe::Log* log) {
  std::string text;
  if (!command.config_path.empty()) {
    STELE_TRY(text, shard.RunUntil(ReadText(shard.env().files, command.config_path)));
  }
  auto parsed = bookie::ParseBookieConfig(
      text, command.allow_unknown_keys ? bookie::UnknownKeys::kWarn : bookie::UnknownKeys::kRefuse);
  if (!parsed.ok()) return WithContext(parsed.status(), command.config_path);
  BookieSetup setup{.config = *std::move(parsed), .init_if_missing = command.init_if_missing};
  for (const std::string& setting : command.settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return MakeError(ErrorCode::kConfig, StrCat("--set ", setting, ": expected key=value"));
    }
    STELE_TRY_OK(
        bookie::SetBookieKey(setting.substr(0, equals), setting.substr(equals + 1), setup.config));
  }
  STELE_TRY_OK(CheckUser(setup.config.permitted_users));
  STELE_TRY_OK(bookie::CheckBookieConfig(setup.config));
  if (setup.config.tls.is_on) {
    STELE_TRY(setup.config.options.peers.tls, real::LoadTlsCredentials(setup.config.tls.files));
  }
  SetDataDirectory(command.data_directory, setup.config.options);
  if (command.port >= 0) setup.config.options.listen.port = static_cast<uint16_t>(command.port);
  std::string& uri = setup.config.metadata_service_uri;
  if (!command.metadata_uri.empty()) uri = command.metadata_uri;
  if (uri.empty()) uri = command.default_metadata_uri;
  STELE_TRY_OK(CompleteOptions(setup.config));
  STELE_TRY(setup.uri, metadata::ParseServiceUri(setup.config.metadata_service_uri));
  setup.config.options.ledgers_root = setup.uri.root;
  for (const std::string& warning : setup.config.warnings) {
    log->Write(LogLevel::kWarning, "configuration", {{"note", std::string_view(warning)}});
  }
  return setup;
}

real::LinkLimits LinkLimitsOf(const BookieConfig& config) {
  return {.send_stall_max = config.send_stall_max,
          .partial_frames_max_bytes = static_cast<size_t>(config.partial_frames_max_bytes),
          .first_byte_max = config.first_byte_max,
          .accepts_per_second_max = static_cast<int>(config.accepts_per_second_max)};
}

// Half of the descriptors are for files, so that peers cannot take those.
void FitToDescriptors(int64_t descriptors, bookie::BookieOptions& options, observe::Log* log) {
  if (descriptors < kDescriptorsMin) {
    log->Write(LogLevel::kWarning, "few file descriptors are allowed: raise the limit (ulimit -n)",
               {{"limit", descriptors}, {"needed", kDescriptorsMin}});
  }
  const auto limit = static_cast<size_t>(descriptors);
  size_t& connections = options.server.connections_max;
  connections = std::min(connections, limit / 2);
  options.open_index_files_max = std::min(options.open_index_files_max, limit / 8);
}

// The first signal asks for a clean stop. The second ends the process where it stands, as a crash
// does: the next start replays the journal.
std::function<void(int)> StopOnSignal(real::Shard* shard) {
  return [shard, signals = 0](int) mutable {
    if (++signals > 1) std::_Exit(static_cast<int>(ExitCode::kFailed));
    shard->RequestStop();
  };
}

}  // namespace

ExitCode RunBookie(BookieCommand command) {
  const auto fail = [](const absl::Status& status) {
    PrintError(status, Format::kTable);
    return ExitCodeOf(status);
  };
  real::OutliveTerminal();
  real::Shard shard({.name = "bookie"});
  const std::unique_ptr<observe::LevelledLog> log = MakeTextLog(command.log_format, "");
  absl::StatusOr<BookieSetup> setup = MakeSetup(shard, command, log.get());
  if (!setup.ok()) return fail(setup.status());
  FitToDescriptors(real::RaiseDescriptorLimit(), setup->config.options, log.get());
  real::SetLinkLimits(&shard, LinkLimitsOf(setup->config));

  absl::Status fatal = absl::OkStatus();
  RunningBookie running;
  BookieConfig& config = setup->config;
  bookie::BookieOperations operations(shard.executor(), log.get());
  bookie::BookieRoutes routes(&operations, shard.env(), config.settings);
  autorecovery::ClusterOperations cluster;
  autorecovery::ClusterRoutes cluster_routes(shard.env(), &cluster, log.get());
  autorecovery::LedgerRoutes ledger_routes(shard.env(), &cluster);
  const auto admin = AdminPort::Open(
      &shard, {config.http_is_on, config.http_at, config.http_token_path},
      [&](http::Router& router) {
        routes.AddTo(router);
        cluster_routes.AddTo(router);
        ledger_routes.AddTo(router);
      },
      log.get());
  if (!admin.ok()) return fail(admin.status());
  if (*admin != nullptr) config.options.admin = (*admin)->endpoint();
  auto grpc = GrpcPort::Open(
      &shard, {config.grpc_is_on, config.grpc_at, config.grpc_token_path},
      [&](rpc::Router& router) { bookie::AddBookieService(&operations, router); },
      [&] { return operations.Readiness().status(); }, log.get());
  if (!grpc.ok()) return fail(grpc.status());
  routes.ShowAlso([&grpc](observe::MetricsText& into) {
    if (*grpc != nullptr) (*grpc)->Export(into);
  });
  const real::StopSignals signals(&shard, StopOnSignal(&shard));
  const absl::Status started = shard.RunUntil(StartBookie(
      shard.env(), *std::move(setup), log.get(),
      [&](absl::Status why) {
        fatal = std::move(why);
        shard.RequestStop();
      },
      &running));
  if (!started.ok()) return fail(started);
  operations.SetBookie(running.bookie.get());
  if (running.access.has_value()) cluster.SetAccess(*running.access);
  if (!command.ready_file.empty()) {
    const Endpoint at = running.bookie->Status().endpoint;
    const absl::Status written = shard.RunUntil(ReplaceTextFile(
        shard.env().files, command.ready_file, StrCat(at.host, ":", at.port, "\n")));
    if (!written.ok()) return fail(written);
  }
  TellServiceManager("READY=1");
  shard.Run();
  // After a failure nothing that is in memory may be believed: the next start replays the journal.
  // As in a crash the process ends where it stands; tidying up would wait for a disk that hangs.
  if (!fatal.ok()) std::_Exit(static_cast<int>(fail(fatal)));
  log->Write(LogLevel::kInfo, "stopping");
  TellServiceManager("STOPPING=1");
  operations.SetBookie(nullptr);
  cluster.ClearAccess();
  const absl::Status stopped = shard.RunUntil(StopBookie(&running));
  if (!stopped.ok()) return fail(stopped);
  log->Write(LogLevel::kInfo, "stopped");
  return ExitCode::kOk;
}

ExitCode RunStandalone(StandaloneCommand command) {
  const auto fail = [](const absl::Status& status) {
    PrintError(status, Format::kTable);
    return ExitCodeOf(status);
  };
  // All bookies share this process and this thread: a cluster to try things with, not to measure.
  real::OutliveTerminal();
  real::RaiseDescriptorLimit();
  real::Shard shard({.name = "standalone"});
  const std::string uri_text = StrCat("sqlite://", command.data_directory, "/metadata.db");
  const absl::StatusOr<metadata::ServiceUri> uri = metadata::ParseServiceUri(uri_text);
  if (!uri.ok()) return fail(uri.status());
  absl::Status made = shard.RunUntil(shard.env().files->MakeDirectories(command.data_directory));
  if (!made.ok()) return fail(made);

  absl::Status fatal = absl::OkStatus();
  const real::StopSignals signals(&shard, StopOnSignal(&shard));
  std::vector<std::unique_ptr<observe::Log>> logs;
  std::vector<std::unique_ptr<RunningBookie>> running;
  std::string ready = uri_text + "\n";
  for (int i = 0; i < command.bookies; ++i) {
    BookieSetup setup{.uri = *uri, .init_if_missing = true};
    bookie::BookieOptions& options = setup.config.options;
    options.id = BookieId(StrCat("bookie-", i + 1));
    options.listen = {"127.0.0.1",
                      static_cast<uint16_t>(command.base_port == 0 ? 0 : command.base_port + i)};
    options.advertised.host = "127.0.0.1";
    options.ledgers_root = uri->root;
    SetDataDirectory(StrCat(command.data_directory, "/bookie-", i + 1), options);
    logs.push_back(MakeTextLog(command.log_format, options.id.value()));
    running.push_back(std::make_unique<RunningBookie>());
    const absl::Status started = shard.RunUntil(StartBookie(
        shard.env(), std::move(setup), logs.back().get(),
        [&](absl::Status why) {
          fatal = std::move(why);
          shard.RequestStop();
        },
        running.back().get()));
    if (!started.ok()) return fail(started);
    const bookie::BookieStatus status = running.back()->bookie->Status();
    ready += StrCat(status.id.value(), " ", status.endpoint.host, ":", status.endpoint.port, "\n");
  }
  // They keep the copies of each other: the cluster is whole when one of its disks is lost.
  RunningAutorecovery autorecovery;
  const std::unique_ptr<observe::Log> autorecovery_log =
      MakeTextLog(command.log_format, "autorecovery");
  autorecovery::AutorecoveryOptions repair;
  repair.name = "standalone";
  repair.log = autorecovery_log.get();
  repair.client.log = autorecovery_log.get();
  made = shard.RunUntil(StartAutorecovery(shard.env(), *uri, std::move(repair), &autorecovery));
  if (!made.ok()) return fail(made);
  std::printf("%d bookies serve; metadata: %s\n\nTry:\n  stele ledger create --metadata %s\n",
              command.bookies, uri_text.c_str(), uri_text.c_str());
  std::fflush(stdout);
  if (!command.ready_file.empty()) {
    made = shard.RunUntil(ReplaceTextFile(shard.env().files, command.ready_file, ready));
    if (!made.ok()) return fail(made);
  }
  shard.Run();
  if (!fatal.ok()) return fail(fatal);
  shard.RunUntil(StopAutorecovery(&autorecovery));
  absl::Status first_error = absl::OkStatus();
  for (const auto& bookie : running) {
    const absl::Status stopped = shard.RunUntil(StopBookie(bookie.get()));
    if (first_error.ok()) first_error = stopped;
  }
  return first_error.ok() ? ExitCode::kOk : fail(first_error);
}

}  // namespace stele::shell

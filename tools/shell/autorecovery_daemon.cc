#include "tools/shell/autorecovery_daemon.h"

#include <array>
#include <string>
#include <utility>

#include <unistd.h>

#include "autorecovery/admin/autorecovery_routes.h"
#include "autorecovery/admin/autorecovery_service.h"
#include "autorecovery/admin/cluster_routes.h"
#include "autorecovery/admin/ledger_routes.h"
#include "bookie/config/tls_keys.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/http_fetcher.h"
#include "common/real/shard.h"
#include "common/real/signals.h"
#include "metadata/cluster_init.h"
#include "metadata/drivers/open_metadata_store.h"
#include "tools/shell/admin_port.h"
#include "tools/shell/client_config.h"
#include "tools/shell/grpc_port.h"
#include "tools/shell/output.h"
#include "tools/shell/service_manager.h"
#include "tools/shell/text_file.h"

namespace stele::shell {
namespace {

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

Task<absl::StatusOr<Buffer>> ReadSmallFile(FileSystem* files, std::string path) {
  constexpr size_t kRacksFileSizeMaxBytes = 4 << 20;
  co_return co_await ReadFile(files, std::move(path), kRacksFileSizeMaxBytes);
}

absl::StatusOr<autorecovery::RackMap> ReadRacks(real::Shard& shard, const std::string& path) {
  STELE_TRY(const Buffer bytes, shard.RunUntil(ReadSmallFile(shard.env().files, path)));
  absl::StatusOr<autorecovery::RackMap> racks = autorecovery::RackMap::Parse(bytes.ToString());
  if (!racks.ok()) return WithContext(racks.status(), path);
  return racks;
}

}  // namespace

Task<absl::Status> StartAutorecovery(Env env, metadata::ServiceUri uri,
                                     autorecovery::AutorecoveryOptions options,
                                     RunningAutorecovery* into) {
  STELE_CO_TRY(into->store, co_await metadata::OpenMetadataStore(uri, env.executor, env.clock,
                                                                 {.create_if_missing = false}));
  STELE_CO_TRY(into->cluster,
               co_await metadata::OpenCluster(into->store.get(), uri.root, uri.layout));
  STELE_CO_TRY(into->autorecovery, co_await autorecovery::AutoRecovery::Start(
                                       env, into->store.get(), *into->cluster, std::move(options)));
  co_return absl::OkStatus();
}

Task<void> StopAutorecovery(RunningAutorecovery* running) {
  if (running->autorecovery != nullptr) co_await running->autorecovery->Stop();
  running->autorecovery.reset();
  if (running->store != nullptr) co_await running->store->Close();
  running->store.reset();
}

ExitCode RunAutorecovery(const AutorecoveryCommand& command) {
  const auto fail = [](const absl::Status& status) {
    PrintError(status, Format::kTable);
    return ExitCodeOf(status);
  };
  if (command.metadata_uri.empty()) {
    return fail(MakeError(ErrorCode::kConfig,
                          "no metadata store: give --metadata sqlite:///path/meta.db or "
                          "zk+hierarchical://host:2181/ledgers, or set STELE_METADATA"));
  }
  const absl::StatusOr<metadata::ServiceUri> uri = metadata::ParseServiceUri(command.metadata_uri);
  if (!uri.ok()) return fail(uri.status());
  real::Shard shard({.name = "autorecovery"});
  const std::unique_ptr<observe::LevelledLog> log = MakeTextLog(command.log_format, "");
  autorecovery::AutorecoveryOptions options;
  options.name = command.name.empty() ? HostName() : command.name;
  options.runs_auditor = command.runs_auditor;
  options.runs_worker = command.runs_worker;
  options.ledgers_in_flight_max = static_cast<size_t>(command.ledgers_in_flight);
  options.log = log.get();
  options.client.log = log.get();
  if (command.placement_check_seconds > 0) {
    options.placement_check_interval = absl::Seconds(command.placement_check_seconds);
  }
  if (!command.racks_path.empty()) {
    absl::StatusOr<autorecovery::RackMap> racks = ReadRacks(shard, command.racks_path);
    if (!racks.ok()) return fail(racks.status());
    options.racks = *std::move(racks);
  }
  const absl::StatusOr<bookie::TlsSettings> tls =
      UseClientConfig(shard, command.client_config_path, options.client);
  if (!tls.ok()) return fail(tls.status());
  const real::StopSignals signals(&shard, [&](int) { shard.RequestStop(); });
  RunningAutorecovery running;
  std::unique_ptr<real::RealHttpFetcher> fetcher;
  if (!command.http_address.empty()) {
    fetcher = std::make_unique<real::RealHttpFetcher>(shard.executor());
  }
  autorecovery::AutorecoveryOperations operations;
  autorecovery::AutorecoveryRoutes routes(shard.env(), &operations, fetcher.get());
  autorecovery::AutorecoveryService service(shard.env(), &operations);
  const std::string name = options.name;
  const client::ClientOptions client_options = options.client;
  auto admin_options =
      PortOfFlag("--http", command.http_address, command.http_token_path, tls->is_required);
  if (!admin_options.ok()) return fail(admin_options.status());
  auto grpc_options =
      PortOfFlag("--grpc", command.grpc_address, command.grpc_token_path, tls->is_required);
  if (!grpc_options.ok()) return fail(grpc_options.status());
  auto cluster_routes =
      std::make_unique<autorecovery::ClusterRoutes>(shard.env(), &operations.cluster(), log.get());
  autorecovery::LedgerRoutes ledger_routes(shard.env(), &operations.cluster());
  auto admin = AdminPort::Open(
      &shard, *std::move(admin_options),
      [&](http::Router& router) {
        routes.AddTo(router);
        cluster_routes->AddTo(router);
        ledger_routes.AddTo(router);
      },
      log.get());
  if (!admin.ok()) return fail(admin.status());
  auto grpc = GrpcPort::Open(
      &shard, *std::move(grpc_options), [&](rpc::Router& router) { service.AddTo(router); },
      [&] { return operations.Readiness(); }, log.get());
  if (!grpc.ok()) return fail(grpc.status());
  routes.ShowAlso([&grpc](observe::MetricsText& into) {
    if (*grpc != nullptr) (*grpc)->Export(into);
  });
  absl::Status status =
      shard.RunUntil(StartAutorecovery(shard.env(), *uri, std::move(options), &running));
  if (status.ok() && !command.ready_file.empty()) {
    status = shard.RunUntil(
        ReplaceTextFile(shard.env().files, command.ready_file, StrCat(command.metadata_uri, "\n")));
  }
  if (status.ok()) {
    operations.SetRunning(
        {running.autorecovery.get(), running.store.get(), *running.cluster, name, client_options});
    log->Write(observe::LogLevel::kInfo, "autorecovery runs");
    TellServiceManager("READY=1");
    shard.Run();
    log->Write(observe::LogLevel::kInfo, "stopping");
    TellServiceManager("STOPPING=1");
  }
  grpc->reset();  // and with them the answers that use the store
  admin->reset();
  routes.Clear();
  cluster_routes.reset();
  shard.RunUntil(StopAutorecovery(&running));
  return status.ok() ? ExitCode::kOk : fail(status);
}

}  // namespace stele::shell

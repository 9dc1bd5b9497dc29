// Auditor and worker as part of a process: of stele autorecovery, and of stele standalone.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "autorecovery/auto_recovery.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"
#include "metadata/service_uri.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/text_log.h"

namespace stele::shell {

// With its store, on the shard that runs it.
struct RunningAutorecovery {
  std::unique_ptr<metadata::MetadataStore> store;
  std::optional<metadata::Cluster> cluster;
  std::unique_ptr<autorecovery::AutoRecovery> autorecovery;
};

// What `into` points to outlives the task, and is stopped with StopAutorecovery().
Task<absl::Status> StartAutorecovery(Env env, metadata::ServiceUri uri,
                                     autorecovery::AutorecoveryOptions options,
                                     RunningAutorecovery* into);
Task<void> StopAutorecovery(RunningAutorecovery* running);

struct AutorecoveryCommand {
  std::string metadata_uri;
  std::string client_config_path;  // --client-conf; empty: none
  std::string name;                // --name: what locks and votes say; empty: the host's
  bool runs_auditor = true;
  bool runs_worker = true;
  int64_t ledgers_in_flight = 64;
  std::string racks_path;               // --racks; empty: all are in one
  int64_t placement_check_seconds = 0;  // --placement-check; 0: never
  std::string http_address;             // --http HOST:PORT; empty: no admin port
  std::string http_token_path;          // --http-token-file
  std::string grpc_address;             // --grpc HOST:PORT; empty: no gRPC
  std::string grpc_token_path;          // --grpc-token-file
  std::string ready_file;
  LogFormat log_format = LogFormat::kText;
};
ExitCode RunAutorecovery(const AutorecoveryCommand& command);

}  // namespace stele::shell

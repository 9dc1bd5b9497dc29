// stele bookie, stele standalone: the processes that serve.
#pragma once

#include <string>
#include <vector>

#include "tools/shell/exit_code.h"
#include "tools/shell/text_log.h"

namespace stele::shell {

struct BookieCommand {
  std::string config_path;            // --conf; empty: none
  bool allow_unknown_keys = false;    // --allow-unknown-keys
  std::vector<std::string> settings;  // --set key=value, after the file
  std::string metadata_uri;           // --metadata, over metadataServiceUri
  std::string default_metadata_uri;   // STELE_METADATA, when neither is given
  std::string data_directory;         // --data: journal, ledgers and index below it
  int port = -1;                      // --port; -1: as configured
  std::string ready_file;             // --ready-file: written with "host:port" once it serves
  bool init_if_missing = false;       // --init: makes the cluster when there is none
  LogFormat log_format = LogFormat::kText;
};
ExitCode RunBookie(BookieCommand command);

struct StandaloneCommand {
  int bookies = 3;
  int base_port = 0;           // bookie i listens on base_port + i; 0: free ports
  std::string data_directory;  // metadata and data of all bookies
  std::string ready_file;
  LogFormat log_format = LogFormat::kText;
};
ExitCode RunStandalone(StandaloneCommand command);

}  // namespace stele::shell

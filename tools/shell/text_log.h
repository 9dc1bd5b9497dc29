// TextLog: the product's log on stderr, through spdlog: text for people or JSON lines for machines.
#pragma once

#include <memory>
#include <string>

#include "common/observe/log.h"

namespace stele::shell {

enum class LogFormat { kText, kJsonLines };

// From kInfo on. Threads: any; shards share one log.
//   component   named in every line, e.g. the bookie's id; may be empty
std::unique_ptr<observe::LevelledLog> MakeTextLog(LogFormat format, std::string component);

}  // namespace stele::shell

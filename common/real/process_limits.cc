#include "common/real/process_limits.h"

#include <csignal>

#include <sys/resource.h>

#include "common/base/check.h"

namespace stele::real {

int64_t RaiseDescriptorLimit() {
  rlimit limit = {};
  STELE_CHECK_OP(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return static_cast<int64_t>(setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before);
}

void OutliveTerminal() {
  std::signal(SIGHUP, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace stele::real

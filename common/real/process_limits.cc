#include "common/real/process_limits.h"

#include <array>
#include <csignal>

#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/check.h"

namespace stele::real {

int64_t RaiseDescriptorLimit() {
  rlimit limit = {};
  STELE_CHECK_OP(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return static_cast<int64_t>(setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before);
}

std::string UserName() {
  const uid_t id = getuid();
  std::array<char, 4096> texts{};
  passwd entry = {};
  passwd* found = nullptr;
  if (getpwuid_r(id, &entry, texts.data(), texts.size(), &found) != 0 || found == nullptr) {
    return std::to_string(id);
  }
  return found->pw_name;
}

void OutliveTerminal() {
  std::signal(SIGHUP, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace stele::real

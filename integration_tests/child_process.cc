#include "integration_tests/child_process.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "common/base/check.h"

namespace stele::integration {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Only what is allowed between fork() and exec() of a process with threads.
[[noreturn]] void RunChild(int input, int output, int error, pid_t parent, char* const* argv,
                           char* const* environment) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  if (error >= 0) dup2(error, STDERR_FILENO);
  execve(argv[0], argv, environment);
  _exit(127);
}

int OpenLog(const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  STELE_CHECK_OP(file, >=, 0);
  return file;
}

}  // namespace

std::unique_ptr<ChildProcess> ChildProcess::Start(Options options) {
  int input[2];
  int output[2];
  STELE_CHECK_OP(pipe2(input, O_CLOEXEC), ==, 0);
  STELE_CHECK_OP(pipe2(output, O_CLOEXEC), ==, 0);
  int error = -1;
  if (!options.output_path.empty()) {
    close(output[1]);
    output[1] = OpenLog(options.output_path);
    error = output[1];
  }
  if (!options.error_path.empty()) error = OpenLog(options.error_path);
  std::vector<std::string> environment = std::move(options.environment);
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  const std::vector<char*> argv = Pointers(options.argv);
  const std::vector<char*> envp = Pointers(environment);

  std::unique_ptr<ChildProcess> child(new ChildProcess());
  const pid_t parent = getpid();
  child->pid_ = fork();
  STELE_CHECK_OP(child->pid_, >=, 0);
  if (child->pid_ == 0) RunChild(input[0], output[1], error, parent, argv.data(), envp.data());
  // Both sides set it, so that it is set whoever comes first.
  setpgid(child->pid_, child->pid_);
  close(input[0]);
  close(output[1]);
  if (error >= 0 && error != output[1]) close(error);
  child->standard_input_ = input[1];
  child->standard_output_ = output[0];
  return child;
}

ChildProcess::~ChildProcess() {
  Signal(SIGKILL);
  Wait();
  CloseStandardInput();
  close(standard_output_);
}

std::optional<std::string> ChildProcess::ReadLine(absl::Duration limit) {
  const absl::Time give_up = absl::Now() + limit;
  while (true) {
    if (const size_t end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    struct pollfd wanted = {.fd = standard_output_, .events = POLLIN, .revents = 0};
    const int64_t left = absl::ToInt64Milliseconds(give_up - absl::Now());
    if (poll(&wanted, 1, static_cast<int>(std::max<int64_t>(left, 0))) <= 0) return std::nullopt;
    char bytes[4096];
    const ssize_t size = read(standard_output_, bytes, sizeof(bytes));
    if (size <= 0) return std::nullopt;
    unread_.append(bytes, static_cast<size_t>(size));
  }
}

void ChildProcess::WriteLine(const std::string& line) {
  STELE_CHECK(IsRunning());
  const std::string bytes = line + "\n";
  STELE_CHECK_OP(write(standard_input_, bytes.data(), bytes.size()), ==,
                 static_cast<ssize_t>(bytes.size()));
}

void ChildProcess::CloseStandardInput() {
  if (standard_input_ >= 0) close(std::exchange(standard_input_, -1));
}

void ChildProcess::Signal(int signal) {
  if (!exit_code_.has_value()) kill(-pid_, signal);
}

bool ChildProcess::IsRunning() { return !Reap(WNOHANG); }

int ChildProcess::Wait() {
  STELE_CHECK(Reap(0));
  return *exit_code_;
}

bool ChildProcess::Reap(int options) {
  if (exit_code_.has_value()) return true;
  int status = 0;
  pid_t ended;
  do {
    ended = waitpid(pid_, &status, options);
  } while (ended < 0 && errno == EINTR);
  if (ended != pid_) return false;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

}  // namespace stele::integration

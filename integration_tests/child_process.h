// A program that a test runs beside itself: with pipes to its standard input and output, in a
// process group of its own that is killed with the object, and also when the test itself is killed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "absl/time/time.h"

namespace stele::integration {

class ChildProcess {
 public:
  struct Options {
    // argv[0] is the path of the program.
    std::vector<std::string> argv;
    // Standard output and error go to this file instead of ReadLine() and the test's own.
    std::string output_path;
    // Standard error alone goes to this file.
    std::string error_path;
    // "NAME=value", added to the test's own environment.
    std::vector<std::string> environment;
  };

  // Aborts the test when the program cannot be started.
  static std::unique_ptr<ChildProcess> Start(Options options);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  // Kills the group and reaps the child.
  ~ChildProcess();

  pid_t pid() const { return pid_; }

  // The next line without its newline; nullopt at the end of the output, or when none comes in
  // time.
  std::optional<std::string> ReadLine(absl::Duration limit = absl::Seconds(60));
  // To its standard input. The child must be running.
  void WriteLine(const std::string& line);
  void CloseStandardInput();

  bool IsRunning();
  // To the whole group.
  void Signal(int signal);
  // The exit code, or 128 plus the signal that ended it.
  int Wait();

 private:
  ChildProcess() = default;
  // Whether it has ended; with option 0 waits for that.
  bool Reap(int options);

  pid_t pid_ = -1;
  int standard_input_ = -1;
  int standard_output_ = -1;
  std::string unread_;
  std::optional<int> exit_code_;
};

}  // namespace stele::integration

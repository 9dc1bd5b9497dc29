#include "simulation/swarm/job_pool.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "simulation/swarm/result_text.h"

namespace stele::simulation {
namespace {

// A run takes seconds of a processor. One that takes so many is in a loop. Not of the clock on the
// wall: a busy machine changes no verdict.
constexpr rlim_t kProcessorSecondsMax = 900;

[[noreturn]] void RunAndTell(const Scenario& scenario, int pipe) {
  // A core of each run that dies would fill the disk.
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const rlimit time{kProcessorSecondsMax, kProcessorSecondsMax + 1};
  setrlimit(RLIMIT_CPU, &time);
  dup2(pipe, STDOUT_FILENO);
  dup2(pipe, STDERR_FILENO);
  const std::string text = ToText(RunScenario(scenario));
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(pipe, text.data() + at, text.size() - at);
    if (written <= 0) _exit(2);
    at += static_cast<size_t>(written);
  }
  _exit(0);
}

}  // namespace

JobPool::~JobPool() {
  for (const Job& job : running_) {
    kill(job.pid, SIGKILL);
    close(job.pipe);
    waitpid(job.pid, nullptr, 0);
  }
}

void JobPool::Start(const Scenario& scenario) {
  int ends[2];
  STELE_CHECK(pipe(ends) == 0);
  fflush(nullptr);
  const pid_t pid = fork();
  STELE_CHECK(pid >= 0);
  if (pid == 0) {
    close(ends[0]);
    RunAndTell(scenario, ends[1]);
  }
  close(ends[1]);
  running_.push_back({.scenario = scenario,
                      .pid = pid,
                      .pipe = ends[0],
                      .begin = std::chrono::steady_clock::now()});
}

JobResult JobPool::Wait() {
  STELE_CHECK(!running_.empty());
  for (;;) {
    std::vector<pollfd> polled;
    for (const Job& job : running_) polled.push_back({.fd = job.pipe, .events = POLLIN});
    poll(polled.data(), polled.size(), 1'000);
    size_t index = 0;
    for (auto job = running_.begin(); job != running_.end(); ++job, ++index) {
      if (polled[index].revents == 0) continue;
      char buffer[65'536];
      const ssize_t count = read(job->pipe, buffer, sizeof(buffer));
      if (count > 0) {
        job->output.append(buffer, static_cast<size_t>(count));
        continue;
      }
      return Finish(job);
    }
  }
}

JobResult JobPool::Finish(std::list<Job>::iterator job) {
  int status = 0;
  waitpid(job->pid, &status, 0);
  close(job->pipe);
  JobResult result;
  result.scenario = std::move(job->scenario);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - job->begin;
  result.seconds = time.count();
  std::string noise;
  if (!ParseResult(job->output, &result.run, &noise)) {
    const bool hangs = WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU;
    const std::string how = WIFSIGNALED(status) ? StrCat("signal ", WTERMSIG(status))
                                                : StrCat("exit code ", WEXITSTATUS(status));
    result.run.findings.push_back(
        {hangs ? "Hang" : "Crash", StrCat("the run died by ", how, "\n", noise)});
  }
  running_.erase(job);
  return result;
}

}  // namespace stele::simulation

#include "integration_tests/rig/history_file.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "common/base/check.h"
#include "simulation/history/text_format.h"

namespace stele::rig {
namespace {

// The clock that all processes of a machine share, and that nobody sets.
int64_t Nanoseconds() {
  timespec now;
  STELE_CHECK_OP(clock_gettime(CLOCK_MONOTONIC, &now), ==, 0);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

HistoryFile::HistoryFile(const std::string& path, std::string process, int64_t first_number)
    : process_(std::move(process)),
      descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)),
      next_number_(first_number) {
  STELE_CHECK_OP(descriptor_, >=, 0);
}

HistoryFile::~HistoryFile() { close(descriptor_); }

int64_t HistoryFile::NextNumber() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return next_number_++;
}

int64_t HistoryFile::Invoke(history::Question question) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int64_t id = next_number_++;
  history::Call call;
  call.id = id;
  call.process = process_;
  call.question = std::move(question);
  call.invoked_nanoseconds = Nanoseconds();
  Write(history::InvokeLine(call));
  pending_.emplace(id, std::move(call.question));
  return id;
}

void HistoryFile::Ok(int64_t id, history::Answer answer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = pending_.find(id);
  STELE_CHECK(found != pending_.end());
  history::Call call;
  call.id = id;
  call.process = process_;
  call.question = std::move(found->second);
  call.outcome = history::Outcome::kOk;
  call.answer = std::move(answer);
  call.ended_nanoseconds = Nanoseconds();
  pending_.erase(found);
  Write(history::EndLine(call));
}

void HistoryFile::Error(int64_t id, const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  STELE_CHECK(pending_.erase(id) == 1);
  history::Call call;
  call.id = id;
  call.process = process_;
  call.outcome = history::Outcome::kError;
  call.code = CodeOf(status);
  call.effect = EffectOf(status);
  call.ended_nanoseconds = Nanoseconds();
  Write(history::EndLine(call));
}

void HistoryFile::End(int64_t call, const absl::Status& status) {
  if (status.ok()) {
    Ok(call);
  } else {
    Error(call, status);
  }
}

size_t HistoryFile::pending() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pending_.size();
}

// One system call for a line: a killed process leaves whole lines, or the begin of the last one.
void HistoryFile::Write(const std::string& line) {
  ssize_t written;
  do {
    written = write(descriptor_, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  STELE_CHECK_OP(written, ==, static_cast<ssize_t>(line.size()));
}

history::EntrySeen SeenOf(const client::Entry& entry) {
  return {.entry = entry.id, .payload = history::TagOf(entry.payload.view())};
}

}  // namespace stele::rig

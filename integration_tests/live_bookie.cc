#include "integration_tests/live_bookie.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>
#include <signal.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bookie/testing/wire_client.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/strings.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::integration {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr std::chrono::milliseconds kPause(5);
constexpr LedgerId kHealthyLedger{1'000'000};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string MakeDirectory() {
  std::string pattern = StrCat(std::getenv("TEST_TMPDIR"), "/bookie-XXXXXX");
  STELE_CHECK(mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

}  // namespace

std::string SteleProgram() {
  return StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"),
                "/tools/shell/stele");
}

// ---- The bookie

LiveBookie::LiveBookie(Options options)
    : options_(std::move(options)), directory_(MakeDirectory()) {
  if (!Start()) {
    std::fprintf(stderr, "the bookie does not start:\n%s\n", log().c_str());
    std::abort();
  }
}

LiveBookie::~LiveBookie() {
  process_.reset();
  std::filesystem::remove_all(directory_);
}

void LiveBookie::Launch() {
  std::filesystem::remove(ready_file());
  std::vector<std::string> argv;
  if (options_.descriptors > 0) {
    argv = {"/usr/bin/prlimit", StrCat("--nofile=", options_.descriptors)};
  }
  // Small files: a test starts several bookies.
  for (const std::string& argument : std::vector<std::string>{
           SteleProgram(), "bookie", "--init", "--metadata",
           StrCat("sqlite://", directory_, "/metadata.db"), "--data", directory_ + "/data",
           "--port", "0", "--ready-file", ready_file(), "--set", "bookieId=bookie-1", "--set",
           "journalMaxSizeMB=8", "--set", "flushInterval=200"}) {
    argv.push_back(argument);
  }
  for (const std::string& setting : options_.settings) {
    argv.push_back("--set");
    argv.push_back(setting);
  }
  // The output of an earlier process stays: what it said is part of the story.
  const std::string earlier = log();
  process_ = ChildProcess::Start({.argv = std::move(argv), .output_path = directory_ + "/log.now"});
  std::ofstream(directory_ + "/log.before") << earlier;
}

bool LiveBookie::Start() {
  Launch();
  const absl::Time give_up = absl::Now() + kPatience;
  while (absl::Now() < give_up) {
    if (std::filesystem::exists(ready_file())) {
      const std::string text = ReadFile(ready_file());
      const size_t colon = text.rfind(':');
      endpoint_ = {text.substr(0, colon), static_cast<uint16_t>(std::stoi(text.substr(colon + 1)))};
      return true;
    }
    if (!process_->IsRunning()) {
      exit_code_ = process_->Wait();
      return false;
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

int LiveBookie::StartAndStop(absl::Duration delay) {
  Launch();
  absl::SleepFor(delay);
  return Stop();
}

int64_t LiveBookie::resident_bytes() const {
  std::istringstream status(ReadFile(StrCat("/proc/", process_->pid(), "/status")));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

int64_t LiveBookie::descriptors() const {
  const std::filesystem::directory_iterator files(StrCat("/proc/", process_->pid(), "/fd"));
  return std::distance(begin(files), end(files));
}

int LiveBookie::Stop() {
  Signal(SIGTERM);
  return exit_code_ = process_->Wait();
}

void LiveBookie::Kill() {
  Signal(SIGKILL);
  exit_code_ = process_->Wait();
}

std::string LiveBookie::log() const {
  return ReadFile(directory_ + "/log.before") + ReadFile(directory_ + "/log.now");
}

Endpoint LiveBookie::EndpointOf(const std::string& port) const {
  const std::string text = ReadFile(directory_ + "/log.now");
  const size_t line = text.find(port + " host=127.0.0.1 port=");
  if (line == std::string::npos) return {};
  return {"127.0.0.1", static_cast<uint16_t>(std::stoi(text.substr(text.find("port=", line) + 5)))};
}

int64_t LiveBookie::BadInputs(const std::string& reason) const {
  const std::string wanted = StrCat("bad input in all reason=", reason, " count=");
  const std::string text = ReadFile(directory_ + "/log.now");
  const size_t found = text.find(wanted);
  return found == std::string::npos ? 0 : std::stoll(text.substr(found + wanted.size()));
}

// ---- Frames

std::string FrameOf(wire::Request request, wire::ProtocolVersion version, uint64_t txn_id) {
  request.header.version = version;
  request.header.txn_id = txn_id;
  const auto frame = wire::EncodeRequest(request);
  STELE_CHECK(frame.ok());
  return real::Framed(frame->head + frame->body.ToString());
}

std::string ReceiveFrame(real::RawPeer& peer) {
  const std::string prefix = peer.Receive(4);
  if (prefix.size() < 4) return {};
  return peer.Receive(LoadBigEndian<uint32_t>(prefix.data()));
}

wire::Reply ReceiveReply(real::RawPeer& peer, wire::ProtocolVersion version) {
  const auto reply = wire::DecodeReply(version, Buffer::FromString(ReceiveFrame(peer)));
  EXPECT_TRUE(reply.ok()) << reply.status();
  return reply.ok() ? *reply : wire::Reply{.code = wire::ReplyCode::kIoError};
}

wire::Reply CallOnce(const Endpoint& to, wire::Request request, wire::ProtocolVersion version) {
  real::RawPeer peer(to);
  peer.Send(FrameOf(std::move(request), version));
  return ReceiveReply(peer, version);
}

// ---- The writer

HealthyWriter::HealthyWriter(const Endpoint& to) : peer_(to), thread_([this] { Run(); }) {}

HealthyWriter::~HealthyWriter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void HealthyWriter::Run() {
  const bookie::LedgerRequests requests{kHealthyLedger};
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_ && !failed_) {
    const int64_t entry = begun_++;
    lock.unlock();
    peer_.Send(FrameOf(requests.Add(entry, "healthy", entry - 1)));
    const bool ok = ReceiveReply(peer_).code == wire::ReplyCode::kOk;
    lock.lock();
    failed_ = !ok;
    acknowledged_ += ok ? 1 : 0;
    changed_.notify_all();
    changed_.wait_for(lock, kPause, [this] { return stop_; });
  }
}

bool HealthyWriter::AwaitProgress() {
  std::unique_lock<std::mutex> lock(mutex_);
  const int64_t target = begun_ + 1;
  return changed_.wait_for(lock, absl::ToChronoSeconds(kPatience), [&] {
    return failed_ || acknowledged_ >= target;
  }) && !failed_;
}

}  // namespace stele::integration

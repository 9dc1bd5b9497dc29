#include "bookie/testing/bookie_world.h"

#include <utility>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/cluster_init.h"

namespace stele::bookie {
namespace {

// Without parameters by reference: what the task needs outlives it in the world.
Task<void> StartTask(Env env, metadata::MetadataStore* store, BookieOptions options, MemoryLog* log,
                     std::optional<absl::Status>* fatal,
                     absl::StatusOr<std::unique_ptr<Bookie>>* result) {
  const absl::Status made = co_await metadata::InitializeCluster(
      store, env.random, options.ledgers_root, metadata::LayoutType::kHierarchical);
  if (!made.ok() && CodeOf(made) != ErrorCode::kKeyExists) {
    *result = made;
    co_return;
  }
  *result = co_await Bookie::Start(env, store, std::move(options), log,
                                   [fatal](absl::Status why) { *fatal = std::move(why); });
}

Task<void> StopTask(Bookie* bookie, absl::Status* result) { *result = co_await bookie->Stop(); }

Task<void> CallTask(Env env, wire::ProtocolVersion version, Endpoint to, wire::Request request,
                    absl::StatusOr<wire::Reply>* result) {
  WireClient client(env, version);
  const absl::Status connected = co_await client.Connect(std::move(to));
  if (!connected.ok()) {
    *result = connected;
    co_return;
  }
  *result = co_await client.Call(std::move(request));
}

}  // namespace

void MemoryLog::Write(observe::LogLevel level, std::string_view message,
                      std::initializer_list<observe::LogField> fields) {
  std::string line(message);
  for (const observe::LogField& field : fields) line += StrCat(" ", field.name, "=", field.value);
  lines_.push_back(std::move(line));
}

BookieWorld::BookieWorld(uint64_t seed, BookieOptions options)
    : world_({.seed = seed}),
      machine_(world_.AddMachine("bookie")),
      peer_machine_(world_.AddMachine("peer")),
      process_(world_.AddProcess(machine_, "bookie")),
      peer_(world_.AddProcess(peer_machine_, "peer")),
      options_(std::move(options)) {}

BookieOptions BookieWorld::DefaultOptions() {
  BookieOptions options;
  options.id = BookieId("bookie:3181");
  options.listen = {"bookie", 3181};
  options.advertised = {"bookie", 3181};
  options.journal_directories = {"/data/journal"};
  options.ledger_directories = {"/data/ledgers"};
  options.journal_size_max_bytes = 8 << 20;
  options.entry_log_size_max_bytes = 1 << 20;
  options.memtable_max_bytes = 256 << 10;
  options.flush_interval = absl::Seconds(1);
  options.disk_check_interval = absl::Seconds(1);
  options.compaction.reserve_bytes = 64 << 10;
  return options;
}

absl::Status BookieWorld::Start() {
  if (!process_->alive()) process_->Restart();
  fatal_.reset();
  metadata::MetadataStore* store = process_->Own(world_.NewMetadataStore(process_));
  absl::StatusOr<std::unique_ptr<Bookie>> result = absl::UnknownError("did not end");
  const absl::Status ran = world_.RunToEnd(
      process_, StartTask(world_.env(process_), store, options_, &log_, &fatal_, &result));
  if (!ran.ok()) return ran;
  if (!result.ok()) {
    process_->Crash();
    return result.status();
  }
  bookie_ = process_->Own(*std::move(result));
  return absl::OkStatus();
}

absl::Status BookieWorld::Stop() {
  absl::Status result = absl::UnknownError("did not end");
  const absl::Status ran = world_.RunToEnd(process_, StopTask(bookie_, &result));
  EXPECT_TRUE(ran.ok()) << ran;
  Kill();
  return result;
}

void BookieWorld::Kill() {
  bookie_ = nullptr;
  process_->Crash();
}

void BookieWorld::PowerCut() {
  bookie_ = nullptr;
  world_.PowerCut(machine_);
}

void BookieWorld::Run(Task<void> task) {
  const absl::Status ran = world_.RunToEnd(peer_, std::move(task));
  ASSERT_TRUE(ran.ok()) << ran;
}

wire::Reply BookieWorld::Call(wire::ProtocolVersion version, wire::Request request) {
  absl::StatusOr<wire::Reply> result = absl::UnknownError("did not end");
  Run(CallTask(peer_env(), version, endpoint(), std::move(request), &result));
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : wire::Reply{.code = wire::ReplyCode::kIoError};
}

std::string BookieWorld::PayloadOfRead(const LedgerRequests& requests, int64_t entry,
                                       wire::ProtocolVersion version) {
  const wire::Reply reply = Call(version, requests.Read(entry));
  if (reply.code != wire::ReplyCode::kOk) return std::string(NameOf(reply.code));
  return requests.PayloadOf(std::get<wire::ReadReply>(reply.body).body, entry);
}

}  // namespace stele::bookie

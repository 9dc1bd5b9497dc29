#include "bookie/journal/testing/journal_rig.h"

#include <gtest/gtest.h>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/seams/contract/co_assert.h"

namespace stele::bookie {
namespace {

std::string PathOf(std::string_view name) { return StrCat(kJournalDirectory, "/", name); }

Task<void> MakeDirectory(Env env) {
  STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories(kJournalDirectory));
  STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory("/"));
  STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory("/journal"));
}

Task<void> OpenInto(Env env, JournalOptions options, JournalListener* listener,
                    absl::StatusOr<std::unique_ptr<Journal>>* to) {
  *to = co_await OpenJournal(env, std::move(options), listener);
}

template <typename T>
Task<void> Store(Task<T> task, T* to) {
  *to = co_await std::move(task);
}

struct Collector {
  std::vector<std::string>* bodies;
  Task<absl::Status> Take(Buffer body) {
    bodies->push_back(body.ToString());
    co_return absl::OkStatus();
  }
};

Task<void> ReplayInto(Env env, ReplayOptions options, Replayed* to) {
  Collector collector{&to->bodies};
  absl::StatusOr<ReplayReport> report =
      co_await ReplayJournal(env, std::move(options),
                             [&collector](Buffer body) { return collector.Take(std::move(body)); });
  to->status = report.status();
  if (report.ok()) to->report = *std::move(report);
}

Task<void> WriteWhole(Env env, std::string path, std::string content) {
  absl::Status removed = co_await env.files->Remove(path);
  STELE_CO_ASSERT(removed.ok() || CodeOf(removed) == ErrorCode::kNoSuchFile);
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(path, {.access = OpenOptions::Access::kReadWrite,
                                                  .create = OpenOptions::Create::kMustBeNew}));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::FromString(std::move(content))));
  STELE_CO_ASSERT_OK(co_await file->Sync());
  STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory(kJournalDirectory));
}

Task<void> Overwrite(Env env, std::string path, uint64_t offset, std::string bytes) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(path, {.access = OpenOptions::Access::kReadWrite}));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(offset, Buffer::FromString(std::move(bytes))));
  STELE_CO_ASSERT_OK(co_await file->Sync());
}

}  // namespace

void RecordingListener::OnDurable(uint64_t sequence) {
  EXPECT_GT(sequence, durable);
  durable = sequence;
  reports.push_back(sequence);
  if (on_durable) on_durable(sequence);
}

absl::Status DiskObserver::BeforeOperation(const simulation::FileRequest& request) {
  if (request.operation == simulation::FileOperation::kWrite) writes.push_back(request);
  if (request.operation == simulation::FileOperation::kRemove) ++removes;
  return fail ? fail(request) : absl::OkStatus();
}

JournalRig::JournalRig(uint64_t seed, simulation::SimDiskOptions disk_options)
    : world({.seed = seed}),
      machine(world.AddMachine("machine", disk_options)),
      process(world.AddProcess(machine, "bookie")),
      env(world.env(process)) {
  Run(MakeDirectory(env));
  sim_disk().set_faults(&disk);
}

JournalOptions JournalRig::SmallOptions() {
  return {.directory = kJournalDirectory,
          .file_size_max_bytes = 256 << 10,
          .prealloc_bytes = 128 << 10,
          .batch_size_max_bytes = 16 << 10,
          .record_size_max_bytes = 40 << 10,
          .backup_files = 1,
          .pending_max_bytes = 1 << 20};
}

void JournalRig::Run(Task<void> task) {
  const absl::Status status = world.RunToEnd(process, std::move(task));
  ASSERT_TRUE(status.ok()) << status;
}

void JournalRig::RunFor(absl::Duration duration) {
  const absl::Status status = world.scheduler().RunFor(duration);
  ASSERT_TRUE(status.ok()) << status;
}

void JournalRig::RunUntil(const std::function<bool()>& condition) {
  const absl::Status status = world.scheduler().RunUntil(condition);
  ASSERT_TRUE(status.ok()) << status;
}

Journal* JournalRig::Open(JournalOptions options) {
  absl::StatusOr<std::unique_ptr<Journal>> opened = absl::UnknownError("not run");
  Run(OpenInto(env, std::move(options), &listener, &opened));
  open_status_ = opened.status();
  if (!opened.ok()) return nullptr;
  journal_ = process->Own(std::make_unique<std::unique_ptr<Journal>>(*std::move(opened)));
  return journal_->get();
}

absl::Status JournalRig::Close() {
  absl::Status status = absl::UnknownError("not run");
  Run(Store((*journal_)->Close(), &status));
  journal_->reset();
  return status;
}

absl::Status JournalRig::Trim(JournalMark mark) {
  absl::Status status = absl::UnknownError("not run");
  Run(Store((*journal_)->Trim(mark), &status));
  return status;
}

void JournalRig::Restart() {
  process->Restart();
  env = world.env(process);
  listener = RecordingListener();
  journal_ = nullptr;
}

void JournalRig::Crash() {
  process->Crash();
  Restart();
}

void JournalRig::PowerCut() {
  world.PowerCut(machine);
  Restart();
}

Buffer JournalRig::Entry(int64_t entry, std::string_view payload) {
  std::string body;
  AppendBigEndian<int64_t>(body, 7);
  AppendBigEndian<int64_t>(body, entry);
  body.append(payload);
  return Buffer::FromString(std::move(body));
}

Replayed JournalRig::Replay(ReplayOptions options) {
  Replayed result;
  Run(ReplayInto(env, std::move(options), &result));
  return result;
}

std::vector<std::string> JournalRig::FileNames() {
  absl::StatusOr<std::vector<std::string>> names;
  Run(Store(env.files->List(kJournalDirectory), &names));
  EXPECT_TRUE(names.ok()) << names.status();
  return names.ok() ? *std::move(names) : std::vector<std::string>();
}

std::string JournalRig::ReadFile(std::string name) {
  absl::StatusOr<Buffer> content;
  Run(Store(stele::ReadFile(env.files, PathOf(name), 1 << 30), &content));
  EXPECT_TRUE(content.ok()) << content.status();
  return content.ok() ? content->ToString() : "";
}

void JournalRig::WriteFile(std::string name, std::string content) {
  Run(WriteWhole(env, PathOf(name), std::move(content)));
}

void JournalRig::RemoveFile(std::string name) {
  absl::Status status;
  Run(Store(env.files->Remove(PathOf(name)), &status));
  EXPECT_TRUE(status.ok()) << status;
}

void JournalRig::FlipByte(std::string name, size_t offset) {
  const std::string content = ReadFile(name);
  ASSERT_LT(offset, content.size());
  Run(Overwrite(env, PathOf(name), offset, std::string(1, content[offset] ^ 0x40)));
}

}  // namespace stele::bookie

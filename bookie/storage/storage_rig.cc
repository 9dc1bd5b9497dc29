#include "bookie/storage/storage_rig.h"

#include "bookie/storage/entry_log_format.h"
#include "common/base/endian.h"
#include "common/base/try.h"
#include "common/seams/file_system.h"

namespace stele::bookie {
namespace {

Task<absl::Status> MakeDirectoriesDurable(Env env, std::vector<std::string> paths) {
  for (const std::string& path : paths) STELE_CO_TRY_OK(co_await env.files->MakeDirectories(path));
  co_return co_await env.files->SyncDirectory("/");
}

Task<absl::Status> ChangeFile(Env env, std::string path, OpenOptions::Create create,
                              std::optional<uint64_t> truncate, uint64_t offset,
                              std::string bytes) {
  STELE_CO_TRY(const std::unique_ptr<File> file,
               co_await env.files->Open(
                   path, {.access = OpenOptions::Access::kReadWrite, .create = create}));
  if (truncate.has_value()) STELE_CO_TRY_OK(co_await file->Truncate(*truncate));
  if (!bytes.empty()) {
    STELE_CO_TRY_OK(co_await file->WriteAt(offset, Buffer::FromString(std::move(bytes))));
  }
  co_return co_await file->Sync();
}

}  // namespace

Buffer MakeBody(LedgerId ledger, EntryId entry, EntryId lac, std::string_view payload) {
  std::string bytes;
  AppendBigEndian(bytes, ledger.value());
  AppendBigEndian(bytes, entry.value());
  AppendBigEndian(bytes, lac.value());
  AppendBigEndian(bytes, static_cast<int64_t>(payload.size()));
  bytes += payload;
  return Buffer::FromString(std::move(bytes));
}

Buffer MakeBody(LedgerId ledger, EntryId entry, std::string_view payload) {
  return MakeBody(ledger, entry, entry.Previous(), payload);
}

Buffer MakeLacPacket(LedgerId ledger, EntryId lac) {
  std::string bytes;
  AppendBigEndian(bytes, ledger.value());
  AppendBigEndian(bytes, lac.value());
  return Buffer::FromString(std::move(bytes));
}

void TestFaults::Fail(simulation::FileOperation operation, std::string part, ErrorCode code) {
  Set([operation, part, code](const simulation::FileRequest& request) {
    if (request.operation != operation || request.path.find(part) == std::string::npos) {
      return absl::OkStatus();
    }
    return MakeError(code, StrCat("injected: ", request.path));
  });
}

absl::Status TestFaults::BeforeOperation(const simulation::FileRequest& request) {
  if (!rule_) return absl::OkStatus();
  absl::Status status = rule_(request);
  failures_ += status.ok() ? 0 : 1;
  return status;
}

StorageRig::StorageRig(uint64_t seed, int directories)
    : world({.seed = seed}),
      machine(world.AddMachine("machine")),
      process(world.AddProcess(machine, "bookie")) {
  // Ledgers that only entry logs have were deleted, unless a test says otherwise.
  options.is_deleted = [](LedgerId) { return true; };
  for (int i = 0; i < directories; ++i) options.ledger_directories.push_back(StrCat("/d", i));
  const absl::Status made =
      Await(MakeDirectoriesDurable(world.env(process), options.ledger_directories));
  EXPECT_TRUE(made.ok()) << made;
  machine->disk().set_faults(&faults);
}

absl::Status StorageRig::Open() {
  auto opened = Await(OpenLedgerStorage(world.env(process), options));
  if (!opened.ok()) return opened.status();
  storage = process->Own(*std::move(opened));
  return absl::OkStatus();
}

void StorageRig::Kill() {
  process->Crash();
  process->Restart();
  storage = nullptr;
}

void StorageRig::PowerCut() {
  world.PowerCut(machine);
  process->Restart();
  storage = nullptr;
}

void StorageRig::Reopen() {
  Kill();
  MustOpen();
}

void StorageRig::MustPut(LedgerId ledger, EntryId entry, std::string_view payload) {
  const auto loaded = Await(storage->Load(ledger));
  if (CodeOf(loaded.status()) == ErrorCode::kNoSuchLedger) {
    storage->CreateLedger(ledger, KeyOf(ledger));
  } else {
    ASSERT_TRUE(loaded.ok()) << loaded.status();
  }
  ASSERT_EQ(storage->Put(ledger, entry, MakeBody(ledger, entry, payload)), PutResult::kStored);
}

const LedgerState* StorageRig::MustLoad(LedgerId ledger) {
  const auto state = Await(storage->Load(ledger));
  EXPECT_TRUE(state.ok()) << state.status();
  return state.ok() ? *state : nullptr;
}

std::string StorageRig::ReadWholeFile(std::string path) {
  const auto content = Await(ReadFile(world.env(process).files, path, 64 << 20));
  EXPECT_TRUE(content.ok()) << content.status();
  return content.ok() ? content->ToString() : "";
}

void StorageRig::OverwriteFile(std::string path, uint64_t offset, std::string bytes) {
  const absl::Status done = Await(ChangeFile(world.env(process), path, OpenOptions::Create::kNever,
                                             std::nullopt, offset, std::move(bytes)));
  EXPECT_TRUE(done.ok()) << done;
}

void StorageRig::TruncateFile(std::string path, uint64_t size) {
  const absl::Status done =
      Await(ChangeFile(world.env(process), path, OpenOptions::Create::kNever, size, 0, ""));
  EXPECT_TRUE(done.ok()) << done;
}

void StorageRig::CreateFile(std::string path, std::string content) {
  const std::string directory = path.substr(0, path.rfind('/'));
  absl::Status done = Await(world.env(process).files->MakeDirectories(directory));
  EXPECT_TRUE(done.ok()) << done;
  done = Await(ChangeFile(world.env(process), path, OpenOptions::Create::kIfMissing, 0, 0,
                          std::move(content)));
  EXPECT_TRUE(done.ok()) << done;
}

void StorageRig::RemoveFile(std::string path) {
  const absl::Status done = Await(world.env(process).files->Remove(path));
  EXPECT_TRUE(done.ok()) << done;
}

bool StorageRig::Exists(std::string path) {
  return Await(world.env(process).files->Stat(path)).ok();
}

std::vector<std::string> StorageRig::EntryLogFiles(int directory) {
  const auto names = Await(world.env(process).files->List(StrCat("/d", directory)));
  std::vector<std::string> logs;
  for (const std::string& name : *names) {
    if (ParseEntryLogFileName(name).has_value()) logs.push_back(name);
  }
  return logs;
}

}  // namespace stele::bookie

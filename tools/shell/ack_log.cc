#include "tools/shell/ack_log.h"

#include <utility>

#include "common/base/strings.h"
#include "common/base/try.h"
#include "tools/shell/sha256.h"

namespace stele::shell {

AckLog::AckLog(Executor* executor, std::unique_ptr<File> file)
    : file_(std::move(file)), written_(executor), tasks_(executor) {}

Task<absl::StatusOr<std::unique_ptr<AckLog>>> AckLog::Open(Env env, std::string path) {
  const OpenOptions how{.access = OpenOptions::Access::kReadWrite,
                        .create = OpenOptions::Create::kIfMissing};
  STELE_CO_TRY(std::unique_ptr<File> file, co_await env.files->Open(std::move(path), how));
  STELE_CO_TRY_OK(co_await file->Truncate(0));
  co_return std::unique_ptr<AckLog>(new AckLog(env.executor, std::move(file)));
}

void AckLog::Add(EntryId entry, const Buffer& payload, int64_t latency_microseconds) {
  lines_ += StrCat(entry.value(), " ", Sha256Hex(payload.view()), " ", payload.size());
  if (latency_microseconds >= 0) lines_ += StrCat(" ", latency_microseconds);
  lines_ += '\n';
  if (is_writing_) return;
  is_writing_ = true;
  tasks_.Spawn(Write());
}

// What arrives during one write goes out with the next.
Task<void> AckLog::Write() {
  while (status_.ok() && !lines_.empty()) {
    Buffer lines = Buffer::FromString(std::exchange(lines_, {}));
    const size_t size = lines.size();
    status_ = co_await file_->WriteAt(offset_, std::move(lines));
    offset_ += size;
  }
  is_writing_ = false;
  written_.NotifyAll();
}

Task<absl::Status> AckLog::Finish() {
  while (is_writing_) co_await written_.Wait();
  co_return status_;
}

}  // namespace stele::shell

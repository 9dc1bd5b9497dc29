#include "bookie/disk_watch.h"

#include <utility>

#include "common/base/buffer.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr size_t kBlockBytes = 4096;

}  // namespace

DiskWatch::DiskWatch(Env env, std::vector<std::string> directories)
    : env_(env), probing_(directories.size()), scope_(env.executor) {
  for (std::string& directory : directories) {
    health_.push_back({.directory = std::move(directory)});
  }
}

void DiskWatch::BeginRound() {
  for (size_t i = 0; i < health_.size(); ++i) {
    if (probing_[i]) {
      ++health_[i].rounds_without_answer;
    } else {
      probing_[i] = true;
      scope_.Spawn(Probe(i));
    }
  }
}

Task<void> DiskWatch::Probe(size_t index) {
  const MonotonicTime begin = env_.clock->Now();
  const absl::Status status = co_await WriteBlock(health_[index].directory);
  DirectoryHealth& health = health_[index];
  health.status = CodeOf(status) == ErrorCode::kDiskFull ? absl::OkStatus() : status;
  health.last_time = env_.clock->Now() - begin;
  health.rounds_without_answer = 0;
  probing_[index] = false;
}

Task<absl::Status> DiskWatch::WriteBlock(std::string directory) {
  STELE_CO_TRY(const std::unique_ptr<File> file,
               co_await env_.files->Open(StrCat(directory, "/", kProbeFileName),
                                         {.access = OpenOptions::Access::kReadWrite,
                                          .create = OpenOptions::Create::kIfMissing}));
  STELE_CO_TRY_OK(co_await file->WriteAt(0, Buffer::FromString(std::string(kBlockBytes, '\0'))));
  co_return co_await file->Sync();
}

}  // namespace stele::bookie

#include "bookie/storage/open_files.h"

#include "common/base/try.h"

namespace stele::bookie {

Task<absl::StatusOr<std::shared_ptr<File>>> OpenFiles::Get(int64_t key, std::string path) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    co_return found->second->second;
  }
  const uint64_t drops = drops_;
  STELE_CO_TRY(std::shared_ptr<File> file, co_await files_->Open(std::move(path), options_));
  if (drops == drops_ && files_max_ > 0 && !by_key_.contains(key)) {
    by_use_.emplace_front(key, file);
    by_key_[key] = by_use_.begin();
    if (by_use_.size() > files_max_) {
      by_key_.erase(by_use_.back().first);
      by_use_.pop_back();
    }
  }
  co_return file;
}

void OpenFiles::Drop(int64_t key) {
  ++drops_;
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  by_use_.erase(found->second);
  by_key_.erase(found);
}

}  // namespace stele::bookie

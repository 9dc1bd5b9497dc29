// LogExtents: stretches of entry logs that sequential reads have brought into memory, the least
// recently used dropped first. One read of the disk serves the entries beside the one that was
// asked for, also those that are asked for while it is under way. Memtables are elsewhere, so a
// scan of old data pushes nothing out but other scans.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

#include "bookie/storage/entry_log_format.h"
#include "common/async/notification.h"
#include "common/base/buffer.h"

namespace stele::bookie {

// The most that one read brings, but for a single entry that is larger.
inline constexpr size_t kLogExtentMaxBytes = 512 << 10;

class LogExtents {
 public:
  struct Extent {
    Extent(Executor* executor, EntryLogId of_log, uint64_t from, size_t wanted_bytes)
        : log(of_log), begin(from), size(wanted_bytes), arrived(executor) {}

    EntryLogId log;
    uint64_t begin = 0;
    size_t size = 0;  // as asked for; the end of the log may come earlier
    bool is_loading = true;
    Buffer bytes;          // when it has arrived; nothing after an error
    Notification arrived;  // wakes those who found it loading
  };
  using ExtentRef = std::shared_ptr<Extent>;

  LogExtents(Executor* executor, size_t bytes_max) : executor_(executor), bytes_max_(bytes_max) {}

  // The one that has the byte at `offset`, or will have it; null: none. It becomes the last used.
  ExtentRef Find(EntryLogId log, uint64_t offset);
  // Makes room and an extent that is loading; null when all that is here is still loading.
  ExtentRef Begin(EntryLogId log, uint64_t begin, size_t size);
  // Nothing, when it could not be read: then it is forgotten.
  void End(const ExtentRef& extent, Buffer bytes);
  // The log is gone.
  void Drop(EntryLogId log);

  size_t bytes() const { return bytes_; }

 private:
  using ByUse = std::list<ExtentRef>;  // few; the last used first

  void Erase(ByUse::iterator place);

  Executor* const executor_;
  const size_t bytes_max_;
  size_t bytes_ = 0;
  ByUse by_use_;
};

}  // namespace stele::bookie

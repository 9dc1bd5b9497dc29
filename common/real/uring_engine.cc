#include "common/real/uring_engine.h"

#include <cerrno>
#include <utility>

#include <liburing.h>

#include "common/base/check.h"

namespace stele::real {
namespace {

// Operations in the kernel at a time; the rest waits here. The completion queue has twice as many
// places, so it cannot overflow.
constexpr unsigned kOperationsMax = 256;

bool Supports(io_uring* ring) {
  io_uring_probe* const probe = io_uring_get_probe_ring(ring);
  if (probe == nullptr) return false;
  const bool result = io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                      io_uring_opcode_supported(probe, IORING_OP_WRITE) != 0 &&
                      io_uring_opcode_supported(probe, IORING_OP_FSYNC) != 0;
  io_uring_free_probe(probe);
  return result;
}

}  // namespace

void UringEngine::RingDeleter::operator()(io_uring* ring) const {
  io_uring_queue_exit(ring);
  delete ring;
}

std::unique_ptr<UringEngine> UringEngine::TryMake(EventLoop* loop) {
  auto memory = std::make_unique<io_uring>();
  // COOP_TASKRUN: completions wait for the next system call of the thread instead of interrupting
  // it. Kernels before 5.19 do not know the flag.
  if (io_uring_queue_init(kOperationsMax, memory.get(), IORING_SETUP_COOP_TASKRUN) != 0 &&
      io_uring_queue_init(kOperationsMax, memory.get(), 0) != 0) {
    return nullptr;
  }
  Ring ring(memory.release());
  if (!Supports(ring.get())) return nullptr;
  return std::unique_ptr<UringEngine>(new UringEngine(loop, std::move(ring)));
}

UringEngine::UringEngine(EventLoop* loop, Ring ring)
    : DiskEngine(loop), loop_(loop), ring_(std::move(ring)), watcher_(loop, ring_->ring_fd, this) {
  loop_->AddFlusher(this);
}

UringEngine::~UringEngine() {
  waiting_.clear();
  WaitForAll();
  loop_->RemoveFlusher(this);
}

void UringEngine::Issue(std::unique_ptr<DiskOperation> operation) {
  waiting_.push_back(std::move(operation));
}

void UringEngine::Flush() {
  if (in_ring_ == 0 && waiting_.empty()) return;
  // Completed reads may need a second round for their rest, and make room for what waits.
  do {
    Prepare();
    if (has_unsubmitted_ && !Submit()) break;
  } while (Reap() > 0 && !waiting_.empty());
  if (has_unsubmitted_) loop_->Post([] {});  // the kernel is short of memory: again next turn
  if (in_ring_ > 0) watcher_.WaitReadable();
}

void UringEngine::OnReadable() { Reap(); }

void UringEngine::Prepare() {
  while (!waiting_.empty() && in_ring_ < kOperationsMax) {
    io_uring_sqe* const entry = io_uring_get_sqe(ring_.get());
    if (entry == nullptr) return;
    DiskOperation* const operation = waiting_.front().release();
    waiting_.pop_front();
    const int fd = operation->file->fd.get();
    char* const data = operation->data + operation->done;
    const auto size = static_cast<unsigned>(operation->left());
    const uint64_t offset = operation->offset + operation->done;
    switch (operation->kind) {
      case DiskOperation::Kind::kRead: io_uring_prep_read(entry, fd, data, size, offset); break;
      case DiskOperation::Kind::kWrite: io_uring_prep_write(entry, fd, data, size, offset); break;
      case DiskOperation::Kind::kSync: io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC); break;
    }
    io_uring_sqe_set_data(entry, operation);
    ++in_ring_;
    has_unsubmitted_ = true;
  }
}

// False when the kernel could not take everything now.
bool UringEngine::Submit() {
  const int result = io_uring_submit(ring_.get());
  STELE_CHECK(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR ||
              result == -ENOMEM);
  has_unsubmitted_ = io_uring_sq_ready(ring_.get()) > 0;
  return !has_unsubmitted_;
}

size_t UringEngine::Reap() {
  size_t reaped = 0;
  io_uring_cqe* completion = nullptr;
  while (io_uring_peek_cqe(ring_.get(), &completion) == 0) {
    std::unique_ptr<DiskOperation> operation(
        static_cast<DiskOperation*>(io_uring_cqe_get_data(completion)));
    const int result = completion->res;
    io_uring_cqe_seen(ring_.get(), completion);
    --in_ring_;
    ++reaped;
    if (operation->Advance(result)) {
      Finish(std::move(operation));
    } else {
      waiting_.push_front(std::move(operation));
    }
  }
  return reaped;
}

void UringEngine::WaitForAll() {
  for (;;) {
    Prepare();
    if (in_ring_ == 0) return;
    const int result = io_uring_submit_and_wait(ring_.get(), 1);
    STELE_CHECK(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR ||
                result == -ENOMEM);
    has_unsubmitted_ = io_uring_sq_ready(ring_.get()) > 0;
    Reap();
  }
}

}  // namespace stele::real

#include "common/real/blocking_pool.h"

#include <pthread.h>

namespace stele::real {

BlockingPool::BlockingPool(size_t threads_max) : threads_max_(threads_max) {}

BlockingPool::~BlockingPool() {
  std::deque<Job> dropped;
  std::vector<std::thread> threads;
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
    dropped.swap(queue_);
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void BlockingPool::Submit(Job work) {
  {
    const MutexLock lock(&mutex_);
    // Work that a dying call submits is dropped like what was queued.
    if (stopping_) return;
    queue_.push_back(std::move(work));
    if (idle_ < queue_.size() && threads_.size() < threads_max_) {
      threads_.emplace_back([this] { RunThread(); });
    }
  }
  changed_.notify_one();
}

void BlockingPool::WaitUntilIdle() {
  mutex_.Lock();
  while (running_ > 0 || !queue_.empty()) changed_.wait(mutex_);
  mutex_.Unlock();
}

void BlockingPool::RunThread() {
  pthread_setname_np(pthread_self(), "blocking");
  mutex_.Lock();
  for (;;) {
    ++idle_;
    while (queue_.empty() && !stopping_) changed_.wait(mutex_);
    --idle_;
    if (stopping_) break;
    {
      Job work = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
      mutex_.Unlock();
      std::move(work)();
      // `work` and what it holds die here, outside the lock: its destructors may submit.
    }
    mutex_.Lock();
    --running_;
    if (running_ == 0 && queue_.empty()) changed_.notify_all();
  }
  mutex_.Unlock();
}

}  // namespace stele::real

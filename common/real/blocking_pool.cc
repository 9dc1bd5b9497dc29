#include "common/real/blocking_pool.h"

#include <cerrno>
#include <thread>

#include <pthread.h>
#include <semaphore.h>

#include "common/base/check.h"

namespace stele::real {

struct BlockingPool::Worker {
  // Of POSIX: the one of libstdc++ yields its core a few times before it sleeps, and on a busy
  // machine the scheduler lets it pay for that with milliseconds when it is woken.
  sem_t wake;
  Job job;  // set before it is woken; null: stop
  std::thread thread;

  Worker() { STELE_CHECK(sem_init(&wake, 0, 0) == 0); }
  ~Worker() { sem_destroy(&wake); }
  void Wake() { STELE_CHECK(sem_post(&wake) == 0); }
  void Sleep() {
    while (sem_wait(&wake) != 0) STELE_CHECK(errno == EINTR);
  }
};

BlockingPool::BlockingPool(size_t threads_max) : threads_max_(threads_max) {}

BlockingPool::~BlockingPool() {
  std::deque<Job> dropped;
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<Worker*> idle;
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
    dropped.swap(queue_);
    workers.swap(workers_);
    idle.swap(idle_);
  }
  dropped.clear();
  for (Worker* worker : idle) worker->Wake();
  for (const std::unique_ptr<Worker>& worker : workers) worker->thread.join();
}

void BlockingPool::Submit(Job work) {
  Worker* woken = nullptr;
  {
    const MutexLock lock(&mutex_);
    // Work that a dying call submits is dropped like what was queued.
    if (stopping_) return;
    ++unfinished_;
    if (!idle_.empty()) {
      woken = idle_.back();
      idle_.pop_back();
      woken->job = std::move(work);
    } else {
      queue_.push_back(std::move(work));
      if (workers_.size() < threads_max_) {
        Worker* const worker = workers_.emplace_back(std::make_unique<Worker>()).get();
        worker->thread = std::thread([this, worker] { RunWorker(worker); });
      }
    }
  }
  if (woken != nullptr) woken->Wake();
}

void BlockingPool::WaitUntilIdle() {
  mutex_.Lock();
  while (unfinished_ > 0) all_idle_.wait(mutex_);
  mutex_.Unlock();
}

Job BlockingPool::NextJob(Worker* worker) {
  {
    const MutexLock lock(&mutex_);
    if (stopping_) return nullptr;
    if (!queue_.empty()) {
      Job job = std::move(queue_.front());
      queue_.pop_front();
      return job;
    }
    idle_.push_back(worker);
  }
  worker->Sleep();
  return std::move(worker->job);
}

void BlockingPool::RunWorker(Worker* worker) {
  pthread_setname_np(pthread_self(), "blocking");
  while (Job job = NextJob(worker)) {
    std::move(job)();
    // It dies, with what it holds, outside the lock: destructors may submit.
    job = nullptr;
    const MutexLock lock(&mutex_);
    if (--unfinished_ == 0) all_idle_.notify_all();
  }
}

}  // namespace stele::real

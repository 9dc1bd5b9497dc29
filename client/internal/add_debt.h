// AddDebt: how much one bookie owes this client in acknowledgements, and who waits for it to pay.
#pragma once

#include <cstddef>
#include <vector>

#include "client/internal/bookie_client.h"
#include "common/async/executor.h"
#include "common/async/task_scope.h"

namespace stele::client {

// Well below what a bookie refuses (10,000 adds by default), so that a slow bookie slows its
// writers instead of costing them the ensemble.
inline constexpr size_t kAddsOwedMax = 4096;
inline constexpr size_t kAddBytesOwedMax = 32 * 1024 * 1024;

struct AddDebtLimits {
  size_t adds_max = kAddsOwedMax;
  size_t bytes_max = kAddBytesOwedMax;
};

class AddDebt {
 public:
  AddDebt(Executor* executor, AddDebtLimits limits);

  void Owe(size_t size_bytes);
  void Settle(size_t size_bytes);
  bool HasRoom() const { return adds_ < limits_.adds_max && bytes_ < limits_.bytes_max; }

  // sink->OnRoom(), once, when the debt has fallen to half; from the ready queue.
  void CallWhenRoom(AddSink* sink);
  void DropSink(AddSink* sink);

 private:
  bool IsHalfPaid() const {
    return adds_ <= limits_.adds_max / 2 && bytes_ <= limits_.bytes_max / 2;
  }
  void NotifyIfPaid();
  Task<void> Notify();

  Executor* executor_;
  const AddDebtLimits limits_;
  size_t adds_ = 0;
  size_t bytes_ = 0;
  std::vector<AddSink*> waiting_;
  bool is_notifying_ = false;
  TaskScope tasks_;
};

}  // namespace stele::client

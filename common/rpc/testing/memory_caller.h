// MemoryCaller: who asks in tests: keeps what is sent to him.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "common/rpc/rpc.h"

namespace stele::rpc {

class MemoryCaller final : public Caller {
 public:
  using Caller::Caller;

  Task<bool> Send(std::string message) override {
    if (is_gone()) co_return false;
    sent_.push_back(std::move(message));
    co_return true;
  }
  void Leave() { SetGone(); }

  size_t count() const { return sent_.size(); }
  template <typename Reply>
  Reply At(size_t index) const {
    Reply reply;
    if (index >= sent_.size() || !reply.ParseFromString(sent_[index])) return Reply();
    return reply;
  }

 private:
  std::vector<std::string> sent_;
};

}  // namespace stele::rpc

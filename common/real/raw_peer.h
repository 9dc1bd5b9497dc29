// RawPeer: a plain blocking socket, to play peers that do what a Connection never would. Its calls
// block, so the shard runs on another thread meanwhile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/real/unique_fd.h"
#include "common/seams/transport.h"

namespace stele::real {

// With its length before it.
std::string Framed(std::string_view frame);

// The frames of a stream that ends with a whole one; adds a gtest failure if it does not.
std::vector<std::string> SplitFrames(const std::string& bytes);

class RawPeer {
 public:
  struct Unconnected {};
  explicit RawPeer(Unconnected);
  // Connects to a port of this machine.
  explicit RawPeer(const Endpoint& to) : RawPeer(Unconnected{}) { Connect(to); }
  void Connect(const Endpoint& to);

  void Send(std::string_view bytes);
  // Nothing more will be sent.
  void Finish();
  // Closes so that the other end sees a reset.
  void Reset();
  // Up to `size` bytes; fewer when the other end closes or resets first.
  std::string Receive(size_t size);
  std::string ReceiveAll();

 private:
  UniqueFd fd_;
};

}  // namespace stele::real

// ReplySink: where the answers to one connection's requests go. The connection implements it; the
// services above it know nothing of sockets and frames.
#pragma once

#include <cstddef>
#include <memory>

#include "common/base/ids.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

class ReplySink {
 public:
  virtual ~ReplySink() = default;

  // The answer to an ADD whose entry packet had `body_size` bytes.
  virtual void ReplyToAdd(const wire::RequestHeader& header, wire::ReplyCode code, LedgerId ledger,
                          EntryId entry, size_t body_size) = 0;

  // The answer to anything else. `body` holds the sub-message with its ids also when `code` is an
  // error.
  virtual void Reply(const wire::RequestHeader& header, wire::ReplyCode code,
                     wire::ReplyBody body) = 0;

  // The peer is gone: answers lead nowhere, and waiting on its behalf can stop.
  virtual bool IsClosed() const = 0;
};

// Held by every request in progress, so that a connection outlives its requests.
using ReplySinkPtr = std::shared_ptr<ReplySink>;

}  // namespace stele::bookie

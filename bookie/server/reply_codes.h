// The answer that stands for an error of ours. "No such entry" and "no such ledger" are votes in
// recovery: only the certain absence may become one; everything in doubt is an I/O error.
#pragma once

#include "absl/status/status.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

wire::ReplyCode ReplyCodeOf(const absl::Status& status);

}  // namespace stele::bookie

// LedgerKeys: what a ledger's password is good for: the key that bookies ask for, and the digest.
#pragma once

#include <string_view>

#include "common/base/digest_type.h"
#include "common/wire/bookie_messages.h"
#include "common/wire/digest.h"

namespace stele::client {

struct LedgerKeys {
  LedgerKeys(DigestType type, std::string_view password)
      : master_key(wire::MakeMasterKey(password)), digester(type, password) {}

  wire::MasterKey master_key;
  wire::Digester digester;
};

}  // namespace stele::client

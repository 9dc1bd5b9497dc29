// EntryFormat: what of an entry is printed, and how.
#pragma once

namespace stele::shell {

enum class EntryFormat {
  kText,      // "<entry> <payload, escaped>"; JSON objects with --json
  kRaw,       // payloads only
  kRawLines,  // payloads, a newline behind each
  kHex,       // "<entry> <hexadecimal digits>"
  kHashes,    // "<entry> <sha256> <size>", the lines of an ack log
};

}  // namespace stele::shell

// EntryPrinter: entries on standard output, in the format that was asked for.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "client/entry.h"
#include "tools/shell/entry_format.h"
#include "tools/shell/output.h"

namespace stele::shell {

class EntryPrinter {
 public:
  // With Format::kJson and EntryFormat::kText: one JSON object a line, the payload in base64.
  EntryPrinter(EntryFormat format, Format output) : format_(format), output_(output) {}

  void Print(const client::Entry& entry);

  // Hands everything printed to the operating system. kIoError: it could not be written.
  absl::Status Flush();

 private:
  EntryFormat format_;
  Format output_;
};

// `bytes` with what is not printable ASCII, and the backslash, as \xNN.
std::string Escape(std::string_view bytes);

}  // namespace stele::shell

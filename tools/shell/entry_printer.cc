#include "tools/shell/entry_printer.h"

#include <cerrno>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "common/base/strings.h"
#include "common/real/errno_error.h"
#include "tools/shell/sha256.h"

namespace stele::shell {
namespace {

// Failures stay in the stream until Flush().
void Write(std::string_view bytes) { fwrite(bytes.data(), 1, bytes.size(), stdout); }

std::string TextLine(const client::Entry& entry, Format output) {
  if (output == Format::kTable) return StrCat(entry.id.value(), " ", Escape(entry.payload.view()));
  Record record;
  record.Set("entry", entry.id.value())
      .Set("size_bytes", static_cast<int64_t>(entry.payload.size()))
      .Set("payload_base64", absl::Base64Escape(ToAbsl(entry.payload.view())));
  return ToJson(record);
}

}  // namespace

std::string Escape(std::string_view bytes) {
  std::string result;
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      result.push_back(c);
    } else {
      result += "\\x" + Hex({&c, 1});
    }
  }
  return result;
}

void EntryPrinter::Print(const client::Entry& entry) {
  const std::string_view payload = entry.payload.view();
  switch (format_) {
    case EntryFormat::kText: Write(TextLine(entry, output_) + "\n"); break;
    case EntryFormat::kRaw: Write(payload); break;
    case EntryFormat::kRawLines:
      Write(payload);
      Write("\n");
      break;
    case EntryFormat::kHex: Write(StrCat(entry.id.value(), " ", Hex(payload), "\n")); break;
    case EntryFormat::kHashes:
      Write(StrCat(entry.id.value(), " ", Sha256Hex(payload), " ", payload.size(), "\n"));
      break;
  }
}

absl::Status EntryPrinter::Flush() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  return real::FileError(errno, "write", "standard output");
}

}  // namespace stele::shell

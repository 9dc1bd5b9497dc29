#include "tools/shell/version.h"

namespace stele::shell {

ExitCode RunVersion(Format format) {
  Record record;
  record.Set("stele", "0.1.0")
      .Set("bookkeeper_protocol", std::vector<std::string>{"v2", "v3"})
      .Set("journal_format", int64_t{6})
      .Set("ledger_metadata_format", int64_t{3});
  PrintRecord(record, format);
  return ExitCode::kOk;
}

}  // namespace stele::shell

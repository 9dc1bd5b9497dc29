#include "metadata/proto_text.h"

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/text_format.h"

namespace stele::metadata {
namespace {

// Keeps where the first error was, and keeps protobuf from printing to stderr. What the error says
// is left out: it may quote a password.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string&) override {
    if (line_ < 0) line_ = line;
  }
  int line() const { return line_; }

 private:
  int line_ = -1;
};

}  // namespace

absl::Status ParseProtoText(std::string_view text, google::protobuf::Message* message) {
  FirstError first_error;
  google::protobuf::TextFormat::Parser parser;
  parser.AllowPartialMessage(true);
  parser.RecordErrorsTo(&first_error);
  google::protobuf::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  if (parser.Parse(&stream, message)) return absl::OkStatus();
  return MakeError(ErrorCode::kCorruptData, StrCat("line ", first_error.line() + 1, " is not a ",
                                                   message->GetTypeName(), " in text form"));
}

std::string PrintProtoText(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::TextFormat::Printer printer;
  STELE_CHECK(printer.PrintToString(message, &text));
  return text;
}

}  // namespace stele::metadata

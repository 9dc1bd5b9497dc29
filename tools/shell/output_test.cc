#include "tools/shell/output.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "tools/shell/exit_code.h"

namespace stele::shell {
namespace {

TEST(OutputTest, RecordsMayHoldRecords) {
  Record record;
  record.Set("rate", 2.0 / 3)
      .Set("parts", std::vector<Record>{Record().Set("n", int64_t{1}).Set("of", std::string("x")),
                                        Record().Set("n", int64_t{2})});
  EXPECT_EQ(ToJson(record), "{\"rate\": 0.67, \"parts\": [{\"n\": 1, \"of\": \"x\"}, {\"n\": 2}]}");
  EXPECT_EQ(ToLine(record), "rate=0.67 parts=n=1 of=x; n=2");
}

TEST(OutputTest, TablesAlignTheirColumns) {
  testing::internal::CaptureStdout();
  PrintRecords({Record().Set("bookie", std::string("b1")).Set("ledgers", int64_t{12}),
                Record().Set("bookie", std::string("bookie-2")).Set("ledgers", int64_t{3})},
               Format::kTable, "none");
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "bookie    ledgers\nb1        12\nbookie-2  3\n");
  testing::internal::CaptureStdout();
  PrintRecords({}, Format::kTable, "no bookies");
  PrintRecords({}, Format::kJson, "no bookies");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "no bookies\n[]\n");
}

TEST(OutputTest, ErrorsSayCodeAndEffectToPrograms) {
  testing::internal::CaptureStderr();
  PrintError(MakeError(ErrorCode::kLedgerFenced, Effect::kUnknown, "taken over"), Format::kJson);
  EXPECT_EQ(
      testing::internal::GetCapturedStderr(),
      "{\"error\": \"LedgerFenced\", \"message\": \"taken over\", \"effect\": \"unknown\"}\n");
}

TEST(OutputTest, HumanFigures) {
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanDuration(absl::Microseconds(340)), "340 us");
  EXPECT_EQ(HumanDuration(absl::Seconds(125)), "2 min 5 s");
}

TEST(ExitCodeTest, ScriptsCanTellTheKinds) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(MakeError(ErrorCode::kConfig, "")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(MakeError(ErrorCode::kNoSuchLedgerMetadata, "")), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(MakeError(ErrorCode::kNotEnoughBookies, "")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeOf(MakeError(ErrorCode::kCorruptData, "")), ExitCode::kDamaged);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("x")), ExitCode::kFailed);
}

}  // namespace
}  // namespace stele::shell

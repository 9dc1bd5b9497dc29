#include "tools/shell/entry_printer.h"

#include <gtest/gtest.h>

namespace stele::shell {
namespace {

std::string Printed(EntryFormat format, Format output, std::string payload) {
  testing::internal::CaptureStdout();
  EntryPrinter printer(format, output);
  printer.Print({.ledger = LedgerId(7),
                 .id = EntryId(3),
                 .payload = Buffer::FromString(std::move(payload)),
                 .length_bytes = 3});
  EXPECT_TRUE(printer.Flush().ok());
  return testing::internal::GetCapturedStdout();
}

TEST(EntryPrinterTest, EachFormat) {
  EXPECT_EQ(Printed(EntryFormat::kText, Format::kTable, "a\\\n"), "3 a\\x5c\\x0a\n");
  EXPECT_EQ(Printed(EntryFormat::kText, Format::kJson, "abc"),
            "{\"entry\": 3, \"size_bytes\": 3, \"payload_base64\": \"YWJj\"}\n");
  EXPECT_EQ(Printed(EntryFormat::kRaw, Format::kTable, "abc"), "abc");
  EXPECT_EQ(Printed(EntryFormat::kRawLines, Format::kTable, "abc"), "abc\n");
  EXPECT_EQ(Printed(EntryFormat::kHex, Format::kTable, "a\xff"), "3 61ff\n");
  // The known answer for "abc" is in FIPS 180-2.
  EXPECT_EQ(Printed(EntryFormat::kHashes, Format::kTable, "abc"),
            "3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3\n");
}

}  // namespace
}  // namespace stele::shell

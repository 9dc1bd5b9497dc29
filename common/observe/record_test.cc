#include "common/observe/record.h"

#include <gtest/gtest.h>

namespace stele::observe {
namespace {

TEST(RecordTest, JsonEscapesWhatOutsideTextMayContain) {
  Record record;
  record.Set("text", std::string("a\"b\\c\nd\x01"))
      .Set("number", int64_t{-3})
      .Set("yes", true)
      .Set("list", std::vector<std::string>{"x", "y\t"});
  EXPECT_EQ(ToJson(record),
            "{\"text\": \"a\\\"b\\\\c\\nd\\u0001\", \"number\": -3, \"yes\": true, "
            "\"list\": [\"x\", \"y\\t\"]}");
}

TEST(RecordTest, AListOfRecordsIsAnArray) {
  EXPECT_EQ(ToJson(std::vector<Record>{}), "[]");
  EXPECT_EQ(ToJson(std::vector<Record>{Record().Set("n", int64_t{1}), Record()}),
            "[{\"n\": 1}, {}]");
}

}  // namespace
}  // namespace stele::observe

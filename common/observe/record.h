// Record: one result as named values in order, for people and programs; JSON is made of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace stele::observe {

class Record;

// A value of a result: text, number (shown with two decimals when it is a double), yes or no,
// several texts, or results of its own.
using Value =
    std::variant<std::string, int64_t, double, bool, std::vector<std::string>, std::vector<Record>>;

// One result: named values in order.
class Record {
 public:
  Record& Set(std::string name, Value value) {
    fields_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  const std::vector<std::pair<std::string, Value>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, Value>> fields_;
};

// The JSON text of a record, and of a list of them, without a line's end.
std::string ToJson(const Record& record);
std::string ToJson(const std::vector<Record>& records);
// A JSON string.
std::string JsonText(std::string_view text);

}  // namespace stele::observe

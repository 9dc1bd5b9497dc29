// ParseJsonObject, through protobuf's JSON: it is strict about syntax, depth and UTF-8.
#include <algorithm>
#include <cmath>
#include <utility>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/http/http.h"

namespace stele::http {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// Doubles hold all whole numbers up to here.
constexpr double kWholeMax = 9007199254740992.0;

absl::Status BadJson(std::string_view why) {
  return MakeError(ErrorCode::kInvalidArgument, StrCat("the body must be a JSON object: ", why));
}

// Deeper text takes protobuf's parser a time that grows with the square of its length.
constexpr int kDepthMax = 2;

int DepthOf(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool is_in_text = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') is_in_text = !is_in_text;
    if (c == '\\' && is_in_text) ++i;
    if (is_in_text) continue;
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

absl::StatusOr<observe::Value> Convert(const Value& value) {
  switch (value.kind_case()) {
    case Value::kBoolValue: return observe::Value(value.bool_value());
    case Value::kStringValue: return observe::Value(value.string_value());
    case Value::kNumberValue: {
      const double number = value.number_value();
      if (std::abs(number) > kWholeMax || number != std::floor(number)) {
        return BadJson("a number that is not whole, or too large");
      }
      return observe::Value(static_cast<int64_t>(number));
    }
    case Value::kListValue: {
      std::vector<std::string> texts;
      for (const Value& item : value.list_value().values()) {
        if (item.kind_case() != Value::kStringValue) return BadJson("a list of other than texts");
        texts.push_back(item.string_value());
      }
      return observe::Value(std::move(texts));
    }
    default: return BadJson("null or an object as a value");
  }
}

}  // namespace

absl::StatusOr<observe::Record> ParseJsonObject(std::string_view text) {
  observe::Record object;
  if (text.empty()) return object;
  if (text.size() > kJsonSizeMaxBytes) return BadJson("it is too long");
  if (DepthOf(text) > kDepthMax) return BadJson("it is nested");
  Struct parsed;
  const auto status =
      google::protobuf::util::JsonStringToMessage({text.data(), text.size()}, &parsed);
  if (!status.ok()) return BadJson("it is none");
  absl::btree_map<std::string, const Value*> sorted;
  for (const auto& [name, value] : parsed.fields()) sorted.emplace(name, &value);
  for (const auto& [name, value] : sorted) {
    STELE_TRY(observe::Value converted, Convert(*value));
    object.Set(name, std::move(converted));
  }
  return object;
}

}  // namespace stele::http

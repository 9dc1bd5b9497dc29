#include "common/observe/record.h"

#include "absl/strings/str_format.h"
#include "common/base/strings.h"

namespace stele::observe {
namespace {

std::string JsonValue(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return JsonText(*text);
  if (const auto* number = std::get_if<int64_t>(&value)) return StrCat(*number);
  if (const auto* number = std::get_if<double>(&value)) return absl::StrFormat("%.2f", *number);
  if (const auto* yes = std::get_if<bool>(&value)) return *yes ? "true" : "false";
  if (const auto* records = std::get_if<std::vector<Record>>(&value)) return ToJson(*records);
  std::string list;
  for (const std::string& text : std::get<std::vector<std::string>>(value)) {
    list += (list.empty() ? "" : ", ") + JsonText(text);
  }
  return "[" + list + "]";
}

}  // namespace

std::string JsonText(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': result += "\\\""; break;
      case '\\': result += "\\\\"; break;
      case '\n': result += "\\n"; break;
      case '\r': result += "\\r"; break;
      case '\t': result += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          result += absl::StrFormat("\\u%04x", static_cast<unsigned char>(c));
        } else {
          result.push_back(c);
        }
    }
  }
  return result + "\"";
}

std::string ToJson(const Record& record) {
  std::string result = "{";
  for (const auto& [name, value] : record.fields()) {
    result += (result.size() > 1 ? ", " : "") + JsonText(name) + ": " + JsonValue(value);
  }
  return result + "}";
}

std::string ToJson(const std::vector<Record>& records) {
  std::string list;
  for (const Record& record : records) list += (list.empty() ? "" : ", ") + ToJson(record);
  return "[" + list + "]";
}

}  // namespace stele::observe

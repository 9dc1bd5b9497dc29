#include "bookie/config/properties.h"

#include <map>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\f' || c == '\r'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

absl::Status LineError(int line, std::string_view what) {
  return MakeError(ErrorCode::kConfig, StrCat("line ", line, ": ", what));
}

// The number of bytes of the UTF-8 character at the front; 0: not UTF-8.
size_t CharacterSize(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t size = 0;
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xC2 && byte(0) < 0xE0) size = 2;
  if (byte(0) >= 0xE0 && byte(0) < 0xF0) size = 3;
  if (byte(0) >= 0xF0 && byte(0) < 0xF5) size = 4;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return size;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = CharacterSize(text);
    if (size == 0 || text[0] == '\0') return false;
    text.remove_prefix(size);
  }
  return true;
}

// Takes the next natural line off `text`.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

bool EndsWithOddBackslashes(std::string_view line) {
  size_t count = 0;
  while (count < line.size() && line[line.size() - 1 - count] == '\\') ++count;
  return count % 2 == 1;
}

absl::StatusOr<std::string> Unescape(std::string_view text, int line) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      result.push_back(text[i]);
      continue;
    }
    if (++i == text.size()) return LineError(line, "a backslash at the end of the file");
    switch (text[i]) {
      case 't': result.push_back('\t'); break;
      case 'n': result.push_back('\n'); break;
      case 'r': result.push_back('\r'); break;
      case 'u': return LineError(line, "\\u escapes are not supported: write the character itself");
      default: result.push_back(text[i]);
    }
  }
  return result;
}

absl::StatusOr<Property> ParseProperty(std::string_view text, int line) {
  size_t end = 0;
  while (end < text.size() && text[end] != '=' && text[end] != ':')
    end += text[end] == '\\' ? 2 : 1;
  if (end >= text.size()) return LineError(line, StrCat("expected key=value, found '", text, "'"));
  STELE_TRY(std::string key, Unescape(Trim(text.substr(0, end)), line));
  STELE_TRY(std::string value, Unescape(Trim(text.substr(end + 1)), line));
  if (key.empty()) return LineError(line, "the key is empty");
  return Property{std::move(key), std::move(value), line};
}

}  // namespace

absl::StatusOr<std::vector<Property>> ParseProperties(std::string_view text) {
  if (text.size() > kPropertiesSizeMaxBytes) {
    return MakeError(ErrorCode::kConfig, StrCat("the file has ", text.size(), " bytes; at most ",
                                                kPropertiesSizeMaxBytes, " are read"));
  }
  std::vector<Property> properties;
  std::map<std::string, int> seen;
  int line = 0;
  while (!text.empty()) {
    std::string logical(Trim(TakeLine(text)));
    const int first_line = ++line;
    if (logical.empty() || logical[0] == '#' || logical[0] == '!') {
      if (!IsUtf8(logical)) return LineError(line, "not UTF-8");
      continue;
    }
    while (EndsWithOddBackslashes(logical) && !text.empty()) {
      logical.pop_back();
      logical += Trim(TakeLine(text));
      ++line;
    }
    if (!IsUtf8(logical)) return LineError(first_line, "not UTF-8");
    STELE_TRY(Property property, ParseProperty(logical, first_line));
    const auto [earlier, is_new] = seen.emplace(property.key, first_line);
    if (!is_new) {
      return LineError(
          first_line, StrCat("'", property.key, "' was set in line ", earlier->second, " already"));
    }
    properties.push_back(std::move(property));
  }
  return properties;
}

absl::Status BadValue(std::string_view expected, std::string_view value) {
  return MakeError(ErrorCode::kConfig, StrCat("expected ", expected, ", found '", value, "'"));
}

absl::StatusOr<bool> ParseBool(std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return BadValue("true or false", value);
}

absl::StatusOr<std::vector<std::string>> ParseList(std::string_view value,
                                                   std::string_view expected) {
  std::vector<std::string> parts;
  while (!value.empty()) {
    const size_t comma = std::min(value.find(','), value.size());
    std::string_view part = value.substr(0, comma);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (part.empty()) return BadValue(expected, value);
    parts.emplace_back(part);
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  if (parts.empty()) return BadValue(expected, value);
  return parts;
}

}  // namespace stele::bookie

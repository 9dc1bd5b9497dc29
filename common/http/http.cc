#include "common/http/http.h"

#include <charconv>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::http {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::Status BadTarget(std::string_view why) { return MakeError(ErrorCode::kInvalidArgument, why); }

absl::StatusOr<std::string> Decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return BadTarget("a broken % escape");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return BadTarget("a NUL");
    decoded.push_back(c);
  }
  return decoded;
}

int HttpStatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return 400;
    case ErrorCode::kUnauthorized: return 403;
    case ErrorCode::kNoSuchLedger:
    case ErrorCode::kNoSuchLedgerMetadata:
    case ErrorCode::kNoSuchEntry:
    case ErrorCode::kNoSuchKey: return 404;
    case ErrorCode::kLedgerExists:
    case ErrorCode::kKeyExists:
    case ErrorCode::kMetadataConflict: return 409;
    case ErrorCode::kStopped:
    case ErrorCode::kOverloaded:
    case ErrorCode::kMetadataUnavailable: return 503;
    default: return 500;
  }
}

template <typename T>
absl::StatusOr<std::optional<T>> Member(const observe::Record& object, std::string_view name,
                                        std::string_view what) {
  for (const auto& [key, value] : object.fields()) {
    if (key != name) continue;
    const T* const member = std::get_if<T>(&value);
    if (member == nullptr) {
      return MakeError(ErrorCode::kInvalidArgument, StrCat(name, " must be ", what));
    }
    return *member;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Target> ParseTarget(std::string_view target) {
  if (!target.starts_with('/')) return BadTarget("the target is no path");
  const size_t mark = target.find('?');
  Target parsed;
  STELE_TRY(parsed.path, Decode(target.substr(0, mark)));
  std::string_view rest = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    STELE_TRY(std::string name, Decode(pair.substr(0, equals)));
    STELE_TRY(std::string value, Decode(pair.substr(std::min(equals + 1, pair.size()))));
    if (!parsed.query.emplace(std::move(name), std::move(value)).second) {
      return BadTarget("a parameter is given twice");
    }
  }
  return parsed;
}

std::string Request::Parameter(const std::string& name) const {
  const auto found = target.query.find(name);
  return found == target.query.end() ? std::string() : found->second;
}

absl::StatusOr<std::optional<int64_t>> Request::IntegerParameter(const std::string& name) const {
  const std::string text = Parameter(name);
  if (text.empty()) return std::nullopt;
  int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) {
    return MakeError(ErrorCode::kInvalidArgument, StrCat(name, " must be a whole number"));
  }
  return number;
}

Response Text(int status, std::string_view line) {
  return {.status = status, .body = StrCat(line, "\n")};
}

Response Json(std::string text) {
  return {.body = std::move(text) + "\n", .content_type = "application/json"};
}

Response Json(const observe::Record& record) { return Json(observe::ToJson(record)); }

Response Failure(const absl::Status& status) {
  return Text(HttpStatusOf(CodeOf(status)), ToStd(status.message()));
}

absl::StatusOr<std::optional<bool>> BoolMember(const observe::Record& object,
                                               std::string_view name) {
  return Member<bool>(object, name, "true or false");
}

absl::StatusOr<std::optional<int64_t>> IntegerMember(const observe::Record& object,
                                                     std::string_view name) {
  return Member<int64_t>(object, name, "a whole number");
}

absl::StatusOr<std::optional<std::string>> TextMember(const observe::Record& object,
                                                      std::string_view name) {
  return Member<std::string>(object, name, "a text");
}

absl::StatusOr<std::optional<std::vector<std::string>>> TextsMember(const observe::Record& object,
                                                                    std::string_view name) {
  return Member<std::vector<std::string>>(object, name, "a list of texts");
}

}  // namespace stele::http

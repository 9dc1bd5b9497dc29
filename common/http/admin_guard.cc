#include "common/http/admin_guard.h"

#include "common/base/check.h"

namespace stele::http {
namespace {

constexpr std::string_view kScheme = "Bearer ";

// Takes as long for each text of the same length.
bool IsSame(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

}  // namespace

Admission AdmitChange(const Request& request, std::string_view token) {
  if (token.empty()) return Admission::kNoTokenConfigured;
  if (request.has_origin) return Admission::kFromWebPage;
  const std::string_view given = request.authorization;
  if (given.empty()) return Admission::kNoToken;
  if (!given.starts_with(kScheme)) return Admission::kWrongToken;
  return IsSame(given.substr(kScheme.size()), token) ? Admission::kAdmitted
                                                     : Admission::kWrongToken;
}

Response Refusal(Admission admission) {
  switch (admission) {
    case Admission::kAdmitted: break;
    case Admission::kNoTokenConfigured:
      return Text(403, "changes need stele.httpTokenFile in the configuration");
    case Admission::kFromWebPage: return Text(403, "changes are not taken from web pages");
    case Admission::kNoToken: return Text(401, "changes need the header Authorization: Bearer");
    case Admission::kWrongToken: return Text(403, "the token is wrong");
  }
  STELE_CHECK(false);
  return {};
}

}  // namespace stele::http

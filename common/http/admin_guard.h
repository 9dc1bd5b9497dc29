// Who may change something through the admin port. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/http/http.h"

namespace stele::http {

enum class Admission {
  kAdmitted,
  kNoTokenConfigured,  // 403: this process takes no changes over HTTP
  kFromWebPage,        // 403: a browser was lured into it
  kNoToken,            // 401
  kWrongToken,         // 403
};

//   token   the one that this process takes; empty: none. A request has it in the header
//           "Authorization: Bearer TOKEN"
Admission AdmitChange(const Request& request, std::string_view token);

// The answer to one that is not admitted.
Response Refusal(Admission admission);

}  // namespace stele::http

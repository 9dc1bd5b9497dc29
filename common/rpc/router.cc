#include "common/rpc/router.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/http/admin_guard.h"

namespace stele::rpc {
namespace {

absl::Status NotAdmitted(http::Admission admission) {
  std::string reason = http::Refusal(admission).body;
  reason.resize(std::min(reason.find('\n'), reason.size()));
  return admission == http::Admission::kNoTokenConfigured ? absl::PermissionDeniedError(reason)
                                                          : absl::UnauthenticatedError(reason);
}

// Cancelled is what a caller does; who cannot be served has done nothing.
absl::Status ToCaller(absl::Status status) {
  if (CodeOf(status) == ErrorCode::kStopped) return absl::UnavailableError(status.message());
  return status;
}

}  // namespace

absl::Status Router::NotUnderstood() {
  return MakeError(ErrorCode::kInvalidArgument, "the request is no such message");
}

void Router::AddRoute(std::string method, Access access, Replies replies, Raw answer) {
  STELE_CHECK(method.starts_with('/') && method.find('/', 1) != std::string::npos);
  const bool is_new =
      routes_.emplace(std::move(method), Route{access, replies, std::move(answer)}).second;
  STELE_CHECK(is_new);
}

std::set<std::string> Router::Services() const {
  std::set<std::string> services;
  for (const auto& [method, route] : routes_)
    services.insert(method.substr(1, method.rfind('/') - 1));
  return services;
}

std::vector<Method> Router::Methods() const {
  std::vector<Method> methods;
  for (const auto& [method, route] : routes_) methods.push_back({method, route.replies});
  return methods;
}

void Router::LogChange(const Request& request, std::string_view outcome) {
  log_->Write(observe::LogLevel::kWarning, "asked over gRPC for a change",
              {{"method", std::string_view(request.method)},
               {"peer", std::string_view(request.peer)},
               {"outcome", outcome}});
}

Task<absl::Status> Router::Answer(Request request, Caller* caller) {
  const auto found = routes_.find(request.method);
  if (found == routes_.end()) co_return absl::UnimplementedError("no such method");
  Route& route = found->second;  // routes are made before the first call
  std::string message = std::move(request.message);
  if (route.access == Access::kLook) {
    co_return ToCaller(co_await route.answer(std::move(message), caller));
  }
  const http::Admission admission =
      http::AdmitChange({.authorization = request.authorization}, token_);
  absl::Status status = absl::OkStatus();
  if (admission == http::Admission::kAdmitted) {
    if (route.replies == Replies::kStream) LogChange(request, "begun");
    status = ToCaller(co_await route.answer(std::move(message), caller));
  } else {
    status = NotAdmitted(admission);
  }
  LogChange(request, absl::StatusCodeToString(status.code()));
  co_return status;
}

}  // namespace stele::rpc

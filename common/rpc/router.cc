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

// As gRPC's exporters write it: absl's codes are gRPC's.
std::string_view CodeLabel(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk: return "OK";
    case absl::StatusCode::kCancelled: return "Canceled";
    case absl::StatusCode::kInvalidArgument: return "InvalidArgument";
    case absl::StatusCode::kDeadlineExceeded: return "DeadlineExceeded";
    case absl::StatusCode::kNotFound: return "NotFound";
    case absl::StatusCode::kAlreadyExists: return "AlreadyExists";
    case absl::StatusCode::kPermissionDenied: return "PermissionDenied";
    case absl::StatusCode::kResourceExhausted: return "ResourceExhausted";
    case absl::StatusCode::kFailedPrecondition: return "FailedPrecondition";
    case absl::StatusCode::kAborted: return "Aborted";
    case absl::StatusCode::kOutOfRange: return "OutOfRange";
    case absl::StatusCode::kUnimplemented: return "Unimplemented";
    case absl::StatusCode::kInternal: return "Internal";
    case absl::StatusCode::kUnavailable: return "Unavailable";
    case absl::StatusCode::kDataLoss: return "DataLoss";
    case absl::StatusCode::kUnauthenticated: return "Unauthenticated";
    default: return "Unknown";
  }
}

}  // namespace

absl::Status Router::NotUnderstood() {
  return MakeError(ErrorCode::kInvalidArgument, "the request is no such message");
}

void Router::AddRoute(std::string method, Access access, Replies replies, Raw answer) {
  STELE_CHECK(method.starts_with('/') && method.find('/', 1) != std::string::npos);
  const bool is_new =
      routes_
          .emplace(std::move(method),
                   Route{access, replies, std::move(answer), {{absl::StatusCode::kOk, 0}}})
          .second;
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
  Route* const route = &found->second;  // routes are made before the first call
  absl::Status status = co_await AnswerKnown(route, std::move(request), caller);
  ++route->handled[status.code()];
  co_return status;
}

void Router::Export(observe::MetricsText& into) const {
  for (const auto& [method, route] : routes_) {
    const std::string_view path = method;
    const size_t slash = path.rfind('/');
    for (const auto& [code, count] : route.handled) {
      into.Counter("grpc_server_handled_total",
                   {{"grpc_type", route.replies == Replies::kOne ? "unary" : "server_stream"},
                    {"grpc_service", path.substr(1, slash - 1)},
                    {"grpc_method", path.substr(slash + 1)},
                    {"grpc_code", CodeLabel(code)}},
                   count);
    }
  }
}

Task<absl::Status> Router::AnswerKnown(Route* route, Request request, Caller* caller) {
  std::string message = std::move(request.message);
  if (route->access == Access::kLook) {
    co_return ToCaller(co_await route->answer(std::move(message), caller));
  }
  const http::Admission admission =
      http::AdmitChange({.authorization = request.authorization}, token_);
  absl::Status status = absl::OkStatus();
  if (admission == http::Admission::kAdmitted) {
    if (route->replies == Replies::kStream) LogChange(request, "begun");
    status = ToCaller(co_await route->answer(std::move(message), caller));
  } else {
    status = NotAdmitted(admission);
  }
  LogChange(request, absl::StatusCodeToString(status.code()));
  co_return status;
}

}  // namespace stele::rpc

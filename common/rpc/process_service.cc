#include "common/rpc/process_service.h"

#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "proto/grpc_health.pb.h"
#include "proto/stele_admin.pb.h"

namespace stele::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
namespace v1 = stele::admin::v1;

v1::LogLevelReply ToReply(observe::LogLevel level) {
  v1::LogLevelReply reply;
  switch (level) {
    case observe::LogLevel::kDebug: reply.set_level(v1::LOG_LEVEL_DEBUG); break;
    case observe::LogLevel::kInfo: reply.set_level(v1::LOG_LEVEL_INFO); break;
    case observe::LogLevel::kWarning: reply.set_level(v1::LOG_LEVEL_WARNING); break;
    case observe::LogLevel::kError: reply.set_level(v1::LOG_LEVEL_ERROR); break;
  }
  return reply;
}

// Nothing: no level.
std::optional<observe::LogLevel> LevelOf(v1::LogLevel level) {
  switch (level) {
    case v1::LOG_LEVEL_DEBUG: return observe::LogLevel::kDebug;
    case v1::LOG_LEVEL_INFO: return observe::LogLevel::kInfo;
    case v1::LOG_LEVEL_WARNING: return observe::LogLevel::kWarning;
    case v1::LOG_LEVEL_ERROR: return observe::LogLevel::kError;
    default: return std::nullopt;  // a peer may send any number
  }
}

HealthCheckResponse::ServingStatus ToServing(const absl::Status& readiness) {
  return readiness.ok() ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

HealthCheckResponse ToResponse(HealthCheckResponse::ServingStatus status) {
  HealthCheckResponse response;
  response.set_status(status);
  return response;
}

Task<absl::StatusOr<v1::LogLevelReply>> GetLevel(observe::LevelledLog* log) {
  co_return ToReply(log->level());
}

Task<absl::StatusOr<v1::LogLevelReply>> SetLevel(observe::LevelledLog* log, v1::LogLevel wanted) {
  const std::optional<observe::LogLevel> level = LevelOf(wanted);
  if (!level.has_value()) co_return MakeError(ErrorCode::kInvalidArgument, "level is not a level");
  log->SetLevel(*level);
  co_return ToReply(log->level());
}

Task<absl::StatusOr<HealthCheckResponse>> Check(bool is_known, absl::Status readiness) {
  if (!is_known) co_return absl::NotFoundError("no such service");
  co_return ToResponse(ToServing(readiness));
}

Task<absl::Status> Watch(bool is_known, absl::AnyInvocable<absl::Status()>* readiness,
                         absl::Duration look_again, ReplyStream<HealthCheckResponse> to) {
  std::optional<HealthCheckResponse::ServingStatus> told;
  do {
    const HealthCheckResponse::ServingStatus now =
        is_known ? ToServing((*readiness)()) : HealthCheckResponse::SERVICE_UNKNOWN;
    if (told == now) continue;
    told = now;
    if (!co_await to.Send(ToResponse(now))) break;
  } while (co_await to.Pause(look_again));
  co_return absl::OkStatus();
}

}  // namespace

bool ProcessService::IsKnown(const std::string& service) const {
  return service.empty() || services_.contains(service);
}

void ProcessService::AddTo(Router& router) {
  const std::string health = "/grpc.health.v1.Health/";
  router.Add<HealthCheckRequest, HealthCheckResponse>(
      Access::kLook, health + "Check", [this](HealthCheckRequest request) {
        return Check(IsKnown(request.service()), readiness_());
      });
  router.AddStream<HealthCheckRequest, HealthCheckResponse>(
      Access::kLook, health + "Watch",
      [this](HealthCheckRequest request, ReplyStream<HealthCheckResponse> to) {
        return Watch(IsKnown(request.service()), &readiness_, kLookAgain, to);
      });
  const std::string process = "/stele.admin.v1.Process/";
  router.Add<v1::GetLogLevelRequest, v1::LogLevelReply>(
      Access::kLook, process + "GetLogLevel",
      [this](v1::GetLogLevelRequest) { return GetLevel(log_); });
  router.Add<v1::SetLogLevelRequest, v1::LogLevelReply>(
      Access::kChange, process + "SetLogLevel",
      [this](v1::SetLogLevelRequest request) { return SetLevel(log_, request.level()); });
  services_ = router.Services();
}

}  // namespace stele::rpc

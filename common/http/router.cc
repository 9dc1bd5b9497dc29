#include "common/http/router.h"

#include <utility>

#include "common/base/check.h"
#include "common/http/admin_guard.h"

namespace stele::http {
namespace {

Task<Response> Say(std::string_view line) { co_return Text(200, line); }

}  // namespace

void Router::Get(std::string path, Answerer answerer) {
  Answerer& place = routes_[std::move(path)].get;
  STELE_CHECK(place == nullptr);
  place = std::move(answerer);
}

void Router::Put(std::string path, Answerer answerer) {
  Answerer& place = routes_[std::move(path)].put;
  STELE_CHECK(place == nullptr);
  place = std::move(answerer);
}

void Router::AddLifeProbes() {
  Get("/heartbeat", [](Request) { return Say("OK"); });
  Get("/healthz", [](Request) { return Say("ok"); });
  Get("/livez", [](Request) { return Say("ok"); });
}

Task<Response> Router::Answer(Request request) {
  const auto found = routes_.find(request.target.path);
  if (found == routes_.end()) co_return Text(404, "no such path");
  Route& route = found->second;  // routes are made before the first request
  if (request.method == "GET" && route.get != nullptr) {
    co_return co_await route.get(std::move(request));
  }
  if (request.method != "PUT" || route.put == nullptr) {
    Response response = Text(405, "this path does not take this method");
    if (route.get != nullptr) response.allow = "GET";
    if (route.put != nullptr) response.allow += response.allow.empty() ? "PUT" : ", PUT";
    co_return response;
  }
  const std::string path = request.target.path;
  const std::string peer = request.peer;
  const Admission admission = AdmitChange(request, token_);
  Response response = admission == Admission::kAdmitted ? co_await route.put(std::move(request))
                                                        : Refusal(admission);
  log_->Write(observe::LogLevel::kWarning, "asked over HTTP for a change",
              {{"path", std::string_view(path)},
               {"peer", std::string_view(peer)},
               {"status", response.status}});
  co_return response;
}

}  // namespace stele::http

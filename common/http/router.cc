#include "common/http/router.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/http/admin_guard.h"

namespace stele::http {
namespace {

Task<Response> Say(std::string_view line) { co_return Text(200, line); }

}  // namespace

void Router::Add(std::string path, std::string method, Method answer) {
  const bool is_new = routes_[std::move(path)].emplace(std::move(method), std::move(answer)).second;
  STELE_CHECK(is_new);
}

void Router::Get(std::string path, Answerer answerer) {
  Add(std::move(path), "GET", {.answerer = std::move(answerer), .is_guarded = false});
}

void Router::GetSecret(std::string path, Answerer answerer) {
  Add(std::move(path), "GET", {.answerer = std::move(answerer)});
}

void Router::Put(std::string path, Answerer answerer) {
  Add(std::move(path), "PUT", {.answerer = std::move(answerer)});
}

void Router::Delete(std::string path, Answerer answerer) {
  Add(std::move(path), "DELETE", {.answerer = std::move(answerer)});
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
  const auto method = route.find(request.method);
  if (method == route.end()) {
    Response response = Text(405, "this path does not take this method");
    for (const auto& [name, answer] : route) {
      response.allow += StrCat(response.allow.empty() ? "" : ", ", name);
    }
    co_return response;
  }
  Method& answer = method->second;
  if (!answer.is_guarded) co_return co_await answer.answerer(std::move(request));
  const std::string path = request.target.path;
  const std::string peer = request.peer;
  const std::string name = request.method;
  const Admission admission = AdmitChange(request, token_);
  Response response = admission == Admission::kAdmitted
                          ? co_await answer.answerer(std::move(request))
                          : Refusal(admission);
  log_->Write(observe::LogLevel::kWarning, "asked over HTTP for what needs the token",
              {{"method", std::string_view(name)},
               {"path", std::string_view(path)},
               {"peer", std::string_view(peer)},
               {"status", response.status}});
  co_return response;
}

}  // namespace stele::http

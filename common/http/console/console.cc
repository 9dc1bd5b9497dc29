#include "common/http/console/console.h"

#include "common/http/console/console_page.h"

namespace stele::http {
namespace {

Task<Response> ShowPage() {
  co_return Response{.body = kConsolePage,
                     .content_type = "text/html; charset=utf-8",
                     .content_security_policy = kConsolePolicy};
}

}  // namespace

void AddConsole(Router& router) {
  router.Get("/", [](Request) { return ShowPage(); });
}

}  // namespace stele::http

// The page for people: what a process says of itself at /api/v1/stele/view, to look at.
#pragma once

#include "common/http/router.h"

namespace stele::http {

// At "/". It needs no answer but that of kViewPath, and those of the paths that it links to.
void AddConsole(Router& router);

inline constexpr char kViewPath[] = "/api/v1/stele/view";

}  // namespace stele::http

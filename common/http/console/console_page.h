// What embed.py makes of console.html at build time.
#pragma once

namespace stele::http {

extern const char kConsolePage[];
extern const char kConsolePolicy[];

}  // namespace stele::http

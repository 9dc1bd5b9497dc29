// Ends a session at a real server as an expiry would: by connecting with its id and closing it.
#pragma once

#include <cstdint>
#include <string>

namespace stele::metadata {

// Blocks until it is done. Other clients of the session learn of its end when they reconnect, which
// the server makes them do.
void EndSessionAtServer(const std::string& connect_string, int64_t session);

}  // namespace stele::metadata

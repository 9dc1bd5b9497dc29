// IsLoopback: whether a host as it is written in a configuration or a registration is its own
// machine.
#pragma once

#include <string_view>

namespace stele {

// True for "localhost", "::1" and the IPv4 addresses 127.x.x.x. Nothing is looked up: other names
// are taken for other machines.
bool IsLoopback(std::string_view host);

}  // namespace stele

// Tells the service manager that started this process (systemd, a unit of Type=notify) how it is.
#pragma once

#include <string_view>

namespace stele::shell {

// "READY=1" or "STOPPING=1", to the datagram socket that NOTIFY_SOCKET names; see sd_notify(3).
// Does nothing where no manager asked, or listens: a service runs without being heard.
void TellServiceManager(std::string_view state);

}  // namespace stele::shell

// What a program that serves asks of the system it runs on.
#pragma once

#include <cstdint>

namespace stele::real {

// Raises the number of files and sockets that this process may have open to what the system allows
// without privileges, and gives it.
int64_t RaiseDescriptorLimit();

// From here on neither the end of the terminal nor that of whoever reads its output ends this
// process (SIGHUP, SIGPIPE). There is nothing that a SIGHUP could read again.
void OutliveTerminal();

}  // namespace stele::real

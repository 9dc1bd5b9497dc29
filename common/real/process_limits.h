// What a program that serves asks of the system it runs on.
#pragma once

#include <cstdint>
#include <string>

namespace stele::real {

// Raises the number of files and sockets that this process may have open to what the system allows
// without privileges, and gives it.
int64_t RaiseDescriptorLimit();

// Who runs this process: the user's name, or the number of one that has no name.
std::string UserName();

// From here on neither the end of the terminal nor that of whoever reads its output ends this
// process (SIGHUP, SIGPIPE). There is nothing that a SIGHUP could read again.
void OutliveTerminal();

}  // namespace stele::real

// RunResult as text, for the pipe from the process that ran to the one that reports.
#pragma once

#include <string>
#include <string_view>

#include "simulation/swarm/run.h"

namespace stele::simulation {

// One line a value; texts with their line ends escaped. Ends with a line "end".
std::string ToText(const RunResult& result);

// Nothing is given back of a text without its end: the process died. Lines that are none of a
// result (what a program prints when it dies) are collected in `noise`.
bool ParseResult(std::string_view text, RunResult* result, std::string* noise);

}  // namespace stele::simulation

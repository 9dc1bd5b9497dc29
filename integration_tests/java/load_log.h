// The log of a driver's load: what its application was told is acknowledged.
#pragma once

#include <cstdint>
#include <string>

namespace stele::integration {

// The acknowledged entries, which come in order from 0.
int64_t CountAcknowledged(const std::string& path);

// Waits until `more` are added. Fails the test when the load stands still.
void AwaitAcknowledged(const std::string& path, int64_t more);

}  // namespace stele::integration

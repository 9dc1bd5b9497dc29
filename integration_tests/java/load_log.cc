#include "integration_tests/java/load_log.h"

#include <fstream>

#include <gtest/gtest.h>

#include "absl/time/clock.h"

namespace stele::integration {

int64_t CountAcknowledged(const std::string& path) {
  std::ifstream file(path);
  int64_t count = 0;
  // A driver that is killed may leave half a line.
  for (std::string line; std::getline(file, line) && !file.eof();) {
    if (line != std::to_string(count)) ADD_FAILURE() << line << " follows " << count - 1;
    ++count;
  }
  return count;
}

void AwaitAcknowledged(const std::string& path, int64_t more) {
  const int64_t wanted = CountAcknowledged(path) + more;
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (CountAcknowledged(path) < wanted) {
    ASSERT_LT(absl::Now(), give_up) << "the load stands still";
    absl::SleepFor(absl::Milliseconds(20));
  }
}

}  // namespace stele::integration

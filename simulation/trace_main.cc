// Prints the trace of a few seeds of the workload over all seams: equal wherever and however it is
// built and run.
#include <cstdio>

#include "simulation/seam_workload.h"

int main() {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    stele::simulation::SeamWorkload workload(seed, {});
    if (!workload.Run(absl::Seconds(2)).ok()) return 1;
    std::printf("seed %llu: %llu steps, %llu replies, trace %016llx\n",
                static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(workload.world().scheduler().steps()),
                static_cast<unsigned long long>(workload.replies()),
                static_cast<unsigned long long>(workload.trace_hash()));
  }
}

#!/usr/bin/env bash
# A short run of the rig on each metadata store: kills, pauses, partitions, power cuts, a store that is down.
# Usage: smoke_test.sh RIG STELE DRIVER CHECKER
set -uo pipefail
failures=0
torment() { # seed, nemeses, those that must take effect
  python3 "$rig" --stele "$stele" --driver "$driver" --checker "$checker" --seed "$1" --seconds 10 --nemeses "$2" \
    --minimum "$3" || failures=$((failures + 1))
}
rig=$1 stele=$2 driver=$3 checker=$4
torment 7 N1,N1b,N4,N5,N6,N20,N21 N1,N4,N5,N6
torment 3 N1,N2,N4,N5,N6,N10 N1,N4,N6,N10
exit "$((failures > 0))"

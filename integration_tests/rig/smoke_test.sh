#!/usr/bin/env bash
# A short run of the rig on each metadata store: kills, pauses, partitions, power cuts, a store that is down; and a canary.
# Usage: smoke_test.sh RIG STELE DRIVER CHECKER
set -uo pipefail
failures=0
torment() { # seed, nemeses, those that must take effect
  python3 "$rig" --stele "$stele" --driver "$driver" --checker "$checker" --seed "$1" --seconds 6 --nemeses "$2" \
    --minimum "$3" || failures=$((failures + 1))
}
# No leak checker works under a tracer, and most of these processes are killed.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
rig=$1 stele=$2 driver=$3 checker=$4
torment 7 N1,N1b,N4,N5,N6,N20,N21 N1,N4,N5,N6,N20
torment 31 N1,N2,N4,N5,N6,N10 N1,N4,N6,N10
# The canary: with syncs that do nothing a power cut loses what was acknowledged, and the rig must say so. By a tracer; where
# there is none, or no power cut, there is no canary.
canary=$(python3 "$rig" --stele "$stele" --driver "$driver" --checker "$checker" --seed 3 --seconds 8 --nemeses N4 --canary)
if ! grep -q 'N4 .*NOT TRIED\|system calls *NOT HERE' <<< "$canary" &&
  ! grep -q 'AllAckedEntriesAreReadable\|EndKeepsAcknowledged\|has lost adds' <<< "$canary"; then
  printf 'FAILED: the canary was not found\n%s\n' "$canary"
  failures=$((failures + 1))
fi
exit "$((failures > 0))"

#!/usr/bin/env bash
# The same seeds in several processes, which differ in their address space and in what fresh memory holds, give the same trace.
set -euo pipefail
trace=$1
expected=$(MALLOC_PERTURB_=165 "$trace")
[ "$(wc -l <<< "$expected")" = 3 ] || { echo "no trace"; exit 1; }
for fill in 90 255; do
  actual=$(MALLOC_PERTURB_=$fill "$trace")
  [ "$actual" = "$expected" ] || { diff <(echo "$expected") <(echo "$actual"); exit 1; }
done

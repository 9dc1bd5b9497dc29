#!/usr/bin/env bash
# The primary is killed with SIGKILL in the middle of its work: the standby that takes over has every
# change that was answered with "ok". Usage: kv_store_test.sh KV_STORE STELE
set -euo pipefail
kv=$1 stele=$2
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/kv.XXXXXX")
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill -9 "$pid" 2> /dev/null || true; done
  wait 2> /dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

wait_for() { # seconds, command...
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "timed out: $*" >&2; tail -n 20 "$work"/*.log >&2; exit 1; }
    sleep 0.1
  done
}

"$stele" standalone --data "$work/cluster" --bookies 3 --ready-file "$work/ready" > "$work/cluster.log" 2>&1 &
pids+=($!)
wait_for 60 test -s "$work/ready"
uri=$(head -n 1 "$work/ready")

mkfifo "$work/primary.in" "$work/standby.in"
"$kv" primary --metadata "$uri" < "$work/primary.in" > "$work/primary.out" 2> "$work/primary.log" &
primary=$!
pids+=("$primary")
exec 3> "$work/primary.in"
wait_for 30 grep -q '^primary of reign 0' "$work/primary.out"
"$kv" standby --metadata "$uri" < "$work/standby.in" > "$work/standby.out" 2> "$work/standby.log" &
pids+=($!)
exec 4> "$work/standby.in"
wait_for 30 grep -q '^following' "$work/standby.out"

(for i in $(seq 1 100000); do echo "set key$((i % 500)) value$i"; done >&3) 2> /dev/null &
pids+=($!)
wait_for 60 test "$(wc -l < "$work/primary.out")" -gt 0
many() { [ "$(wc -l < "$work/primary.out")" -gt 400 ]; }
wait_for 60 many
kill -9 "$primary"
exec 3>&-
wait "$primary" 2> /dev/null || true

answered=$(grep -c '^ok ' "$work/primary.out")
echo takeover >&4
wait_for 60 grep -q '^primary of reign' "$work/standby.out"
for key in $(seq 0 499); do echo "get key$key" >&4; done
echo "set after takeover" >&4
wait_for 60 grep -q '^ok after' "$work/standby.out"

# Each key must have the last answered value, or a later one that was under way at the kill.
python3 - "$work/primary.out" "$work/standby.out" "$answered" << 'PYTHON'
import sys
answered = int(sys.argv[3])
values = {}
for line in open(sys.argv[2]):
    words = line.split()
    if words and words[0] == "value":
        values[words[1]] = int(words[2].removeprefix("value"))
lost = 0
for i in range(max(1, answered - 499), answered + 1):
    key = f"key{i % 500}"
    if values.get(key, 0) < i:
        lost += 1
        print(f"{key}: answered value{i}, found value{values.get(key)}")
print(f"{answered} changes were answered before the kill; {lost} of the last {min(answered, 500)} keys lost")
sys.exit(1 if lost else 0)
PYTHON

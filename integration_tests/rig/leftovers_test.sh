#!/usr/bin/env bash
# A supervisor that is killed in the middle of its work, with a disk hanging, leaves nothing behind.
# Usage: leftovers_test.sh RIG STELE DRIVER CHECKER
set -uo pipefail
# As in smoke_test.sh: ZooKeeper's C client loses what is under way at its close, and most of these processes are killed.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
lab=$(mktemp -d "${TEST_TMPDIR:-/tmp}/rig.XXXXXX")
python3 "$1" --stele "$2" --driver "$3" --checker "$4" --lab "$lab" --seconds 600 --nemeses N13,N5 > "$lab.log" 2>&1 &
supervisor=$!
disown
wait_for() { # what, command...
  local i what=$1
  shift
  for i in $(seq 1200); do
    "$@" && return 0
    sleep 0.05
  done
  echo "FAILED: waited too long for $what" >&2
  cat "$lab.log" >&2
  kill -9 "$supervisor"
  exit 1
}
processes() { # those of the lab, the supervisor among them
  pgrep -f "$lab" > /dev/null
}
hanging() { grep -q '"freeze"' "$lab"/run-*/actions 2> /dev/null; }
pausing() { grep -q 'SIGSTOP' "$lab"/run-*/actions 2> /dev/null; }
if grep -q 'hung disk *works' <(wait_for "the probe" grep -q 'system calls' "$lab.log"; cat "$lab.log"); then
  wait_for "a disk that hangs" hanging
else
  wait_for "a process that is paused" pausing
fi
processes || { echo "FAILED: no process of the lab is seen" >&2; exit 1; }
kill -9 "$supervisor"
none() { ! processes && [ ! -e "$lab" ] && ! losetup --all | grep -q "$lab" && ! grep -q "$lab" /proc/mounts; }
wait_for "the end of everything" none
rm -f "$lab.log"
echo "nothing is left"

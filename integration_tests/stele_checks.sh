# shellcheck shell=bash
# What tests of the stele program share. Sourced with the program as $1: goes to a scratch directory of its own, names a
# metadata store there unless STELE_METADATA names one, and ends at exit what is in `pid`.
set -uo pipefail
stele=$(realpath "$1")
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/stele.XXXXXX")
cd "$work" || exit 1
export STELE_METADATA=${STELE_METADATA:-sqlite://$work/metadata.db}
declare -A pid=()
failures=0
wait_seconds=30
clean_up() {
  kill -9 "${pid[@]}" 2> /dev/null
  wait 2> /dev/null
  rm -rf "$work"
}
trap clean_up EXIT

expect() { # exit code, command...
  local wanted=$1 got=0
  shift
  "$@" > out 2> err || got=$?
  [ "$got" = "$wanted" ] && return 0
  echo "FAILED: exit code $got, not $wanted: $*" >&2
  cat out err >&2
  failures=$((failures + 1))
}
contains() { # file, pattern
  grep -qE -- "$2" "$1" && return 0
  echo "FAILED: no '$2' in:" >&2
  cat "$1" >&2
  failures=$((failures + 1))
}
wait_for() { # what, command...
  local what=$1 end=$((SECONDS + wait_seconds))
  shift
  while [ "$SECONDS" -le "$end" ]; do
    "$@" > /dev/null 2>&1 && return 0
    sleep 0.05
  done
  echo "FAILED: waited too long for $what" >&2
  cat log-* >&2
  exit 1
}
start_bookie() { # number, flags...
  local number=$1
  shift
  rm -f "ready-$number"
  "$stele" bookie --data "$work/bookie-$number" --port 0 --set "bookieId=bookie-$number" \
    --set allowLoopback=true --ready-file "$work/ready-$number" "$@" 2>> "log-$number" &
  pid[$number]=$!
  disown
}
stop_bookie() { # number
  kill "${pid[$1]}"
  wait_for "the end of bookie $1" sh -c "! kill -0 ${pid[$1]} 2> /dev/null"
  contains "log-$1" ' stopped'
  unset "pid[$1]"
}

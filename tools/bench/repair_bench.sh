#!/usr/bin/env bash
# How fast copies come back: a bookie with many small ledgers is killed; prints when it was noticed, and the rate of repair.
# Usage: tools/bench/repair_bench.sh [LEDGERS] [ENTRY_BYTES]     four bookies, SQLite metadata; $STELE or a release build of it
set -euo pipefail
ledgers=${1:-10000} entry_size=${2:-100}
cd "$(dirname "$0")/../.."
if [ -z "${STELE:-}" ]; then
  bazel build --config=release //tools/shell:stele 2> /dev/null
  STELE=bazel-bin/tools/shell/stele
fi
stele=$(realpath "$STELE")
work=$(mktemp -d "${TMPDIR:-/tmp}/repair_bench.XXXXXX")
export STELE_METADATA=sqlite://$work/metadata.db
pids=()
clean_up() {
  kill -9 "${pids[@]}" 2> /dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
wait_for() { # seconds, command...
  local i limit=$1
  shift
  for i in $(seq $((limit * 10))); do
    "$@" > /dev/null 2>&1 && return 0
    sleep 0.1
  done
  echo "waited too long for: $*" >&2
  tail -5 "$work"/log-* >&2
  exit 1
}
now() { date +%s.%N; }
since() { echo "$(now) $1" | awk '{ printf "%.1f", $1 - $2 }'; }

"$stele" cluster init > /dev/null
for i in 1 2 3 4; do
  "$stele" bookie --data "$work/b$i" --port 0 --set "bookieId=b$i" --metadata "$STELE_METADATA" \
    --ready-file "$work/ready-$i" 2> "$work/log-$i" &
  pids+=($!)
  disown
done
for i in 1 2 3 4; do wait_for 60 test -s "$work/ready-$i"; done
"$stele" bench write --ledgers "$ledgers" --entry-size "$entry_size" --outstanding 1000 --warmup 0 --window 5 \
  --windows 1 --keep -E 3 -W 3 -A 2 > "$work/write" 2> "$work/ids"
"$stele" autorecovery delay 0 > /dev/null
"$stele" autorecovery --name bench --ready-file "$work/ready-ar" 2> "$work/log-ar" &
pids+=($!)
disown
wait_for 60 test -s "$work/ready-ar"
wait_for 60 grep -q 'elected' "$work/log-ar"
kill -9 "${pids[0]}"
killed=$(now)
wait_for 120 grep -q 'a bookie is lost' "$work/log-ar"
noticed=$(since "$killed")
wait_for 3600 grep -q 'ledgers were repaired' "$work/log-ar"
took=$(since "$killed")
echo "lost bookie noticed after  $noticed s"
echo "all marks gone after       $took s"
grep 'ledgers were repaired' "$work/log-ar" | tail -n 1
"$stele" cluster fsck | tail -n 8

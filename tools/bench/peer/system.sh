# System "peer": Stele, for a runner that measures several systems one after the other. Sourced by it.
# Three `stele bookie` processes on the embedded metadata store, driven by `stele bench`. The runner gives PEERS (its
# folder, with measure.py and lib.sh), PEERS_TMP, OUT, WARMUP, WINDOW, WINDOWS, READ_MB, RATE.
# STELE_NAME=suffix for the results  STELE_BINARY=a release build of stele that is there already, instead of building one
# STELE_SET="KEY=VALUE ..." settings of the bookies, as stele.indexFormat=extents

peer_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
peer_stele=$PEERS_TMP/stele
peer_data=$PEERS_TMP/stele-data

peer_setup() {
  local built=${STELE_BINARY:-}
  if [ -z "$built" ]; then
    (cd "$peer_root" && bazel build --config=release //tools/shell:stele) || return 1
    built=$(cd "$peer_root" && bazel info --config=release bazel-bin 2> /dev/null)/tools/shell/stele
  fi
  # A copy, so that a build in the middle of a run changes nothing.
  install -m 755 "$built" "$peer_stele"
}

peer_start() {
  rm -rf "$peer_data"
  mkdir -p "$peer_data"
  export STELE_METADATA=sqlite://$peer_data/metadata.db
  "$peer_stele" cluster init > /dev/null || return 1
  peer_bookies_start || return 1
  "$peer_stele" bench write --ledgers 10 --outstanding 2000 --warmup "$WARMUP" --windows 0 > /dev/null
}

peer_bookies_start() {
  local i j setting settings=()
  for setting in ${STELE_SET:-}; do settings+=(--set "$setting"); done
  peer_pid=()
  for i in 1 2 3; do
    rm -f "$peer_data/$i.ready"
    "$peer_stele" bookie --metadata "$STELE_METADATA" --data "$peer_data/$i" --port 0 --set "bookieId=bookie-$i" \
      "${settings[@]}" --ready-file "$peer_data/$i.ready" 2>> "$peer_data/$i.log" &
    peer_pid[$i]=$!
  done
  for i in 1 2 3; do
    for j in $(seq 600); do [ -f "$peer_data/$i.ready" ] && break; sleep 0.1; done
    [ -f "$peer_data/$i.ready" ] || { echo "bookie $i does not start; see $peer_data/$i.log" >&2; return 1; }
  done
}

peer_stop() {
  stop_pids "${peer_pid[@]}"
  rm -rf "$peer_data"
}

peer_measured() { # case, arguments of stele bench
  local name=$1 i pids=()
  shift
  for i in "${!peer_pid[@]}"; do pids+=(--pid "bookie$i=${peer_pid[$i]}"); done
  "$PEERS/measure.py" --out "$OUT" --system "stele${STELE_NAME:-}" --case "$name" "${pids[@]}" -- \
    "$peer_stele" bench "$@" --peer-protocol --warmup "$WARMUP"
}

peer_write() { # case, arguments of stele bench write
  local name=$1
  shift
  peer_measured "$name" write --window "$WINDOW" --windows "$WINDOWS" "$@"
}

peer_bench() {
  case $1 in
    a1)     peer_write a1 --ledgers 1 --outstanding 1000 ;;
    a10)    peer_write a10 --ledgers 10 --outstanding 2000 ;;
    a1000)  peer_write a1000 --ledgers 1000 --outstanding 2000 ;;
    a10q3)  peer_write a10q3 --ledgers 10 --outstanding 2000 --ack-quorum 3 ;;
    b)      peer_write b --ledgers 1 --outstanding 1 ;;
    c100)   peer_write c100 --ledgers 10 --outstanding 2000 --entry-size 100 ;;
    c64k)   peer_write c64k --ledgers 10 --outstanding 100 --entry-size 65536 ;;
    d)      peer_write d --ledgers 1 --outstanding 1000 --ensemble 1 --write-quorum 1 --ack-quorum 1 ;;
    e)      peer_write e --ledgers 10 --outstanding 10000 --rate "$RATE" ;;
    g)      peer_measured g tail --rate 1000 --window "$WINDOW" --windows "$WINDOWS" ;;
    f)      peer_read f ;;
    fbatch) peer_read fbatch --batch ;;
    *) echo "stele: no case $1" >&2; return 1 ;;
  esac
}

peer_fill() { # megabytes: a closed ledger of 1 KB entries of noise, whose id is printed
  head -c "$1"M /dev/urandom | "$peer_stele" ledger append --create --ensemble 3 --write-quorum 3 --ack-quorum 2 --size 1024 \
    --id-file "$peer_data/id" > /dev/null && cat "$peer_data/id"
}

peer_read() { # case, arguments: filled once a cluster, and the bookies restarted; then three cold and warm passes
  local name=$1 ids
  shift
  if [ ! -f "$peer_data/filled" ]; then
    { peer_fill 300 && peer_fill "$READ_MB"; } > "$peer_data/filled" || return 1
    stop_pids "${peer_pid[@]}"
    peer_bookies_start || return 1
  fi
  mapfile -t ids < "$peer_data/filled"
  peer_measured "$name" read --warmup-ledger "${ids[0]}" --cold --entries 100 --in-flight 8 "$@" "${ids[1]}" "${ids[1]}" "${ids[1]}"
}

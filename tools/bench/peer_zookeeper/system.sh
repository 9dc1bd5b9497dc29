# System "peer_zookeeper": Stele with its metadata in a real ZooKeeper, for the runner that measures several systems one after
# the other (../peer/system.sh says what it gives). Sourced by it. ZooKeeper and the configuration of the bookies are those of
# the runner's system "bookkeeper", so that ledger creation is measured beside Apache's on the same store:
#   PEERS/run -r 3 -s "bookkeeper tools/bench/peer_zookeeper/system.sh" i16 i1 g
# STELE_BINARY=a release build of stele that is there already

source "$(dirname "${BASH_SOURCE[0]}")/../java_client/system.sh"

peer_zookeeper_setup() { java_client_setup; }
peer_zookeeper_start() { java_client_start; }
peer_zookeeper_stop() { java_client_stop; }

peer_zookeeper_measured() { # case, arguments of stele bench
  local name=$1 i pids=()
  shift
  for i in "${!bk_pid[@]}"; do pids+=(--pid "bookie$i=${bk_pid[$i]}"); done
  "$PEERS/measure.py" --out "$OUT" --system "stele-zookeeper${STELE_NAME:-}" --case "$name" "${pids[@]}" \
    --pid "zookeeper=$bk_zk" -- "$java_client_stele" bench "$@" --metadata zk+null://127.0.0.1:2181/ledgers --peer-protocol \
    --warmup "$WARMUP" --window "$WINDOW" --windows "$WINDOWS"
}

peer_zookeeper_bench() {
  case $1 in
    g)   peer_zookeeper_measured g tail --rate 1000 ;;
    i1)  peer_zookeeper_measured i1 create --at-once 1 ;;
    i16) peer_zookeeper_measured i16 create --at-once 16 ;;
    *) echo "stele on ZooKeeper: no case $1" >&2; return 1 ;;
  esac
}

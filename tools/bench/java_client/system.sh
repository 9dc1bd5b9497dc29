# System "java_client": Apache's own client on Stele bookies, for the runner that measures several systems one after the
# other (../peer/system.sh says what it gives). Sourced by it. The client (BkBench), the cases, ZooKeeper and the
# configuration of the bookies are those of the runner's system "bookkeeper"; what differs is the program of the bookies:
#   PEERS/run -r 3 -s "bookkeeper tools/bench/java_client/system.sh" a1 a10 b
# STELE_BINARY=a release build of stele that is there already  BK_V=3|2 wire protocol

source "$PEERS/bookkeeper/system.sh"
java_client_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
java_client_stele=$PEERS_TMP/stele-of-java-client

java_client_setup() {
  local built=${STELE_BINARY:-}
  if [ -z "$built" ]; then
    (cd "$java_client_root" && bazel build --config=release //tools/shell:stele) || return 1
    built=$(cd "$java_client_root" && bazel info --config=release bazel-bin 2> /dev/null)/tools/shell/stele
  fi
  # A copy, so that a build in the middle of a run changes nothing.
  install -m 755 "$built" "$java_client_stele"
  bookkeeper_setup
}

java_client_start() {
  bk_bookie_start() { # number
    # The runner's file has a key that Apache's bookie does not know either, and passes over.
    "$java_client_stele" bookie --conf "$bk_data/$1.conf" --allow-unknown-keys >> "$bk_data/$1.log" 2>&1 &
    bk_pid[$1]=$!
  }
  local BK_STORAGE=stele # in the name of the results
  bookkeeper_start
}

java_client_bench() { # case
  local BK_STORAGE=stele
  bookkeeper_bench "$1"
}

java_client_stop() {
  bookkeeper_stop
  source "$PEERS/bookkeeper/system.sh" # Apache's bookies again
}

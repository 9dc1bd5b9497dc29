#!/usr/bin/env bash
# cli_test.sh on a real ZooKeeper. Usage: cli_zookeeper_test.sh WITH_ZOOKEEPER CLI_TEST STELE
# ZooKeeper's C client loses the requests that are under way when a process that is done closes it.
suppressions=$(mktemp)
echo "leak:libzookeeper_mt.so" > "$suppressions"
export LSAN_OPTIONS="${LSAN_OPTIONS:+$LSAN_OPTIONS:}print_suppressions=0:suppressions=$suppressions"
"$1" "$(realpath "$2")" "$(realpath "$3")"
code=$?
rm -f "$suppressions"
exit "$code"

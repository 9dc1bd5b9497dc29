#!/usr/bin/env bash
# cli_test.sh on a real ZooKeeper. Usage: cli_zookeeper_test.sh WITH_ZOOKEEPER CLI_TEST STELE
exec "$1" "$(realpath "$2")" "$(realpath "$3")"

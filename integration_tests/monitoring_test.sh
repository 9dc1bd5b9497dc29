#!/usr/bin/env bash
# The alert rules and the dashboard ask only for what bookies and autorecovery really say, and the page of measurements lists
# exactly that. Usage: monitoring_test.sh STELE MONITORING_CHECK ALERTS DASHBOARD METRICS_PAGE
check=$(realpath "$2") alerts=$(realpath "$3") dashboard=$(realpath "$4") page=$(realpath "$5")
. "$(dirname "$0")/stele_checks.sh"

expect 0 "$stele" cluster init
"$stele" bookie --data "$work/bookie-1" --port 0 --set bookieId=bookie-1 --set allowLoopback=true \
  --set httpServerEnabled=true --set httpServerPort=0 --set stele.grpcEnabled=true --set stele.grpcPort=0 \
  --set localScrubInterval=1 --ready-file ready-1 2>> log-1 &
pid[1]=$!
disown
for i in 2 3; do start_bookie $i; done
for i in 1 2 3; do wait_for "bookie $i" test -s "ready-$i"; done
seq 100 | "$stele" ledger append --create -E 3 -W 3 -A 2 > /dev/null 2>> log-append
kill -9 "${pid[3]}"
"$stele" autorecovery --http 127.0.0.1:0 --grpc 127.0.0.1:0 --ready-file ready-ar 2>> log-ar &
pid[ar]=$!
disown
wait_for "autorecovery" test -s ready-ar
port_of() { grep -oE 'admin port .*port=[0-9]+' "$1" | grep -oE '[0-9]+$'; }
bookie=127.0.0.1:$(port_of log-1) autorecovery=127.0.0.1:$(port_of log-ar)

# What is there only after something went wrong or took long: one kind of each.
printf 'rubbish of a stranger' > "/dev/tcp/127.0.0.1/$(grep -oE '[0-9]+$' ready-1)"
shows() { python3 "$check" fetch "$1" | grep -qE "^$2"; }
wait_for "bad input" shows "$bookie" stele_bad_input_total
wait_for "the first scrub" shows "$bookie" stele_scrub_full_pass_age_seconds
# What the auditor says of the cluster may be 30 seconds old: ask when there is something to say.
wait_seconds=90
is_lost() { "$stele" autorecovery status | grep -q 'lost_bookies *bookie-3'; }
wait_for "a lost bookie" is_lost
wait_for "the first check" shows "$autorecovery" stele_auditor_last_complete_seconds
expect 0 shows "$autorecovery" 'stele_bookie_lost_seconds.*bookie-3'
expect 0 shows "$autorecovery" 'grpc_server_handled_total.*grpc_service="stele.admin.v1.Autorecovery"'

python3 "$check" fetch "$bookie" > bookie.txt
python3 "$check" fetch "$autorecovery" > autorecovery.txt
expect 0 python3 "$check" names "$alerts" "$dashboard" "$page" bookie.txt autorecovery.txt
contains out 'expressions'

# The check would find what is not there.
sed 's/stele_dir_used_ratio > 0.92/stele_dir_used_ratios > 0.92/' "$alerts" > wrong.yml
expect 1 python3 "$check" names wrong.yml "$dashboard" "$page" bookie.txt autorecovery.txt
contains out 'stele_dir_used_ratios'
grep -v '^bookie_SERVER_STATUS\|^# TYPE bookie_SERVER_STATUS' bookie.txt > less.txt
expect 1 python3 "$check" names "$alerts" "$dashboard" "$page" less.txt autorecovery.txt
contains out 'bookie_SERVER_STATUS'

# --- The admin port of autorecovery, as a script uses it.
contains <(python3 "$check" get "$autorecovery" /readyz) '^200 running'
contains <(python3 "$check" get "$autorecovery" '/restartz?bookie=bookie-1') '^503 .*"granted": false'
contains <(python3 "$check" get "$autorecovery" /api/v1/autorecovery/status) '"enabled": true'
# The same of both processes: what is about the whole cluster.
for port in "$bookie" "$autorecovery"; do
  contains <(python3 "$check" get "$port" /api/v1/bookie/cluster_info) '"unavailableBookiesCount": 1'
  contains <(python3 "$check" get "$port" '/api/v1/ledger/list?print_metadata=true') '"lastEntryId": 99, .*"id": "bookie-1"'
  contains <(python3 "$check" get "$port" '/api/v1/ledger/read?ledger_id=0') '^403 '
done
expect 2 "$stele" autorecovery --http nowhere
expect 2 "$stele" autorecovery --http 127.0.0.1:70000
kill -TERM "${pid[ar]}"
wait_for "autorecovery to end" grep -q stopping log-ar

[ "$failures" = 0 ] && echo "PASSED"
exit "$failures"

#!/usr/bin/env bash
# Repair by real processes: a bookie is killed, its copies come back; a living one is drained; what operators see.
# Usage: autorecovery_test.sh STELE
. "$(dirname "$0")/stele_checks.sh"
wait_seconds=120

expect 0 "$stele" cluster init
for i in 1 2 3 4 5; do start_bookie $i; done
for i in 1 2 3 4 5; do wait_for "bookie $i" test -s "ready-$i"; done
for i in 1 2 3 4 5 6; do
  seq "$((i * 1000))" "$((i * 1000 + 50))" | "$stele" ledger append --create -E 3 -W 3 -A 2 > /dev/null 2>> log-append
done
expect 0 "$stele" cluster fsck --json
contains out '"copies": ?918'
contains out '"copies_proven": ?918'

# --- Without anybody who repairs.
expect 4 "$stele" autorecovery status
expect 0 "$stele" autorecovery list
expect 3 "$stele" autorecovery audit
expect 3 "$stele" autorecovery forget 7
expect 0 "$stele" autorecovery disable
expect 8 "$stele" autorecovery disable
expect 0 "$stele" autorecovery enable
expect 8 "$stele" autorecovery enable
expect 2 "$stele" autorecovery limit --cluster -5
expect 0 "$stele" autorecovery limit --cluster 100000000 --json
contains out '"cluster": ?100000000'
expect 0 "$stele" autorecovery delay 0
expect 0 "$stele" autorecovery --help
contains out 'Examples'

# --- A bookie is killed, and its copies come back.
"$stele" autorecovery --name worker-1 --ready-file ready-ar 2>> log-ar &
pid[ar]=$!
disown
wait_for "autorecovery" test -s ready-ar
is_auditor() { "$stele" autorecovery status | grep -q 'auditor *worker-1'; }
wait_for "an auditor" is_auditor
kill -9 "${pid[2]}"
is_repaired() {
  "$stele" bookies list | grep -q 'bookie-2 *down' && [ "$("$stele" autorecovery status --json |
    grep -oE '"ledgers_marked": ?[0-9]+' | grep -oE '[0-9]+$')" = 0 ] && "$stele" cluster fsck
}
wait_for "the copies" is_repaired
expect 0 "$stele" cluster fsck --mode full --json
contains out '"copies_proven": ?918'
expect 0 "$stele" ledger explain 0
contains out 'complete'

# --- What may be stopped, what may be removed.
expect 4 "$stele" gate restart bookie-1 bookie-3 bookie-4  # of four: no ledger keeps two copies
contains out 'G3'
expect 0 "$stele" cookie list
contains out '^bookie-2 +no'
expect 5 "$stele" cookie delete bookie-3
expect 0 "$stele" cookie delete bookie-2 --dry-run
expect 0 "$stele" cookie show bookie-2
contains out 'bookieHost'
expect 3 "$stele" cookie show bookie-77
expect 5 "$stele" recover bookie-3
expect 0 "$stele" recover bookie-2 --dry-run --json
contains out '"ledgers": ?0'

# --- A living bookie is drained.
expect 3 "$stele" node drain bookie-77
expect 0 "$stele" node drain bookie-3 --dry-run --json
contains out '"ledgers_open": ?0'
expect 0 "$stele" node status bookie-3
contains out 'active'
contains out '^disk_bytes_free +[1-9]'
start_bookie 2
wait_for "bookie 2 again" test -s ready-2
expect 0 "$stele" node drain bookie-3 --json
contains out '"drained": ?true'
expect 0 "$stele" node status bookie-3
contains out 'drained'
expect 0 "$stele" node undrain bookie-3
expect 3 "$stele" node undrain bookie-3
expect 0 "$stele" cluster fsck --mode sample
expect 0 "$stele" gate restart bookie-3
contains out '^granted +yes'
kill "${pid[ar]}"
wait_for "the end of autorecovery" bash -c "! kill -0 ${pid[ar]}"
expect 4 "$stele" autorecovery status

[ "$failures" = 0 ] && echo "ok"
exit "$failures"

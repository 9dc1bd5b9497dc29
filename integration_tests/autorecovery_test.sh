#!/usr/bin/env bash
# Repair by real processes: a bookie is killed, its copies come back; a living one is drained; what operators see.
# Usage: autorecovery_test.sh STELE
. "$(dirname "$0")/stele_checks.sh"
wait_seconds=120

expect 0 "$stele" cluster init
(umask 077 && echo 0123456789abcdef > token)
for i in 1 2 4 5; do start_bookie $i; done
start_bookie 3 --set httpServerEnabled=true --set httpServerPort=0 --set "stele.httpTokenFile=$work/token"
for i in 1 2 3 4 5; do wait_for "bookie $i" test -s "ready-$i"; done
for i in 1 2 3 4 5 6; do
  seq "$((i * 1000))" "$((i * 1000 + 50))" | "$stele" ledger append --create -E 3 -W 3 -A 2 > /dev/null 2>> log-append
done
expect 0 "$stele" cluster fsck --json
contains out '"copies": ?918'
contains out '"copies_proven": ?918'

# --- A bookie whose directories are set back to a copy says of what it has lost that it does not know, until it is whole.
is_in_limbo() { "$stele" node status bookie-1 | grep -qE "^in_limbo +$1$"; }
stop_bookie 1
cp -r bookie-1 old-1
start_bookie 1
wait_for "bookie 1 after the copy" test -s ready-1
seq 20 | "$stele" ledger append --create -E 5 -W 5 -A 3 --id-file closed > /dev/null 2>> log-append
seq 20 | "$stele" ledger append --create --keep-open -E 5 -W 5 -A 3 --id-file open > /dev/null 2>> log-append
stop_bookie 1
rm -r bookie-1
mv old-1 bookie-1
start_bookie 1
wait_for "bookie 1 as it was" test -s ready-1
contains log-1 'this bookie has lost data'
wait_for "bookie 1 to be in limbo" is_in_limbo yes
expect 1 "$stele" ledger read "$(cat open)" --bookie bookie-1 --last 9  # 3 would be: there is none
contains err 'bookie-1 does not give ledger'
expect 0 "$stele" ledger recover "$(cat open)"
wait_for "bookie 1 to be whole" is_in_limbo no
contains log-1 'has left limbo'
for file in closed open; do
  expect 0 "$stele" ledger read "$(cat $file)" --bookie bookie-1 --lines
  cp out entries
  expect 0 diff entries <(seq 20)
  expect 0 "$stele" ledger delete "$(cat $file)"
done

# --- Without anybody who repairs.
expect 4 "$stele" autorecovery status
expect 0 "$stele" autorecovery list
expect 3 "$stele" autorecovery audit
expect 3 "$stele" autorecovery forget 7
expect 0 "$stele" autorecovery disable
expect 8 "$stele" autorecovery disable
expect 0 "$stele" autorecovery recheck --ledgers
contains out 'begins *once repair is switched on'
expect 0 "$stele" autorecovery enable
expect 8 "$stele" autorecovery enable
expect 0 "$stele" autorecovery recheck --ledgers
contains out 'begins *now;'
expect 0 "$stele" autorecovery recheck --placement
contains out 'begins *now, if the auditor'
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
expect 2 "$stele" node quiesce bookie-3
expect 3 "$stele" node quiesce bookie-4 --token-file token  # it has no admin port
expect 0 "$stele" node drain bookie-3 --token-file token --json
contains out '"drained": ?true'
"$stele" bookies list > out
contains out '^bookie-3 +read-only'

# --- A bookie that takes entries is made ready to be stopped: its writer goes on with others.
expect 0 "$stele" node undrain bookie-3
kill "${pid[3]}"
start_bookie 3 --set httpServerEnabled=true --set httpServerPort=0 --set "stele.httpTokenFile=$work/token"
wait_for "bookie 3 again" test -s ready-3
(umask 077 && echo another-token-than-that > wrong)
expect 1 "$stele" node quiesce bookie-3 --token-file wrong
"$stele" bench write --ledgers 4 --rate 500 --warmup 0 --window 3 --windows 1 --json -E 3 -W 3 -A 2 > written 2>> log-append &
writer=$!
expect 0 "$stele" node quiesce bookie-3 --token-file token --timeout 30 --json
contains out '"registered_read_only": ?true, "adds_in_progress": ?0'
wait "$writer"
contains written '"failed": ?0'
expect 3 "$stele" node undrain bookie-3
expect 0 "$stele" cluster fsck --mode sample
expect 0 "$stele" gate restart bookie-3
contains out '^granted +yes'
kill "${pid[ar]}"
wait_for "the end of autorecovery" bash -c "! kill -0 ${pid[ar]}"
expect 4 "$stele" autorecovery status

[ "$failures" = 0 ] && echo "ok"
exit "$failures"

#!/usr/bin/env bash
# The stele program from outside: a cluster of bookie processes, ledgers through all their life, exit codes.
# Usage: cli_test.sh STELE     STELE_METADATA names an empty metadata store; default: a SQLite file
. "$(dirname "$0")/stele_checks.sh"

same() { # what, file, file
  cmp "$2" "$3" >&2 && return 0
  echo "FAILED: $1" >&2
  failures=$((failures + 1))
}

# --- Bad command lines say so before anything happens.
expect 2 "$stele"
expect 2 "$stele" no-such-command
expect 2 "$stele" ledger read
expect 2 "$stele" ledger read seven
expect 2 "$stele" ledger read -- -1
expect 2 "$stele" ledger append 1 --outstanding 0 < /dev/null
expect 2 "$stele" ledger read 1 --raw --hex
expect 2 "$stele" bench write --digest md5
expect 2 "$stele" ledger list --metadata etcd://somewhere
contains err 'etcd'
expect 2 env -u STELE_METADATA "$stele" ledger list
contains err '--metadata'
expect 2 env -u STELE_METADATA "$stele" bookie --data "$work/none" --port 0 --set bookieId=b
contains err 'STELE_METADATA'
expect 2 "$stele" cluster status --metadata "sqlite://$work/mistyped.db"
contains err 'mistyped.db.*stele cluster init'
expect 1 test -e "$work/mistyped.db"
printf 'metadataServiceUri=sqlite://%s/of-the-file.db\n' "$work" > bk_server.conf
expect 2 "$stele" bookie --conf bk_server.conf --data "$work/none" --port 0 --set bookieId=b
contains err 'of-the-file.db'
expect 2 "$stele" bookie --metadata "$STELE_METADATA" --data "$work/none" --port 0 \
  --set allowLoopback=true
contains err 'bookieId'
expect 2 "$stele" bookie --set journalMaxSizeM=1 --metadata "$STELE_METADATA" --data "$work/none"
contains err 'journalMaxSizeMB'
expect 0 "$stele" --help
expect 0 "$stele" ledger append --help
contains out 'Examples'
expect 0 "$stele" version --json
contains out '^\{"stele": "'

# --- A cluster.
expect 2 "$stele" cluster status
expect 0 "$stele" cluster init
expect 8 "$stele" cluster init
expect 0 "$stele" cluster init --ok-if-exists
expect 4 "$stele" cluster status
expect 4 "$stele" ledger create
for i in 1 2 3; do start_bookie $i; done
for i in 1 2 3; do wait_for "bookie $i" test -f "ready-$i"; done
expect 0 "$stele" cluster status
contains out '^bookies_writable +3$'
expect 0 "$stele" bookies list
contains out '^bookie-2 +writable +127.0.0.1:[0-9]+$'

# --- A ledger by lines: created, claimed once, written, read in every form.
seq -f 'line %g of the input' 500 > lines
printf 'the last line has no end' >> lines
id=$("$stele" ledger create -E 3 -W 3 -A 2 --custom owner=me)
expect 0 "$stele" ledger append "$id" --ack-log acks < lines
contains out '^entries +501$'
expect 5 "$stele" ledger append "$id" < lines
expect 0 "$stele" ledger info "$id"
contains out '^state +closed$'
contains out '^last_entry +500$'
contains out '^custom +owner=me$'
expect 0 "$stele" ledger info "$id" --json
contains out '"fragments": \[\{"first_entry": 0, "ensemble": \["bookie-'
"$stele" ledger read "$id" --lines > read.lines
same 'lines that were read' read.lines <(cat lines; echo)
"$stele" ledger read "$id" --hashes > read.hashes
same 'hashes and the ack log' read.hashes acks
"$stele" ledger tail "$id" --lines > tail.lines
same 'a tail of a closed ledger' tail.lines read.lines
expect 0 "$stele" ledger read "$id" --first 2 --last 3
contains out '^3 line 4 of the input$'
expect 0 "$stele" ledger read "$id" --first 0 --last 0 --json
contains out '^\{"entry": 0, "size_bytes": 19, "payload_base64": "bGluZSAxIG9mIHRoZSBpbnB1dA=="\}$'
expect 0 "$stele" ledger read "$id" --first 0 --last 0 --hex
contains out '^0 6c696e652031'
expect 3 "$stele" ledger read "$id" --first 500 --last 501

# --- A ledger by blocks, with a password and a chosen id.
head -c 1000000 /dev/urandom > blocks
printf 'secret\n' > password
expect 0 "$stele" ledger append --create --id 77 --password-file password --digest mac --size 64KB --id-file id < blocks
contains id '^77$'
expect 8 "$stele" ledger create --id 77
expect 7 "$stele" ledger read 77 --raw
"$stele" ledger read 77 --raw --password secret > read.blocks
same 'blocks that were read' read.blocks blocks

# --- A tail follows a writer; a recovery ends both.
mkfifo feed
"$stele" ledger append --create --id-file followed --keep-open < feed > append.out 2>&1 &
pid[writer]=$!
disown
exec 7> feed
wait_for "the ledger's id" test -f followed
followed=$(cat followed)
"$stele" ledger tail "$followed" --lines > followed.lines &
pid[tail]=$!
seq 1 100 >&7
wait_for "the tail" grep -q '^100$' followed.lines
expect 0 "$stele" ledger recover "$followed"
contains out '^last_entry +99$'
wait_for "the end of the tail" sh -c "! kill -0 ${pid[tail]} 2> /dev/null"
same 'what the tail has seen' followed.lines <(seq 1 100)
echo 'one more' >&7
exec 7>&-
wait_for "the fenced writer's end" sh -c "! kill -0 ${pid[writer]} 2> /dev/null"
contains append.out '^error: '

# --- Lists and deletion.
expect 0 "$stele" ledger list --details
contains out "^$id +closed +500 "
open=$("$stele" ledger create)
expect 2 "$stele" ledger delete "$open"
expect 0 "$stele" ledger delete "$open" --force
expect 0 "$stele" ledger delete "$id" 77
expect 3 "$stele" ledger info "$id"
expect 3 "$stele" ledger delete "$id"
expect 3 "$stele" ledger recover 4711

# --- A short benchmark of each kind.
expect 0 "$stele" bench write --warmup 0 --window 1 --windows 1 --outstanding 10 --keep --server-pid "${pid[1]}" --json
contains out '"entries_per_second": [1-9]'
contains out '"servers_cpu_s_per_million": '
written=$(sed -n 's/^ledger //p' err)
expect 0 "$stele" bench read "$written" --warmup 0 --peer-protocol
contains out '^@end \{"ops":[1-9]'
expect 0 "$stele" bench write --warmup 0 --window 1 --windows 1 --outstanding 10 --rate 200
expect 0 "$stele" bench device --directory "$work" --writes 5 --round-trips 5

# --- What a bookie has on its disk; a SIGKILL and a second life.
journal=$(ls bookie-1/journal/current/*.txn | head -1)
expect 0 "$stele" dump journal "$journal"
expect 3 "$stele" dump journal "$work/no-such-file"
kill -9 "${pid[1]}"
start_bookie 1
wait_for "bookie 1 again" test -f ready-1
expect 0 "$stele" ledger read "$written" --first 0 --last 9

# --- Rot on its disk: found by a scrub, and mended with a copy of another bookie.
id=$("$stele" ledger create -E 3 -W 3 -A 3)
expect 0 "$stele" ledger append "$id" < lines
stop_bookie 1
LC_ALL=C sed -i 's/line 250 of the input/LINE 250 of the input/' bookie-1/ledgers/current/*.log
expect 1 grep -rq 'line 250 of the input' bookie-1/ledgers
start_bookie 1 --set localScrubInterval=1
wait_for "damage to be found" grep -q 'damage on disk.*entry=249' log-1
wait_for "damage to be mended" grep -rq 'line 250 of the input' bookie-1/ledgers

for i in 1 2 3; do stop_bookie $i; done
[ "$failures" = 0 ] && echo "cli: all as expected"
exit "$((failures > 0))"

#!/usr/bin/env bash
# What operators of Apache BookKeeper's shell find here: each command of its inventory by its own name (docs/JAVA_COMMANDS.md),
# and the doctor, on a cluster of real processes.
# Usage: operator_commands_test.sh STELE JAVA_COMMANDS.md
java_commands=$(realpath "$2")
. "$(dirname "$0")/stele_checks.sh"

shell() { "$stele" shell "$@"; }
only_on() { # bookie; makes a ledger that has no other copy than the one there, and prints its id
  local ledger
  for _ in $(seq 100); do
    echo 'the only copy' | "$stele" ledger append --create -E 1 -W 1 -A 1 --id-file only > /dev/null 2>> log-append
    ledger=$(cat only)
    "$stele" ledger info "$ledger" | grep -q "\\b$1\\b" && break
    "$stele" ledger delete "$ledger" > /dev/null
  done
  echo "$ledger"
}

# --- The table of names: the program's and the page's are the same.
shell --help > names || exit 1
"$stele" shell > names.alone
cmp names names.alone >&2 || failures=$((failures + 1))
while read -r name; do
  grep -q "^| \`$name\`" "$java_commands" || { echo "FAILED: $name is not in JAVA_COMMANDS.md" >&2; failures=$((failures + 1)); }
done < <(sed -nE 's/^ {2,}([a-zA-Z_-]+) +(-|stele) .*/\1/p' names)
[ "$(sed -nE 's/^ {2,}([a-zA-Z_-]+) +(-|stele) .*/\1/p' names | wc -l)" -ge 48 ] || failures=$((failures + 1))
expect 2 shell nosuchcommand
expect 2 shell convert-to-db-storage
contains err 'there is no DbLedgerStorage'

# --- A cluster; what the doctor says of it from its first hour on.
expect 0 shell initnewcluster
expect 8 shell initnewcluster
expect 6 "$stele" cluster doctor
contains out '^critical +too_few_writable '
contains out '^critical +no_auditor '
for i in 1 2 4; do start_bookie $i; done
(umask 077 && echo 0123456789abcdef > token)
start_bookie 3 --set httpServerEnabled=true --set httpServerPort=0 --set "stele.httpTokenFile=$work/token"
for i in 1 2 3 4; do wait_for "bookie $i" test -s "ready-$i"; done
expect 6 "$stele" cluster doctor --json
contains out '"name": ?"no_auditor"'
"$stele" autorecovery --name worker-1 --ready-file ready-ar 2>> log-ar &
pid[ar]=$!
disown
wait_for "autorecovery" test -s ready-ar
is_auditor() { shell whoisauditor | grep -q 'auditor *worker-1'; }
wait_for "an auditor" is_auditor
expect 0 "$stele" cluster doctor
contains out 'nothing is wrong'

# --- The cluster.
expect 0 shell listbookies -rw
contains out '^bookie-4 +writable'
expect 0 shell listbookies -ro
contains out 'no such bookies'
expect 0 shell bookieinfo --json
contains out '"bookies": ?4, "silent": ?0, "disk_bytes": ?[1-9]'
expect 0 shell clusterinfo
contains out '^auditor +worker-1$'
expect 0 shell whatisinstanceid
contains out '^instance +[0-9a-f]'
expect 0 shell endpointinfo -bookieid bookie-3
contains out 'bookie-rpc'
contains out '^httpserver +http +127.0.0.1:'
expect 3 shell endpointinfo -bookieid bookie-77
expect 0 shell simpletest -ensemble 3 -writeQuorum 3 -ackQuorum 2 -numEntries 20
contains out '^passed +yes$'
expect 4 shell simpletest -ensemble 5
expect 0 shell bookiesanity -entries 5 -b bookie-2
contains out '^passed +yes$'
expect 3 shell bookiesanity -b bookie-77
expect 0 shell listledgers
contains out 'no ledgers'  # those were deleted

# --- Ledgers.
seq 100 149 | "$stele" ledger append --create -E 4 -W 4 -A 3 --id 7 > /dev/null 2>> log-append
expect 0 shell listledgers -meta
contains out '^7 +closed +49 '
expect 0 shell listledgers -bookieid bookie-1
contains out '^7$'
expect 0 shell readledger -ledgerid 7 -firstentryid 3 -lastentryid 4
contains out '^3 103$'
expect 0 shell readledger -l 7 -fe 3 -le 4 -bookie bookie-2
contains out '^4 104$'
expect 0 shell ledgermetadata -ledgerid 7 -dumptofile ledger-7
contains out '^state +closed$'
expect 8 shell ledgermetadata -ledgerid 7 -restorefromfile ledger-7
expect 0 shell ledgermetadata -ledgerid 7 -restorefromfile ledger-7 -update
expect 0 shell deleteledger -ledgerid 7
expect 3 shell ledgermetadata -ledgerid 7
expect 0 "$stele" ledger restore 7 --file ledger-7 --dry-run
expect 3 "$stele" ledger info 7
expect 0 shell ledgermetadata -ledgerid 7 -restorefromfile ledger-7
expect 0 "$stele" ledger read 7 --lines
contains out '^149$'
expect 6 "$stele" ledger restore 9 --file token

# --- Cookies.
expect 0 shell cookie_get bookie-4
expect 0 shell cookie_generate bookie-4 -j "$work/bookie-4/journal" -l "$work/bookie-4/ledgers" -o cookie-4
same_cookie() { cmp cookie-4 bookie-4/ledgers/current/VERSION; }
expect 0 same_cookie
expect 8 shell cookie_create -cf cookie-4 bookie-4
expect 0 shell cookie_update -cf cookie-4 bookie-4
expect 2 shell cookie_update -cf cookie-4 bookie-3
sed 's/bookie-4/bookie-77/' cookie-4 > cookie-77
expect 3 "$stele" cookie update bookie-77 --file cookie-77
expect 6 "$stele" cookie update bookie-4 --file token
expect 0 "$stele" cookie delete bookie-4 --force
expect 4 "$stele" cluster doctor
contains out '^warning +bookie_without_cookie +bookie-4 '
expect 0 shell cookie_create -cf cookie-4 bookie-4
expect 0 shell updatecookie -list
contains out '^bookie-4 +yes$'

# --- Repair.
expect 0 shell autorecovery
only=$(only_on bookie-4)
expect 0 "$stele" ledger info "$only"
contains out '\bbookie-4$'
expect 0 shell autorecovery -disable
expect 4 "$stele" cluster doctor
contains out '^warning +autorecovery_disabled '
kill -9 "${pid[4]}"
is_down() { "$stele" bookies list --state down | grep -q bookie-4; }
wait_for "the end of bookie 4" is_down
expect 6 "$stele" cluster doctor
contains out '^critical +too_few_writable .*3 bookies are writable; ledgers use up to 4 '
contains out '^warning +bookie_down +bookie-4 '
# Repair is off: nothing is moved.
expect 4 "$stele" recover bookie-4 --timeout 1 --delete-cookie --json
contains out '"ledgers_left": ?2, "quarantined": ?\[\], "cookie_deleted": ?false'
expect 0 shell listunderreplicated -missingreplica bookie-4 -printmissingreplica
contains out '^7 +bookie-4 '
expect 0 shell listunderreplicated -excludingmissingreplica bookie-4
contains out 'no such ledger is marked'
expect 0 shell queryautorecoverystatus
contains out 'no such ledger is marked'
expect 6 "$stele" cluster doctor
contains out '^warning +ledgers_lack_copies '
start_bookie 5
wait_for "bookie 5" test -s ready-5
expect 0 shell autorecovery -enable
expect 0 shell lostbookierecoverydelay -set 0
expect 0 shell lostbookierecoverydelay -get
contains out '^recovery_delay_seconds +0$'
expect 0 shell triggeraudit
expect 2 shell forceauditchecks
expect 2 shell recover -rate 5 bookie-4
expect 2 shell recover bookie-4 bookie-3
expect 0 shell recover -query bookie-4
# T38: a ledger of which no bookie has the entries is in the way, and whoever will not wait for it is told which.
wait_seconds=90
expect 4 "$stele" recover bookie-4 --skip-quarantined --timeout 90 --delete-cookie --json
contains out "\"ledgers_left\": ?1, \"quarantined\": ?\\[\"$only\"\\], \"cookie_deleted\": ?false"
expect 4 "$stele" node drain bookie-4 --skip-quarantined --json
contains out "\"ledgers_left\": ?1, \"quarantined\": ?\\[\"$only\"\\], .*\"reason\": ?\"quarantined"
expect 0 "$stele" node undrain bookie-4
expect 6 "$stele" cluster doctor
contains out "^critical +ledgers_quarantined .*the first $only"
expect 0 "$stele" ledger delete "$only"
expect 0 "$stele" autorecovery forget "$only"
expect 0 shell decommissionbookie -bookieid bookie-4 --timeout 90 --json
contains out '"ledgers_left": ?0, "quarantined": ?\[\], "cookie_deleted": ?true'
expect 3 shell cookie_get bookie-4
# The audit that the decommissioning asked for may still be repairing what the lost bookie had elsewhere.
is_well() { "$stele" cluster doctor > /dev/null 2>&1; }
wait_for "a cluster that is well" is_well
expect 0 "$stele" cluster doctor
# The auditor begins at once, and waits while repair is off.
expect 0 shell autorecovery -disable
expect 0 shell forceauditchecks -calc
expect 4 "$stele" cluster doctor
contains out '^warning +check_overdue .* 21 days ago '
expect 0 shell autorecovery -enable
wait_for "the check that was ordered" is_well

# --- Files of a stopped bookie.
stop_bookie 1
expect 0 shell lastmark bookie-1/ledgers
contains out 'file=lastMark '
expect 3 shell lastmark bookie-1
expect 0 shell readjournal -msg "$(ls bookie-1/journal/current/*.txn | head -1)"
log=$(ls bookie-1/ledgers/current/*.log | head -1)
expect 0 shell readlog -ledgerid 7 "$log"
contains out 'ledger=7'
expect 0 shell readlogmetadata "$log"
contains out '^7 +50 +[1-9][0-9]*$'
expect 0 env -u STELE_METADATA "$stele" dump usage "$log" --json
contains out '"damages": ?0, "list": ?\[\{"ledger": ?[0-9]+, "entries": ?[0-9]+, "bytes": ?[0-9]+\}'
expect 0 shell activeledgers "$log"
contains out '^7 +50 +[1-9][0-9]* +yes$'
expect 2 shell activeledgers -logId 0
expect 3 "$stele" dump usage nosuch.log
expect 6 "$stele" dump usage token
expect 0 shell ledger "$(find bookie-1/ledgers -name '7.idx')"

sums() { find bookie-1 -type f -exec sha256sum {} + | sort; }
sums > before
same_sums() { cmp <(sums) before; }
expect 0 shell localconsistencycheck -ledger-directory bookie-1/ledgers --json
contains out '"entries_proven": ?[1-9][0-9]*, "bytes_read": ?[1-9][0-9]*, "findings": ?0'
expect 0 env -u STELE_METADATA "$stele" repair check --ledger-directory bookie-1/ledgers
contains out '^entries_proven +0$'
expect 4 shell localconsistencycheck -ledger-directory bookie-2/ledgers
contains err 'stop the bookie first'
expect 0 same_sums
LC_ALL=C sed -i 's/\(^\|[^0-9]\)103\([^0-9]\|$\)/\1999\2/' "$log"
cmp -s <(sums) before && failures=$((failures + 1))
sums > before
expect 6 shell localconsistencycheck -ledger-directory bookie-1/ledgers
contains out '^7 +3 +its digest does not match'
expect 0 same_sums

# --- A bookie that is given another name: its directories, its cookie, then the metadata of its ledgers.
expect 0 shell autorecovery -disable
lone=$(only_on bookie-3)
echo 'one' | "$stele" ledger append --create --keep-open -E 3 -W 3 -A 2 --id-file open > /dev/null 2>> log-append
"$stele" ledger append --create -E 3 -W 3 -A 2 --id 1 < /dev/null > /dev/null 2>> log-append
expect 5 "$stele" bookies rename --from bookie-3 --to bookie-5
contains err 'bookie-3 is up'
stop_bookie 3
renamed() { "$stele" bookies rename --from bookie-3 --to renamed-3 "$@"; }
expect 4 renamed
contains err 'renamed-3 is not up'
expect 2 "$stele" bookies rename --from bookie-3 --to bookie-3
# Who has nothing to show is no other name for it: the first of the ledgers is empty.
expect 5 "$stele" bookies rename --from bookie-3 --to bookie-5 --proofs 1 --apply --json
contains out '"applied": ?false, "ledgers": ?4, "proven": ?0, "renamed": ?0'
contains err 'none has an entry with which bookie-5 could show that it is bookie-3'
# One that has none of its entries neither.
expect 6 "$stele" bookies rename --from bookie-3 --to bookie-5 --apply
contains err "bookie-5 does not give entry 0 of ledger $lone"
expect 0 "$stele" ledger info 7
contains out '\bbookie-3\b'
expect 0 "$stele" cookie generate renamed-3 --journal-directory "$work/bookie-3/journal" \
  --ledger-directory "$work/bookie-3/ledgers" --output cookie-3
for directory in journal ledgers; do cp cookie-3 "bookie-3/$directory/current/VERSION"; done
expect 0 "$stele" cookie create renamed-3 --file cookie-3
start_bookie 3 --set bookieId=renamed-3
wait_for "bookie 3 under its new name" test -s ready-3
expect 5 renamed --proofs 1
expect 4 renamed --proofs 1 --force --apply --limit 1 --json
contains out '"applied": ?true, "ledgers": ?4, "proven": ?0, "renamed": ?1'
expect 0 "$stele" ledger delete 1
expect 0 renamed --json
contains out '"applied": ?false, "ledgers": ?3, "proven": ?2, "renamed": ?0, "ledgers_left": ?3, "ledgers_open": ?1'
contains err 'nothing was changed'
expect 0 "$stele" ledger info 7
contains out '\bbookie-3\b'
expect 4 renamed --apply --limit 1 --json
contains out '"applied": ?true, .*"renamed": ?1, "ledgers_left": ?2'
# It goes on where it ended; what a writer has open is the writer's.
expect 4 renamed --apply --rate 1000 --verbose --json
contains out '"renamed": ?1, "ledgers_left": ?1, "ledgers_open": ?1'
contains err '^ledger [0-9]+ renamed$'
contains err "^ledger $(cat open) nothing to do$"
contains err 'stele ledger recover closes those that are open'
expect 0 "$stele" ledger read "$lone" --lines
contains out '^the only copy$'
expect 0 "$stele" ledger read 7 --bookie renamed-3
contains out '^49 149$'
expect 0 "$stele" ledger recover "$(cat open)"
expect 0 shell updateBookieInLedger -sb bookie-3 -db renamed-3 -s 50
contains out '^ledgers_left +0$'
expect 0 "$stele" cookie delete bookie-3

# --- The end of a cluster: never while something runs, never without its name.
expect 0 "$stele" cluster status --json
instance=$(grep -oE '"instance": ?"[^"]*"' out | grep -oE '[0-9a-f]{8}-[0-9a-f-]*')
expect 5 "$stele" cluster nuke --instance "$instance"
contains err 'bookie-2 runs, one of'
for i in 2 3 5; do stop_bookie $i; done
expect 5 shell metaformat --instance "$instance"
contains err 'auditor worker-1 runs'
kill -TERM "${pid[ar]}"
is_idle() { "$stele" cluster format --dry-run; }
wait_for "the last registration to end" is_idle
expect 0 "$stele" cluster format --dry-run --json
contains out '"ledgers": ?[1-9][0-9]*, .*"running": ?\[\], "others": ?\[\], "removed": ?false'
expect 2 shell metaformat -nonInteractive
contains err "$instance says that you mean it"
expect 2 shell metaformat -force
expect 2 "$stele" cluster format --instance "${instance%?}"
expect 0 "$stele" ledger info 7
expect 0 "$stele" cluster format --instance "$instance" --json
contains out '"removed": ?true, "instance_now": ?"[0-9a-f]'
expect 0 "$stele" ledger list
contains out 'no ledgers'
expect 0 "$stele" cookie list
contains out 'no bookie has a cookie'
# The entries of before do not come back with their bookies.
expect 7 "$stele" bookie --data "$work/bookie-2" --port 0 --set bookieId=bookie-2 --set allowLoopback=true
expect 7 "$stele" node format bookie-2 --directory bookie-2/journal --directory bookie-2/ledgers --apply
contains err "belongs to the cluster with instance id $instance"
expect 0 "$stele" node format bookie-2 --directory bookie-2/journal --directory bookie-2/ledgers --force
contains out '^removed +no$'
contains err 'nothing was removed'
expect 0 test -s bookie-2/ledgers/current/VERSION
expect 7 "$stele" node format bookie-3 --directory bookie-2/journal --apply --force
expect 2 "$stele" node format bookie-2 --directory bookie-2/ledgers --directory "$work/bookie-2/./ledgers" --force
contains err 'the same directory is named twice'
# What is behind a link is not the bookie's: nothing goes, not even what is here.
mkdir -p elsewhere/current && echo 'of somebody else' > elsewhere/current/file
ln -s "$work/elsewhere" bookie-2/ledgers/current/7.d
expect 2 "$stele" node format bookie-2 --directory bookie-2/journal --directory bookie-2/ledgers --apply --force
contains err '7.d is a symbolic link'
rm bookie-2/ledgers/current/7.d
mv bookie-2/ledgers/current elsewhere/ledgers
ln -s "$work/elsewhere/ledgers" bookie-2/ledgers/current
expect 2 "$stele" node format bookie-2 --directory bookie-2/journal --directory bookie-2/ledgers --apply --force
contains err 'current is a symbolic link'
rm bookie-2/ledgers/current
mv elsewhere/ledgers bookie-2/ledgers/current
expect 0 test -s elsewhere/current/file
expect 0 test -s bookie-2/journal/current/VERSION
expect 0 test -s bookie-2/ledgers/current/VERSION
expect 0 "$stele" node format bookie-2 --directory bookie-2/journal --directory bookie-2/ledgers --apply --force --json
contains out '"up": ?false, "ledgers": ?0, "removed": ?true'
expect 0 test -z "$(find bookie-2 -type f)"
expect 2 "$stele" node format bookie-2 --directory bookie-2/ledgers --apply
start_bookie 2
wait_for "bookie 2 as a new one" test -s ready-2
expect 4 "$stele" node format bookie-2 --directory bookie-2/journal --directory bookie-2/ledgers --apply
contains err 'stop the bookie first'
on_two=$(only_on bookie-2)
stop_bookie 2
expect 5 "$stele" node format bookie-2 --directory bookie-2/journal --directory bookie-2/ledgers --apply
contains err '1 ledgers have copies on bookie bookie-2'
expect 0 test -s bookie-2/ledgers/current/VERSION
# The limbo of one that will never be whole ends with its cookie.
rm bookie-2/ledgers/current/age bookie-2/ledgers/current/*.log
start_bookie 2
is_in_limbo() { "$stele" node status bookie-2 | grep -qE '^in_limbo +yes$'; }
wait_for "bookie 2 to be in limbo" is_in_limbo
stop_bookie 2
expect 0 is_in_limbo
cp bookie-2/ledgers/current/VERSION cookie-2
expect 0 "$stele" ledger delete "$on_two"
expect 0 "$stele" node format bookie-2 --directory bookie-2/journal --directory bookie-2/ledgers --apply --delete-cookie
contains out '^cookie_deleted +yes$'
expect 3 "$stele" cookie show bookie-2
expect 0 "$stele" cookie create bookie-2 --file cookie-2
expect 0 "$stele" node status bookie-2
contains out '^in_limbo +no$'
expect 0 "$stele" cookie delete bookie-2
expect 4 "$stele" cluster status --json
now=$(grep -oE '"instance": ?"[^"]*"' out | grep -oE '[0-9a-f]{8}-[0-9a-f-]*')
[ "$now" != "$instance" ] || failures=$((failures + 1))
expect 2 shell nukeexistingcluster -zkledgersrootpath /other -instanceid "$now"
expect 0 shell nukeexistingcluster -zkledgersrootpath /ledgers -instanceid "$now" --dry-run
contains out '^removed +no$'
expect 0 shell nukeexistingcluster -zkledgersrootpath /ledgers -instanceid "$now"
expect 2 "$stele" cluster status
contains err 'not initialised'
expect 0 "$stele" cluster init
[ "$failures" = 0 ] && echo "ok"
exit "$((failures > 0))"

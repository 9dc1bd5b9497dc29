#!/usr/bin/env bash
# The Debian package: made, installed below a scratch root, its units judged by systemd, its bookie started as systemd would.
# $1: the stele program, $2: deploy/package
package_script=$(realpath "$2")
# shellcheck source=integration_tests/stele_checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/stele_checks.sh" "$1"

# Made small it takes minutes on a busy machine, and is the same package.
export DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1
expect 0 "$package_script" --stele "$stele" --output "$work"
package=$(cat out)
root=$work/root
mkdir -p "$root/var/lib/dpkg" "$root/etc"
touch "$root/var/lib/dpkg/status"
# Depends is for the machine that it is installed on: here the libraries are those of the machine, not of the scratch root.
expect 0 dpkg --root="$root" --force-not-root --force-depends --force-script-chrootless --install "$package"
contains "$root/etc/passwd" '^stele:'
expect 0 test -d "$root/var/lib/stele"
# Judged among the units of this machine, where sysinit.target and its like are.
mkdir units
for unit in "$root"/lib/systemd/system/*.service; do
  sed "s#^ExecStart=#&$root#" "$unit" > "units/$(basename "$unit")"
done
expect 0 systemd-analyze verify --man=no units/stele-bookie.service units/stele-autorecovery.service
expect 0 dpkg-deb --field "$package" Depends
contains out 'libzookeeper-mt2'
contains out 'libc6 '

# The sample configuration as it stands, but for the store and the place of the data.
cat > notified.py <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + sys.argv[1])
open("listening", "w").close()
while (said := s.recv(100).decode()):
    with open("said", "a") as f:
        f.write(said + "\n")
    if said == "STOPPING=1":
        break
END
# An abstract name: a path in the scratch directory may be too long for a socket.
python3 notified.py "stele-$$" &
pid[notified]=$!
wait_for "the socket of the service manager" test -f listening
expect 0 "$root/usr/bin/stele" cluster init
NOTIFY_SOCKET=@stele-$$ "$root/usr/bin/stele" bookie --conf "$root/etc/stele/bk_server.conf" --metadata "$STELE_METADATA" \
  --data "$work/data" --port 0 --set bookieId=packaged --set allowLoopback=true 2> log-packaged &
pid[packaged]=$!
wait_for "READY=1" grep -q '^READY=1$' said
expect 0 "$root/usr/bin/stele" bookies list
contains out packaged
kill -TERM "${pid[packaged]}"
wait "${pid[packaged]}" || { echo "FAILED: the bookie ended with $?" >&2; failures=$((failures + 1)); }
wait_for "STOPPING=1" grep -q '^STOPPING=1$' said
expect 0 dpkg --root="$root" --force-not-root --force-script-chrootless --remove stele
expect 0 test -d "$root/var/lib/stele"
expect 0 test -f "$root/etc/stele/bk_server.conf"
exit "$((failures > 0))"

#!/usr/bin/env python3
"""How fast copies come back and what it costs: real processes on this machine, figures on stdout.

    tools/bench/repair_bench.py CASE --stele bazel-bin/tools/shell/stele [--data DIR]

  small   10,000 ledgers (--ledgers) of a few small entries; a bookie is killed. Ledgers per second; on ZooKeeper
          also its requests per ledger:  bazel-bin/integration_tests/with_zookeeper tools/bench/repair_bench.py small ...
          and with --kinds each kind of them, counted by a relay, which takes its time: no figures of speed then
  large   10,000 ledgers, 5 GB of them on the bookie that is killed, no delay. Seconds until `cluster fsck` has proven
          all copies; bytes per second beside what the device takes in one stream (dd, direct, just before)
  append  the latency of appends at a rate, before, and while the same kind of data is repaired
  gate    seconds of `stele gate restart` on 100,000 ledgers
  drain   what `stele node drain` said was left after a tenth, beside what it took

Everything is below DIR and is removed. Metadata: SQLite below DIR, or $STELE_METADATA.
"""
import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

from zookeeper_requests import ZooKeeperRequests

BOOKIES = 4
COPIES = 3


class Cluster:
    """Bookies and, later, `stele autorecovery`; all killed at the end."""

    def __init__(self, options, data):
        self.stele, self.data, self.processes = os.path.abspath(options.stele), data, {}
        self.limit, self.ledgers = options.limit, options.ledgers
        os.environ.setdefault("STELE_METADATA", f"sqlite://{data}/metadata.db")
        self.requests = None
        if options.kinds:
            host, port = zookeeper_address()
            self.requests = ZooKeeperRequests(host, port)
            os.environ["STELE_METADATA"] = os.environ["STELE_METADATA"].replace(f"{host}:{port}", f"127.0.0.1:{self.requests.port}")
        self.run("cluster", "init", "--ok-if-exists")
        for i in range(1, BOOKIES + 1):
            self.start(f"b{i}", "bookie", "--data", f"{data}/b{i}", "--port", "0", "--set", f"bookieId=b{i}",
                       "--set", "allowLoopback=true", "--ready-file", f"{data}/ready-b{i}")
        for i in range(1, BOOKIES + 1):
            self.wait(60, f"b{i} to serve", lambda i=i: os.path.exists(f"{data}/ready-b{i}"))

    def start(self, name, *arguments):
        with open(f"{self.data}/log-{name}", "w", encoding="utf-8") as log:
            self.processes[name] = subprocess.Popen([self.stele, *arguments], stderr=log, stdout=subprocess.DEVNULL)

    def log(self, name):
        with open(f"{self.data}/log-{name}", encoding="utf-8", errors="replace") as log:
            return log.read()

    def run(self, *arguments, codes=(0,)):
        done = subprocess.run([self.stele, *arguments], capture_output=True, text=True, check=False)
        if done.returncode not in codes:
            raise SystemExit(f"stele {' '.join(arguments)}: {done.returncode}: {done.stderr[-500:]}")
        return done

    def wait(self, seconds, what, condition):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"waited {seconds} s for {what}")
            time.sleep(0.05)

    def write(self, ledgers, entry_size, window, *more):
        """Appends for `window` seconds, keeps the ledgers, gives what was measured."""
        done = self.run("bench", "write", "--json", "--ledgers", str(ledgers), "--entry-size", str(entry_size), "--warmup", "0",
                        "--window", str(window), "--windows", "1", "-E", "3", "-W", str(COPIES), "-A", "2", *more)
        return json.loads(done.stdout)[0]

    def start_autorecovery(self):
        self.run("autorecovery", "delay", "0")
        self.start("autorecovery", "autorecovery", "--name", "bench")
        self.wait(60, "an auditor", lambda: "elected" in self.log("autorecovery"))

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()
        return time.monotonic()

    def wait_repaired(self):
        self.wait(3600, "the repair", lambda: "ledgers were repaired" in self.log("autorecovery"))
        return re.findall(r"ledgers were repaired.*", self.log("autorecovery"))[-1]

    def stop(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


def print_figures(**figures):
    for name, value in figures.items():
        print(f"{name:38} {value:.2f}" if isinstance(value, float) else f"{name:38} {value}", flush=True)


def number(name, line):
    return int(re.search(rf"\b{name}=(\d+)", line).group(1))


def bytes_below(directory):
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(directory) for name in names
               if name.endswith(".log"))


class Usage:
    """Of the processes that run: seconds of processors, bytes from and to the device, so far."""

    def __init__(self, cluster):
        ticks = self.read = self.written = 0
        for process in cluster.processes.values():
            if process.poll() is None:
                with open(f"/proc/{process.pid}/stat", encoding="utf-8") as stat:
                    ticks += sum(int(field) for field in stat.read().rpartition(")")[2].split()[11:13])
                with open(f"/proc/{process.pid}/io", encoding="utf-8") as io:
                    counts = dict(line.split(": ") for line in io.read().splitlines())
                self.read += int(counts["read_bytes"])
                self.written += int(counts["write_bytes"])
        self.processors = ticks / os.sysconf("SC_CLK_TCK")


def device_rate(directory):
    """Bytes per second of one direct sequential stream of a gigabyte."""
    path = f"{directory}/dd"
    begin = time.monotonic()
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=1024", "oflag=direct", "conv=fsync"],
                   check=True, capture_output=True)
    seconds = time.monotonic() - begin
    os.remove(path)
    return (1 << 30) / seconds


def zookeeper_address():
    """Nothing without one."""
    uri = os.environ["STELE_METADATA"]
    if not uri.startswith("zk"):
        return None
    host, port = re.search(r"://([^:/]+):(\d+)", uri).groups()
    return host, int(port)


def zookeeper_requests():
    """What the server has received so far; nothing without one."""
    address = zookeeper_address()
    if address is None:
        return None
    with socket.create_connection(address, timeout=5) as peer:
        peer.sendall(b"srvr")
        answer = peer.makefile().read()
    return int(re.search(r"Received: (\d+)", answer).group(1))


def requests_once_idle(cluster):
    """Of ZooKeeper, once the auditor has had its first looks at all ledgers, which no repair asks for. None: no ZooKeeper."""
    def so_far():
        return cluster.requests.counts.copy() if cluster.requests else zookeeper_requests()

    def total(requests):
        return requests if isinstance(requests, int) else requests.total()

    requests = so_far()
    while requests is not None:
        time.sleep(1)
        before, requests = requests, so_far()
        if total(requests) - total(before) < 50:
            break
    return requests


def small(cluster):
    cluster.write(cluster.ledgers, 100, 5, "--outstanding", "1000", "--keep")
    cluster.start_autorecovery()
    before = requests_once_idle(cluster)
    killed = cluster.kill("b1")
    cluster.wait(120, "the loss to be seen", lambda: "a bookie is lost" in cluster.log("autorecovery"))
    noticed = time.monotonic() - killed
    line = cluster.wait_repaired()
    took = time.monotonic() - killed
    repaired = number("ledgers", line)
    print_figures(ledgers_repaired=repaired, seconds_until_noticed=noticed, seconds_until_repaired=took,
                  ledgers_per_second_from_kill=repaired / took, said=line)
    if cluster.requests:
        asked = cluster.requests.counts - before
        print_figures(zookeeper_requests_per_ledger=asked.total() / repaired,
                      **{f"of which {kind}": count / repaired for kind, count in asked.most_common()})
    elif before is not None:
        print_figures(zookeeper_requests_per_ledger=(zookeeper_requests() - before) / repaired)
    print_figures(fsck=cluster.run("cluster", "fsck", "--json").stdout.strip())


def fill(cluster, ledgers, on_each_bytes):
    """Ledgers of 64 KiB entries, until each bookie stores about so much."""
    written, window = 0, 4
    for part in range(10):
        cluster.write(ledgers // 10, 65_536, window, "--outstanding", str(max(200, ledgers // 10)), "--keep")
        now = bytes_below(f"{cluster.data}/b1")
        rate = max((now - written) / window, 1)
        written = now
        left = on_each_bytes - written
        window = max(1, min(60, round(left / rate / max(1, 9 - part))))
    return written


def large(cluster, on_each_bytes=5 << 30):
    stored = fill(cluster, 10_000, on_each_bytes)
    time.sleep(5)  # what the writers left behind in memory is flushed
    device = device_rate(cluster.data)
    cluster.start_autorecovery()
    killed = cluster.kill("b1")
    before = Usage(cluster)
    line = cluster.wait_repaired()
    repaired = time.monotonic() - killed
    used = Usage(cluster)
    proof = cluster.run("cluster", "fsck", "--mode", "availability", "--json").stdout.strip()
    proven = time.monotonic() - killed
    copied = number("bytes_since_start", line)
    print_figures(stored_on_the_bookie_bytes=stored, said=line, seconds_until_repaired=repaired, seconds_until_proven=proven,
                  copied_bytes_per_second=copied / repaired, device_bytes_per_second=device,
                  share_of_the_device=copied / repaired / device,
                  processor_ns_per_copied_byte=(used.processors - before.processors) / copied * 1e9,
                  device_reads_per_copied_byte=(used.read - before.read) / copied,
                  device_writes_per_copied_byte=(used.written - before.written) / copied,
                  fsck=proof)


def append(cluster):
    rate = ["--rate", "1000", "--outstanding", "10000"]
    fill(cluster, 1_000, 2 << 30)
    time.sleep(5)
    before = [cluster.write(10, 1_024, 8, *rate) for _ in range(2)]
    cluster.run("autorecovery", "limit", "--cluster", str(cluster.limit))
    cluster.start_autorecovery()
    cluster.kill("b1")
    cluster.wait(120, "the loss to be seen", lambda: "a bookie is lost" in cluster.log("autorecovery"))
    during = []
    while "ledgers were repaired" not in cluster.log("autorecovery"):
        during.append(cluster.write(10, 1_024, 8, *rate))
    line = cluster.wait_repaired()
    p99_before = max(window["p99_us"] for window in before)
    whole = during[:-1] or during  # the last one saw the end of the repair
    p99_during = max(window["p99_us"] for window in whole)
    print_figures(said=line, windows_before=[(w["p50_us"], w["p99_us"]) for w in before],
                  windows_during=[(w["p50_us"], w["p99_us"]) for w in during],
                  p99_ratio=p99_during / p99_before)


def gate(cluster):
    cluster.write(100_000, 10, 3, "--outstanding", "1000", "--keep")
    times = []
    for _ in range(3):
        begin = time.monotonic()
        verdict = cluster.run("gate", "restart", "b1", "--json", codes=(0, 4)).stdout.strip()
        times.append(time.monotonic() - begin)
    print_figures(seconds=min(times), all_seconds=[round(t, 2) for t in times], verdict=verdict[:200])


def drain(cluster):
    fill(cluster, 3_000, 1 << 30)
    cluster.run("autorecovery", "limit", "--cluster", str(cluster.limit or 12 << 20))
    cluster.start_autorecovery()
    begin = time.monotonic()
    with subprocess.Popen([cluster.stele, "node", "drain", "b1", "--json"], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        said = []
        for line in process.stderr:
            percent = re.search(r"\((\d+) %\)", line)
            if percent and " left" in line:
                said.append((int(percent.group(1)), time.monotonic() - begin, line.strip()))
        result = process.stdout.read().strip()
    took = time.monotonic() - begin
    percent, at, line = next((entry for entry in said if entry[0] >= 10), said[-1])
    left = re.search(r"([^,]*) left", line).group(1)
    units = {"h": 3600, "min": 60, "s": 1, "ms": 0.001}
    predicted = sum(float(value) * units[unit] for value, unit in re.findall(r"([\d.]+) (h|min|ms|s)\b", left))
    print_figures(said_at_percent=percent, line=line, seconds=took, predicted_end_seconds=at + predicted,
                  error_of_what_was_left=abs(predicted - (took - at)) / (took - at), result=result)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = {"small": small, "large": large, "append": append, "gate": gate, "drain": drain}
    parser.add_argument("case", choices=cases)
    parser.add_argument("--stele", required=True)
    parser.add_argument("--data", default=tempfile.gettempdir())
    parser.add_argument("--limit", type=int, default=0, help="of repair, bytes per second; append: default none, drain: 12 MiB")
    parser.add_argument("--ledgers", type=int, default=10_000, help="of small")
    parser.add_argument("--kinds", action="store_true", help="small, on ZooKeeper: its requests by kind")
    options = parser.parse_args()
    data = tempfile.mkdtemp(prefix="repair_bench.", dir=options.data)
    cluster = Cluster(options, data)
    try:
        cases[options.case](cluster)
    finally:
        cluster.stop()
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()

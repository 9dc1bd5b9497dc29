#!/usr/bin/env python3
"""Runs builds of `stele` against each other on this machine, in turn, and prints one table.

    tools/bench/compare.py --data /var/tmp/compare --case a1 --case d  BEFORE/stele AFTER/stele

Each round starts a cluster of three bookies from empty directories for each build, runs the cases on it and stops it, so
that the windows of two builds are seconds apart. On a machine that others use too, compare CPU seconds per million, not
rates. The cases have the names of tools/bench/peer/system.sh; `r` is its f: a cold pass through the ordinary read call.

RSS is the largest that a bookie ever had. `writes`: bytes that the bookies gave to the device in the window, for each byte
appended and copy; that is of the steady state when a window is long enough for several flushes (--window 20).

A build may be followed by settings of its bookies, so that one build can be compared with itself:

    tools/bench/compare.py --data /var/tmp/compare --case a1000 A/stele A/stele,stele.indexFormat=extents

With --profile PREFIX samples of one bookie and of the client are left in PREFIX.CASE.bookie and PREFIX.CASE.client, for
`perf report --no-children -i FILE`. The clock is sampled, so it works where the processor's counters are hidden.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

REPLICATED = "--ensemble 3 --write-quorum 3 --ack-quorum 2"
WRITES = {
    "a1": "--ledgers 1 --outstanding 1000",
    "a10": "--ledgers 10 --outstanding 2000",
    "a1000": "--ledgers 1000 --outstanding 2000",
    "a100k": "--ledgers 100000 --outstanding 2000",
    "b": "--ledgers 1 --outstanding 1",
    "c100": "--ledgers 10 --outstanding 2000 --entry-size 100",
    "c64k": "--ledgers 10 --outstanding 100 --entry-size 65536",
    "d": "--ledgers 1 --outstanding 1000 --ensemble 1 --write-quorum 1 --ack-quorum 1",
    "e": "--ledgers 10 --outstanding 10000 --rate 25000",
}
OTHERS = {"g": "tail", "i1": "create --at-once 1", "i16": "create --at-once 16"}
READS = {"r": "", "rbatch": "--batch"}
BOOKIES = 3


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Cluster:
    def __init__(self, build, data):
        self.binary, *self.settings = build.split(",")
        self.data = data
        self.pids = []
        self.processes = []
        shutil.rmtree(data, ignore_errors=True)
        os.makedirs(data)
        self.env = dict(os.environ, STELE_METADATA=f"sqlite://{data}/metadata.db")
        self.run("cluster", "init")
        self.start()

    def run(self, *arguments, stdin=None):
        return subprocess.run([self.binary, *arguments], env=self.env, stdin=stdin, stdout=subprocess.PIPE, check=True).stdout

    def settings_of(self, bookie):  # a hook
        return self.settings

    def start(self):
        for i in range(BOOKIES):
            ready = f"{self.data}/{i}.ready"
            if os.path.exists(ready):
                os.remove(ready)
            with open(f"{self.data}/{i}.log", "a") as log:
                self.processes.append(subprocess.Popen(
                    [self.binary, "bookie", "--metadata", self.env["STELE_METADATA"], "--data", f"{self.data}/{i}", "--port",
                     "0", "--set", f"bookieId=bookie-{i}", "--ready-file", ready,
                     *(argument for setting in self.settings_of(i) for argument in ("--set", setting))], env=self.env, stderr=log))
        for i in range(BOOKIES):
            deadline = time.monotonic() + 60
            while not os.path.exists(f"{self.data}/{i}.ready"):
                if time.monotonic() > deadline or self.processes[i].poll() is not None:
                    sys.exit(f"bookie {i} of {self.binary} does not start; see {self.data}/{i}.log")
                time.sleep(0.02)

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.processes = []

    def sample(self, client, case, settings):
        """Of the middle of the first window."""
        time.sleep(settings.warmup + 1)
        for name, pid in ("bookie", self.processes[0].pid), ("client", client.pid):
            yield subprocess.Popen(["perf", "record", "-e", "cpu-clock", "-F", "999", "-g", "-p", str(pid), "-o",
                                    f"{settings.profile}.{case}.{name}", "--", "sleep", str(max(1, settings.window - 2))],
                                   stderr=subprocess.DEVNULL)

    def bench(self, case, kind, arguments, settings):
        client = subprocess.Popen([self.binary, "bench", kind, "--peer-protocol", "--warmup", str(settings.warmup), *arguments],
                                  env=self.env, stdout=subprocess.PIPE, text=True)
        samplers = list(self.sample(client, case, settings)) if settings.profile else []
        for line in client.stdout:
            if line.startswith("@start"):
                before = self.used(client)
            elif line.startswith("@end"):
                window = json.loads(line[5:])
                used = {name: after - before[name] for name, after in self.used(client).items()}
                million = max(1, window["ops"]) / 1e6
                yield window | {"client": used["client"] / million, "bookies": used["bookies"] / million,
                                "cpu": (used["client"] + used["bookies"]) / million,
                                "read_per_byte": used["read_bytes"] / max(1, window["bytes"]),
                                "written_per_byte": used["write_bytes"] / max(1, window["bytes"]),
                                "rss_mb": max(self.rss_mb(process.pid) for process in self.processes)}
        for sampler in samplers:
            sampler.wait()
        if client.wait() != 0:
            sys.exit(f"{self.binary}: case {case} failed")

    def used(self, client):
        """CPU seconds so far of the client and the bookies; bytes that the bookies read from and wrote to the device."""
        total = {"client": cpu_seconds(client.pid), "bookies": 0, "read_bytes": 0, "write_bytes": 0}
        for process in self.processes:
            total["bookies"] += cpu_seconds(process.pid)
            with open(f"/proc/{process.pid}/io") as file:
                fields = dict(line.split(": ") for line in file)
            for name in "read_bytes", "write_bytes":
                total[name] += int(fields[name])
        return total

    @staticmethod
    def rss_mb(pid):
        with open(f"/proc/{pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024

    def fill(self, megabytes):
        """A ledger of 1 KiB entries of noise; its id."""
        noise = subprocess.Popen(["head", "-c", f"{megabytes}M", "/dev/urandom"], stdout=subprocess.PIPE)
        self.run("ledger", "append", "--create", *REPLICATED.split(), "--size", "1024", "--id-file", f"{self.data}/id",
                 stdin=noise.stdout)
        noise.wait()
        with open(f"{self.data}/id") as file:
            return file.read().strip()

    def forget_cached_files(self):
        for directory, _, names in os.walk(self.data):
            for name in names:
                fd = os.open(f"{directory}/{name}", os.O_RDONLY)
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)


def measure(cluster, case, settings):
    if case in WRITES or case in OTHERS:
        kind, *arguments = (OTHERS.get(case) or f"write {WRITES[case]}").split()
        if "--ensemble" not in arguments:
            arguments += REPLICATED.split()
        copies = int(arguments[arguments.index("--write-quorum") + 1])
        arguments += ["--window", str(settings.window), "--windows", str(settings.windows)]
        for window in cluster.bench(case, kind, arguments, settings):
            yield window | ({"writes": window["written_per_byte"] / copies} if window["bytes"] else {})
        return
    ledger = cluster.fill(settings.read_mb)
    cluster.stop()
    cluster.start()
    cluster.forget_cached_files()
    for window in cluster.bench(case, "read", ["--entries", "100", "--in-flight", "8", *READS[case].split(), ledger], settings):
        yield window | {"reads": window["read_per_byte"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs="+", metavar="STELE[,KEY=VALUE...]")
    parser.add_argument("--data", required=True, help="scratch directory on the disk to measure; it is emptied")
    parser.add_argument("--case", action="append", choices=[*WRITES, *OTHERS, *READS], help="repeatable; default a1")
    parser.add_argument("--profile", metavar="PREFIX", help="sample one bookie and the client with perf")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--window", type=int, default=4)
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--read-mb", type=int, default=500)
    settings = parser.parse_args()
    results = {}
    for _ in range(settings.rounds):
        for build in settings.builds:
            cluster = Cluster(build, settings.data)
            try:
                for case in settings.case or ["a1"]:
                    for window in measure(cluster, case, settings):
                        results.setdefault((case, build), []).append(window)
            finally:
                cluster.stop()
    shutil.rmtree(settings.data)
    columns = [("entries/s", "ops_s", 0), ("p50 us", "p50_us", 0), ("p99 us", "p99_us", 0), ("CPU-s/M", "cpu", 2),
               ("client", "client", 2), ("bookies", "bookies", 2), ("RSS MiB", "rss_mb", 0), ("writes", "writes", 2),
               ("reads", "reads", 2)]
    print(f"{'case':8}{'n':>3} " + "".join(f"{title:>12}" for title, _, _ in columns) + "  build")
    for (case, build), windows in sorted(results.items(), key=lambda item: item[0][0]):
        cells = []
        for _, key, digits in columns:
            values = [window[key] for window in windows if key in window]
            cells.append(f"{statistics.median(values):12.{digits}f}" if values else f"{'':12}")
        print(f"{case:8}{len(windows):>3} " + "".join(cells) + "  " + build)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What work in the background costs appends: their latency at half load with it and without, in turn, on one cluster.

    tools/bench/background_bench.py CASE --data /var/tmp/background STELE[,KEY=VALUE...]

  upkeep   garbage collection, compaction and scrubbing, all three the whole window long, at the rates that are the
           default. Before each round ledgers are written, and every other one is deleted, so that each log is half garbage
  readers  as many readers as --readers say, each with one request under way, that read from the disk what was written
           long ago. They run with `nice`, because in life their machines are others

The bookies are started anew before each window. Half load: half of what a closed loop with 2,000 outstanding has brought
just before, or --rate. Appends of 1 KiB to 10 ledgers, E = Qw = 3, Qa = 2, latency from the time due.
"""
import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

from compare import BOOKIES, REPLICATED, Cluster

LEDGERS = 100  # written before each round; the brake of the collection lets so many go at once
QUIET = ["gcWaitTime=3600000"]
UPKEEP = ["gcWaitTime=1000", "minorCompactionInterval=1", "majorCompactionInterval=1", "majorCompactionThreshold=0.9",
          "localScrubInterval=1"]
UPKEEP_DONE = {"passes of the collection": "stele_gc_passes_total", "bytes compacted": "stele_compaction_copied_bytes_total",
        "bytes scrubbed": "stele_scrub_bytes_total"}
READERS_DONE = {"bytes read": "bookie_READ_BYTES"}


class BusyCluster(Cluster):
    def __init__(self, build, data, port):
        self.port = port
        binary, *settings = build.split(",")
        self.fixed = settings + ["logSizeLimit=268435456", "httpServerEnabled=true", "httpServerHost=127.0.0.1"]
        super().__init__(",".join([binary, *self.fixed, *QUIET]), data)

    def restart(self, settings):
        self.stop()
        self.settings = self.fixed + settings
        self.start()

    def settings_of(self, bookie):
        return [*self.settings, f"httpServerPort={self.port + bookie}"]

    def metrics(self, names):
        """Of all bookies together."""
        total = dict.fromkeys(names, 0)
        for bookie in range(BOOKIES):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + bookie}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            for what, name in names.items():
                total[what] += float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)", text, re.MULTILINE).group(1))
        return total

    def write(self, *arguments):
        """What one window of it brought, and the ledgers when they are kept."""
        done = subprocess.run([self.binary, "bench", "write", "--json", *REPLICATED.split(), *arguments], env=self.env,
                              capture_output=True, text=True, check=True)
        return json.loads(done.stdout)[0], re.findall(r"^ledger (\d+)", done.stderr, re.MULTILINE)

    def write_garbage(self, seconds):
        _, ledgers = self.write("--ledgers", str(LEDGERS), "--outstanding", "2000", "--warmup", "0", "--window", str(seconds),
                                "--windows", "1", "--keep")
        for ledger in ledgers[::2]:
            self.run("ledger", "delete", ledger)
        return ledgers[1::2]

    def appends(self, rate, settings):
        window, _ = self.write("--ledgers", "10", "--outstanding", "10000", "--rate", str(rate), "--warmup", str(settings.warmup),
                               "--window", str(settings.window), "--windows", "1")
        return window

    def appends_beside(self, work, rate, settings):
        """The same, and how much of the work was done meanwhile."""
        before = self.metrics(work)
        window = self.appends(rate, settings)
        return window, {what: round(after - before[what]) for what, after in self.metrics(work).items()}


def upkeep(cluster, rate, settings):
    kept = cluster.write_garbage(settings.fill)
    cluster.restart(QUIET)
    without = cluster.appends(rate, settings)
    cluster.restart(UPKEEP)
    deadline = time.monotonic() + 60
    while not all(cluster.metrics(UPKEEP_DONE).values()):
        if time.monotonic() > deadline:
            sys.exit(f"not all of the work in the background has begun: {cluster.metrics(UPKEEP_DONE)}")
        time.sleep(0.2)
    during, done = cluster.appends_beside(UPKEEP_DONE, rate, settings)
    for ledger in kept:
        cluster.run("ledger", "delete", ledger)
    return without, during, done


def readers(cluster, rate, settings):
    _, ledgers = cluster.write("--ledgers", str(settings.readers), "--outstanding", "2000", "--warmup", "0", "--window",
                               str(settings.fill), "--windows", "1", "--keep")
    cluster.restart(QUIET)
    without = cluster.appends(rate, settings)
    cluster.restart(QUIET)
    cluster.forget_cached_files()
    catching_up = [subprocess.Popen(["nice", "-n", "10", cluster.binary, "bench", "read", "--json", "--warmup", "0", "--in-flight",
                                     "1", *[ledger] * 1000], env=cluster.env, stdout=subprocess.DEVNULL) for ledger in ledgers]
    try:
        during, done = cluster.appends_beside(READERS_DONE, rate, settings)
    finally:
        for reader in catching_up:
            reader.kill()
            reader.wait()
    for ledger in ledgers:
        cluster.run("ledger", "delete", ledger)
    return without, during, done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = {"upkeep": upkeep, "readers": readers}
    parser.add_argument("case", choices=cases)
    parser.add_argument("build", metavar="STELE[,KEY=VALUE...]")
    parser.add_argument("--data", required=True, help="scratch directory on the disk to measure; it is emptied")
    parser.add_argument("--rate", type=int, help="appends a second; default: half of what the cluster can")
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--fill", type=int, default=8, help="seconds of writing before each round")
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--window", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=18080, help="the first of the bookies' admin ports")
    settings = parser.parse_args()
    cluster = BusyCluster(settings.build, settings.data, settings.port)
    try:
        rate = settings.rate
        if rate is None:
            window, _ = cluster.write("--ledgers", "10", "--outstanding", "2000", "--warmup", "2", "--window", "5", "--windows", "1")
            rate = window["entries_per_second"] // 2
        print(f"{rate} appends a second", flush=True)
        rounds = []
        for _ in range(settings.rounds):
            without, during, done = cases[settings.case](cluster, rate, settings)
            rounds.append((without, during))
            print("  ".join([*(f"{key} {without[key]} -> {during[key]}" for key in ("entries_per_second", "p50_us", "p99_us")),
                             str(done)]), flush=True)
        for key in "p50_us", "p99_us":
            medians = [statistics.median(windows[i][key] for windows in rounds) for i in range(2)]
            print(f"median {key}: {medians[0]:.0f} -> {medians[1]:.0f}, {medians[1] / medians[0]:.2f} times")
    finally:
        cluster.stop()
        shutil.rmtree(settings.data, ignore_errors=True)


if __name__ == "__main__":
    main()

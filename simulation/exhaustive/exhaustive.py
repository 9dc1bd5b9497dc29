#!/usr/bin/env python3
"""The exhaustive set: every script, every call through a seam, struck in every way. Prints a table, and each fault with the line that replays it.

Usage: bazel run --config=release //simulation/exhaustive -- [--jobs N] [--script NAME] [--seed N] [--stride N]
"""
import argparse
import subprocess
import sys
import threading
import time


class Table:
    def __init__(self):
        self.lock = threading.Lock()
        self.scripts = {}  # name -> [calls, runs, played, faults]
        self.faults = []  # (script, text)
        self.played = 0


def play_shard(options, table, shard):
    """One worker after another: one that dies has found a fault in the run that it was in."""
    first = 0
    while True:
        command = [options.worker, f"--seed={options.seed}", f"--shard={shard}", f"--shards={options.jobs}", f"--from={first}",
                   f"--stride={options.stride}"] + ([f"--script={options.script}"] if options.script else [])
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        errors = []
        reader = threading.Thread(target=lambda: errors.extend(worker.stderr.readlines()[-20:]))
        reader.start()
        current, ended = None, False
        for line in worker.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            with table.lock:
                if word == "script":
                    name, calls, runs = rest.split()
                    table.scripts.setdefault(name, [int(calls), int(runs), 0, 0])
                elif word == "run":
                    current = rest.split()
                    table.scripts[current[1]][2] += 1
                    table.played += 1
                elif word == "fault":
                    note(options, table, current, rest.partition(" ")[2])
                elif word == "end":
                    ended = True
        worker.wait()
        reader.join()
        if ended:
            return
        with table.lock:
            note(options, table, current, "the program died: " + " ".join(e.strip() for e in errors))
        if current is None:
            return
        first = int(current[0]) + 1


def note(options, table, current, text):
    if current is None or text.split(" ")[0] in table.scripts:
        table.faults.append(("undisturbed", text))
        return
    _, name, call, strike = current
    table.scripts[name][3] += 1
    table.faults.append((f"--script={name} --call={call} --strike={strike} --seed={options.seed}", text))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--script", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stride", type=int, default=1)
    options = parser.parse_args()
    table = Table()
    started = time.monotonic()
    shards = [threading.Thread(target=play_shard, args=(options, table, i)) for i in range(options.jobs)]
    for shard in shards:
        shard.start()
    while any(shard.is_alive() for shard in shards):
        shards[0].join(10)
        seconds = time.monotonic() - started
        print(f"{table.played} runs, {table.played / seconds:.0f} per second, {len(table.faults)} faults", file=sys.stderr, flush=True)
    for where, text in table.faults:
        print(f"FAULT {where}\n    {text}")
    print(f"\n{'script':30} {'calls':>7} {'runs':>7} {'played':>7} {'faults':>7}")
    for name, row in table.scripts.items():
        print(f"{name:30} " + " ".join(f"{figure:>7}" for figure in row))
    total = [sum(row[i] for row in table.scripts.values()) for i in range(4)]
    print(f"{str(len(table.scripts)) + ' scripts':30} " + " ".join(f"{figure:>7}" for figure in total))
    print(f"{time.monotonic() - started:.0f} s with {options.jobs} jobs")
    sys.exit(1 if table.faults else 0)


main()

#!/usr/bin/env python3
"""Plants known bugs, one after another, and counts how many runs the simulator needs to find each. A bug that survives means that the simulator is
blind there. The bugs are in planted_bugs.patch; the product itself has no trace of them.

Usage: simulation/negative/negative.py [--bugs M1,M5] [--jobs N] [--config release] [--seeds N] [--tree DIR]
       simulation/negative/negative.py --check      does the patch still fit?
The patched tree is a git worktree of HEAD, made beside the build's caches and kept for the next time (--tree says where).
"""
import argparse
import concurrent.futures
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PATCH = os.path.join(HERE, "planted_bugs.patch")

# name, what it does, the promise that it breaks, runs within which it must be found
BUGS = [
    ("M1", "recovery reads do not fence", "G10", 20000),
    ("M2", "recovery starts at the highest LAC heard, also below the last fragment", "L3", 20000),
    ("M3", "appends are acknowledged while an ensemble change is not yet stored", "G12", 20000),
    ("M4", "acknowledgements of a replaced bookie still count", "G12", 20000),
    ("M5", "Qw - Qa negatives, or answers, are enough for recovery", "G8", 20000),
    ("M6", "what cannot be read is answered as not there", "G8", 20000),
    ("M7a", "a fence is not journalled", "G9", 20000),
    ("M7b", "a fence is not flushed with a checkpoint", "G9", 20000),
    ("M7c", "a fence is answered before it is durable", "G9", 20000),
    ("M8a", "an add is acknowledged before it is durable", "G18", 20000),
    ("M8b", "an add is acknowledged when its batch is durable, not all before it", "G18", 20000),
    ("M9a", "the journal's directory is not synced after a new file", "G18", 20000),
    ("M9b", "the directory is not synced after a small file was replaced", "G18", 20000),
    ("M10", "a failed sync of an entry log or an index is believed", "G16", 20000),
    ("M11", "what was replayed is not made durable before the bookie serves", "G16", 20000),
    ("M12", "the mark of a checkpoint is taken after the flush", "G18", 20000),
    ("M13", "compaction removes the old log before the copies are durable", "G1", 20000),
    ("M14", "a ledger whose metadata cannot be read counts as deleted", "G14", 20000),
    ("M15", "a create that finds its node removes it and gives up", "G20", 20000),
    ("M16", "ledger metadata is written whatever its version is", "G20", 20000),
    ("M18", "the LAC of recovery adds advances", "G5", 20000),
    ("M19", "of two appends that complete at once, the later is told first", "G2", 20000),
    ("M22", "a long poll looks, waits a moment, and then registers", "L1", 20000),
    ("M23", "tombstones are kept in memory only", "G15", 20000),
    ("M24", "cookies are not checked", "G22", 20000),
    ("M25", "journal files are named by the date alone", "G21", 20000),
    ("M26", "a client sends to a silent bookie without limit", "L10", 20000),
]


def run(command, **options):
    return subprocess.run(command, check=True, **options)


def check():
    done = subprocess.run(["git", "-C", ROOT, "apply", "--check", PATCH])
    sys.exit(done.returncode)


def patched_tree(tree):
    if not os.path.isdir(tree):
        run(["git", "-C", ROOT, "worktree", "add", "--detach", tree, "HEAD"])
    head = run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    run(["git", "-C", tree, "checkout", "-q", "--force", "--detach", head])
    run(["git", "-C", tree, "apply", PATCH])


def hunt(worker, bug, seeds):
    """Gives (runs until the first fault or None, where it was found)."""
    played = 0
    for seed in range(1, seeds + 1):
        current = ""
        process = subprocess.Popen([worker, f"--seed={seed}", "--scatter", "--until-fault"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, errors="replace", env={"STELE_PLANTED_BUG": bug})
        found, ended = None, False
        for line in process.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word in ("script", "run"):  # the undisturbed run of a script counts too
                played += 1
                current = rest
            elif word == "fault" and found is None:
                found = rest
            elif word == "end":
                ended = True
        process.wait()
        if found is not None:
            return played, f"{current}: {found}"
        if not ended:
            return played, f"{current}: the program died"
    return None, f"{played} runs"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--bugs", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--config", default="")
    parser.add_argument("--tree", default=os.path.expanduser("~/.cache/stele/planted"))
    parser.add_argument("--worker", default="", help="a worker that was built from the patched tree already")
    options = parser.parse_args()
    if options.check:
        check()
    wanted = options.bugs.split(",") if options.bugs else [bug[0] for bug in BUGS]
    worker = options.worker
    if not worker:
        patched_tree(options.tree)
        run(["bazel", "build"] + ([f"--config={options.config}"] if options.config else []) + ["//simulation/exhaustive:worker"], cwd=options.tree)
        worker = os.path.join(options.tree, "bazel-bin/simulation/exhaustive/worker")
    started = time.monotonic()
    survivors = 0
    print(f"{'bug':5} {'runs':>6} {'budget':>6}  {'':70} found as")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        hunts = {bug[0]: pool.submit(hunt, worker, bug[0], options.seeds) for bug in BUGS if bug[0] in wanted}
        for name, what, promise, budget in BUGS:
            if name not in hunts:
                continue
            runs, where = hunts[name].result()
            late = runs is None or runs > budget
            survivors += late
            print(f"{name:5} {'-' if runs is None else runs:>6} {budget:>6}  {what:70} {'SURVIVED ' + promise + ' ' if late else ''}{where}", flush=True)
    print(f"{len(hunts)} bugs, {survivors} survived; {time.monotonic() - started:.0f} s")
    sys.exit(1 if survivors else 0)


main()

#!/usr/bin/env python3
"""Plants known bugs, one after another, and counts what the simulator needs to find each: first seeds of the swarm, then runs of the exhaustive
set. A bug that survives both budgets means that the simulator is blind there. The bugs are in planted_bugs.patch; the product itself has no trace
of them.

Usage: simulation/negative/negative.py [--bugs M1,M5] [--jobs N] [--config release] [--seeds N] [--runs N] [--tree DIR]
       simulation/negative/negative.py --check      does the patch still fit, each hunk in one place only?
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
PROGRAMS = ["simulation/swarm:sim_main", "simulation/exhaustive:worker"]

# name, what it does, the promise that it breaks, how many seeds of the swarm may be needed
BUGS = [
    ("M1", "recovery reads do not fence", "G10", 2000),
    ("M2", "recovery starts at the highest LAC heard, also below the last fragment", "L3", 500),
    ("M3", "appends are acknowledged while an ensemble change is not yet stored", "G12", 200),
    ("M4", "acknowledgements of a replaced bookie still count", "G12", 500),
    ("M5", "Qw - Qa negatives, or answers, are enough for recovery", "G8", 200),
    ("M6", "what cannot be read is answered as not there", "G8", 100),
    ("M7a", "a fence is not journalled", "G9", 200),
    ("M7b", "a fence is not flushed with a checkpoint", "G9", 1000),
    ("M7c", "a fence is answered before it is durable", "G9", 1000),
    ("M8a", "an add is acknowledged before it is durable", "G18", 50),
    ("M8b", "an add is acknowledged when its batch is durable, not all before it", "G18", 1000),
    ("M9a", "the journal's directory is not synced after a new file", "G18", 300),
    ("M9b", "the directory is not synced after a small file was replaced", "G18", 300),
    ("M10", "a failed sync of an entry log or an index is believed", "G16", 300),
    ("M11", "what was replayed is not made durable before the bookie serves", "G16", 1000),
    ("M12", "the mark of a checkpoint is taken after the flush", "G18", 500),
    ("M13", "compaction removes the old log before the copies are durable", "G1", 300),
    ("M14", "a ledger whose metadata cannot be read counts as deleted", "G14", 300),
    ("M15", "a create that finds its node removes it and gives up", "G20", 300),
    ("M16", "ledger metadata is written whatever its version is", "G20", 500),
    ("M17", "a worker names a bookie before it has the last entry of the fragment", "G19", 500),
    ("M18", "the LAC of recovery adds advances", "G5", 2000),
    ("M19", "of two appends that complete at once, the later is told first", "G2", 100),
    ("M22", "a long poll looks, waits a moment, and then registers", "L1", 500),
    ("M23", "tombstones are kept in memory only", "G15", 1000),
    ("M24", "neither cookies nor the age of data are checked", "G22", 300),
    ("M25", "journal files are named by the date alone", "G21", 300),
    ("M26", "a client sends to a silent bookie without limit", "L10", 100),
    ("M28", "a bookie whose disk was set back answers as if it knew", "G22", 500),
    ("M29", "a merged index run is not synced before what it was made of goes", "G18", 500),
    ("M30", "the oldest header of a ledger in an index of extents wins", "G9", 500),
    ("M31", "a damaged block is passed over when index runs are merged, and nobody is told", "G8", 2000),
    ("M27", "canary: one seed in a hundred fails", "the machinery", 500),
]
# Bugs of what bookies do only in this profile; the others are hunted in the swarm as it is drawn.
PROFILES = {"M29": "extents", "M30": "extents", "M31": "extents"}


def run(command, **options):
    return subprocess.run(command, check=True, **options)


def patch(tree):
    with open(PATCH, "rb") as text:
        return subprocess.run(["patch", "-p1", "--fuzz=0", "--force", "--quiet", "--no-backup-if-mismatch"], cwd=tree, stdin=text).returncode


def hunks(lines):
    """Gives (file or None if it is new, line of the hunk in the patch, the lines that it expects, without their marks)."""
    path, begin, expected = None, 0, None
    for number, line in enumerate(lines, 1):
        if line.startswith(("diff ", "--- ", "@@ ")) and expected is not None:
            yield path, begin, expected
            expected = None
        if line.startswith("--- "):
            path = None if line[4:] == "/dev/null" else line[4:].split("/", 1)[1]
        elif line.startswith("@@ "):
            begin, expected = number, []
        elif expected is not None and line[:1] in (" ", "-"):
            expected.append(line[1:])
    if expected is not None:
        yield path, begin, expected


def occurrences(expected, lines):
    return sum(lines[i : i + len(expected)] == expected for i in range(len(lines) - len(expected) + 1))


def check():
    """What patch(1) is content with is not enough: with fuzz, or where code is much like its neighbour, a hunk lands in the wrong
    place, and its bug is another one or none. So each hunk's old lines stand in its file exactly once."""
    failures = 0
    with open(PATCH, encoding="utf-8") as text:
        patch_lines = text.read().split("\n")
    for path, number, expected in hunks(patch_lines):
        if path is None:
            continue
        source = os.path.join(ROOT, path)
        lines = open(source, encoding="utf-8").read().split("\n") if os.path.exists(source) else []
        count = occurrences(expected, lines)
        if count != 1:
            failures += 1
            print(f"planted_bugs.patch:{number}: what it changes stands {count} times in {path}")
    return 1 if failures else 0


def patched_tree(tree):
    if not os.path.isdir(tree):
        run(["git", "-C", ROOT, "worktree", "add", "--detach", tree, "HEAD"])
    head = run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    run(["git", "-C", tree, "checkout", "-q", "--force", "--detach", head])
    run(["git", "-C", tree, "clean", "-qfd"])
    if patch(tree) != 0:
        sys.exit("the patch does not fit")


def lines_of(command, bug):
    """The output of a program with this bug; it is ended when the reader is."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace",
                               env={"STELE_PLANTED_BUG": bug})
    try:
        yield from process.stdout
    finally:
        process.kill()
        process.wait()


def hunt_in_swarm(program, bug, seeds):
    """Gives (the seed that found it or None, as what). A seed that fails without the bug has not found it."""
    profile = [f"--profile={PROFILES[bug]}"] if bug in PROFILES else []
    first = 1
    while first <= seeds:
        found = None
        for line in lines_of([program, *profile, f"--first={first}", f"--seeds={seeds - first + 1}", "--until-failure"], bug):
            if line.startswith("FAILED seed "):
                found = line.split()
        if found is None:
            break
        seed = int(found[2])
        if subprocess.run([program, *profile, f"--first={seed}", "--seeds=1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return seed, found[-1]
        first = seed + 1
    return None, ""


def hunt_in_set(worker, bug, runs):
    """Gives (runs until the first fault or None, as what)."""
    played, current = 0, ""
    for line in lines_of([worker, "--scatter", "--until-fault"], bug):
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "run":
            current = " ".join(rest.split()[1:])
            played += 1
            if played > runs:
                return None, ""
        elif word == "fault":
            return played, f"{current}: {rest.partition(' ')[2]}"
        elif word == "end":
            return None, ""
    return played, f"{current}: the program died"


def hunt(programs, bug, budget, options):
    seed, what = hunt_in_swarm(programs[0], bug, options.seeds or budget)
    if seed is not None:
        return f"{seed} seeds", what
    if options.runs == 0 or bug in PROFILES:
        return None, ""
    runs, what = hunt_in_set(programs[1], bug, options.runs)
    return (None, "") if runs is None else (f"{runs} runs", what)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--bugs", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=0, help="of the swarm, at most; 0: each bug's own budget")
    parser.add_argument("--runs", type=int, default=30000, help="of the exhaustive set, at most; all of it has fewer; 0: none")
    parser.add_argument("--config", default="")
    parser.add_argument("--tree", default=os.path.expanduser("~/.cache/stele/planted"))
    parser.add_argument("--built", action="store_true", help="the tree is patched and built already")
    options = parser.parse_args()
    if options.check:
        sys.exit(check())
    wanted = options.bugs.split(",") if options.bugs else [bug[0] for bug in BUGS]
    unknown = set(wanted) - {bug[0] for bug in BUGS}
    if unknown:
        sys.exit(f"no such bug: {', '.join(sorted(unknown))}; there are {', '.join(bug[0] for bug in BUGS)}")
    if not options.built:
        patched_tree(options.tree)
        run(["bazel", "build"] + ([f"--config={options.config}"] if options.config else []) + [f"//{program}" for program in PROGRAMS],
            cwd=options.tree)
    programs = [os.path.join(options.tree, "bazel-bin", program.replace(":", "/")) for program in PROGRAMS]
    started = time.monotonic()
    survivors = 0
    print(f"{'bug':5} {'found by':>10}  {'':70} found as")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        hunts = {bug[0]: pool.submit(hunt, programs, bug[0], bug[-1], options) for bug in BUGS if bug[0] in wanted}
        for name, what, promise, _ in BUGS:
            if name not in hunts:
                continue
            needed, where = hunts[name].result()
            survivors += needed is None
            print(f"{name:5} {needed or 'SURVIVED':>10}  {what:70} {where or promise}", flush=True)
    print(f"{len(hunts)} bugs, {survivors} survived; {time.monotonic() - started:.0f} s")
    sys.exit(1 if survivors else 0)


main()

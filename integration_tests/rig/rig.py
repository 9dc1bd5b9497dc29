#!/usr/bin/env python3
"""Torments a cluster of real processes, run after run, and says what was seen.

rig.py --stele FILE --driver FILE --checker FILE [options]
  --seed N        of the first run; the next ones count on. Default: by the clock
  --runs N        how many; default 1. --minutes M: as many as fit
  --seconds S     how long faults happen in one run; default 15
  --nemeses A,B   only these (N1, N4, ...), all of them in each run; default: by the seed
  --minimum A,B   these strike first, in each run, until they take effect; fail when they do not
  --set KEY=VALUE of all bookies, whatever the seed says; more than once: of several keys
  --lab DIR       where to work; default: a new directory in TMPDIR
  --keep          leave the directories of all runs; those of bad ones are left in any case
  --canary        bookies whose syncs do nothing: runs with N4 must then find that promises are broken
  --probe         only say which ways to break things work here
Exit code: 0 when no promise was broken; 1 when one was, or too little was shown.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter

import lab
from cluster import Programs
from nemeses import NEMESES
from probe import Mechanisms
from run import Run, Shape


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stele", required=True)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--checker", required=True)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--nemeses", default="")
    parser.add_argument("--minimum", default="")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--lab")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--canary", action="store_true")
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--warden", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def say(*what):
    print(*what, flush=True)


def print_mechanisms(mechanisms):
    for name, why_not in mechanisms.why_not.items():
        say(f"  {name:14}", "works" if not why_not else f"NOT HERE, NOT TRIED: {why_not}")


def replay_line(options, seed):
    line = f"bazel run --config=release //integration_tests/rig:campaign -- --seed={seed} --seconds={options.seconds:g}"
    line += "".join(f" --set={setting}" for setting in options.set)
    return line + (f" --nemeses={options.nemeses}" if options.nemeses else "")


def run_one(options, programs, mechanisms, warden, seed):
    only = set(filter(None, options.nemeses.split(",")))
    shape = Shape(seed, mechanisms.works, only, options.seconds, options.canary,
                  filter(None, options.minimum.split(",")), dict(setting.split("=", 1) for setting in options.set))
    place = lab.Lab(os.path.join(options.inside, f"run-{seed}"), warden)
    say(f"seed {seed}: {shape}")
    run = Run(place, programs, shape, mechanisms.throttle, say)
    result = run.go()
    if options.keep or result.violations:
        place.keep()
    place.close()
    say(f"  {result.ok('append')} appends and {result.ok('read', 'tail', 'wait')} reads ok, "
        f"{result.copies} copies read back, {sum(result.effects.values())} faults took effect, "
        f"{result.silence:.1f} s without an append, load {os.getloadavg()[0]:.0f}: "
        + ("OK" if not result.violations else f"{len(result.violations)} VIOLATIONS, see {place.directory}"))
    for note in result.notes:
        say("  note:", note)
    for violation in result.violations:
        say("  " + violation)
    if result.violations:
        say("  again:", replay_line(options, seed))
    return result


def report(results, mechanisms, options, started):
    calls, applied, effects, own_ends, longest = Counter(), Counter(), Counter(), Counter(), {}
    for result in results:
        own_ends.update(result.own_ends)
        for operation, seconds in result.longest.items():
            longest[operation] = max(longest.get(operation, 0), seconds)
        calls.update(result.calls)
        applied.update(result.applied)
        effects.update(result.effects)
    say("\nOperations checked" + " " * 13 + "ok     error   no end  longest, s")
    for operation in sorted({name for name, _ in calls}):
        say(f"  {operation:20} {calls[operation, 'ok']:10} {calls[operation, 'error']:9} {calls[operation, 'pending']:8} "
            f"{longest.get(operation, 0):11.1f}")
    say("\nFaults" + " " * 22 + "applied  took effect")
    for nemesis in NEMESES.values():
        missing = [need for need in nemesis.needs if not mechanisms.works(need)]
        if missing:
            say(f"  {nemesis.name:24} NOT TRIED: {', '.join(missing)}")
        else:
            say(f"  {nemesis.name:24} {applied[nemesis.number]:9} {effects[nemesis.number]:12}")
    say()
    for kind in ("bookie", "application"):
        say(f"Most memory of a {kind}, MiB: {max((result.memory[kind] for result in results), default=0)}")
    if own_ends:
        say("Bookies that ended by themselves and were started again")
        for why, count in own_ends.most_common():
            say(f"  {count:6}  {why}")
    wanted = [number for number in filter(None, options.minimum.split(","))
              if effects[number] == 0 and all(mechanisms.works(need) for need in NEMESES[number].needs)]
    bad = [result.seed for result in results if result.violations]
    copies = sum(result.copies for result in results)
    say(f"\n{len(results)} runs in {time.monotonic() - started:.0f} s, {sum(calls.values())} operations, "
        f"{sum(effects.values())} faults took effect, {copies} copies read back by the second client, "
        f"{sum(result.digests for result in results)} digests checked by it")
    if wanted:
        say("FAILED: never took effect:", " ".join(wanted))
    say(f"FAILED: seeds {' '.join(map(str, bad))}" if bad else "no promise was broken")
    return 1 if bad or wanted else 0


def inside(options):
    """The supervisor: the first process of its namespaces."""
    lab.bring_loopback_up()
    warden = lab.Warden(options.warden)
    place = lab.Lab(os.path.join(options.inside, "probe"), warden)
    mechanisms = Mechanisms(place)
    say("Ways to break things here:")
    print_mechanisms(mechanisms)
    if options.probe:
        return 0
    programs = Programs(options.stele, options.driver, options.checker)
    started = time.monotonic()
    results = []
    while len(results) < options.runs or time.monotonic() < started + options.minutes * 60:
        results.append(run_one(options, programs, mechanisms, warden, options.seed + len(results)))
    code = report(results, mechanisms, options, started)
    place.close()
    return code


def main():
    options = arguments()
    if options.inside:
        return inside(options)
    if shutil.which("unshare") is None:
        say("FAILED: the program unshare (package util-linux) is missing")
        return 1
    directory = options.lab or tempfile.mkdtemp(prefix="stele-rig-", dir=os.environ.get("TEST_TMPDIR"))
    os.makedirs(directory, exist_ok=True)
    return lab.run_inside(os.path.abspath(__file__), sys.argv[1:], directory, options.keep)


if __name__ == "__main__":
    sys.exit(main())

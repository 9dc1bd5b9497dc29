#!/usr/bin/env python3
"""Prints "PASSED FAILED": test cases of a bazel-testlogs tree. Usage: count_tests.py TESTLOGS FILE_WITH_TARGETS

A target whose XML is missing, or was written by Bazel itself because the program died, counts as one failure unless that
XML says it passed (a shell test: one case). A target in shards has an XML for each of them.
"""
import glob
import os
import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return 0, 1
    passed = failed = 0
    for case in root.iter("testcase"):
        if case.get("status") == "notrun" or case.find("skipped") is not None:
            continue
        bad = case.find("failure") is not None or case.find("error") is not None
        passed, failed = passed + (not bad), failed + bad
    return (passed, failed) if passed + failed else (0, 1)


def main():
    logs, targets = sys.argv[1:]
    passed = failed = 0
    with open(targets) as lines:
        for target in sorted(line.strip() for line in lines if line.strip()):
            folder = os.path.join(logs, target.lstrip("/").replace(":", "/"))
            shards = sorted(glob.glob(os.path.join(glob.escape(folder), "shard_*_of_*", "test.xml")))
            for path in shards or [os.path.join(folder, "test.xml")]:
                ok, bad = count(path)
                passed, failed = passed + ok, failed + bad
    print(passed, failed)


main()

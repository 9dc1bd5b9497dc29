#!/usr/bin/env python3
"""The rules of the house that a machine can check on text. Prints "file:line: rule: what to do", exits 1 when there is any.

Usage: rules.py [ROOT]        ROOT is a checkout; only files that git tracks, or would, are read
       rules.py --list FILE   (tests) the findings in one file, as if it stood at the path that its first line names
"""
import os
import re
import subprocess
import sys

WIDTH = 100
FILE_LINES_MAX = 1000

# Where the world may be touched. Everybody else goes through a seam.
EDGES = ("common/real/", "metadata/drivers/", "metadata/sqlite/", "metadata/zookeeper/", "integration_tests/", "tools/",
         "client/real", "client/examples/", "common/async/launch", "simulation/history/check_main",
         "simulation/swarm/job_pool", "simulation/swarm/sim_main")
PRODUCT = ("common/", "metadata/", "client/", "bookie/", "autorecovery/", "simulation/")

BANNED = [  # (pattern, seam or replacement)
    (r"std::(this_)?thread\b|std::jthread|std::async\b|pthread_|<thread>", "an Executor (common/async/executor.h)"),
    (r"std::(recursive_|shared_|timed_)?mutex|std::condition_variable|absl::Mutex|<mutex>", "the owner shard; no locks above common/real"),
    (r"std::chrono::(steady|system|high_resolution)_clock|absl::Now\(|clock_gettime|gettimeofday|\btime\(nullptr\)|absl::SleepFor|usleep\(",
     "Clock (common/seams/clock.h)"),
    (r"std::random_device|std::mt19937|\brand\(\)|getrandom|absl::BitGen", "Random (common/seams/random.h)"),
    (r"std::(i|o)?fstream|std::filesystem|\bfopen\(|::open\(|::pread\(|::pwrite\(|<fcntl\.h>|<sys/stat\.h>", "FileSystem (common/seams/file_system.h)"),
    (r"boost::asio|<boost/|<sys/socket\.h>|::socket\(|<netinet/", "Transport (common/seams/transport.h)"),
    (r"\bgetenv\(|\bsystem\(|\bfork\(|\bexecv", "an option given by the program"),
    (r"absl/strings/str_cat\.h", "common/base/strings.h"),
    (r"\b(std::(multi)?|absl::btree_(multi)?)(set|map)<(const )?[\w:]+( const)?\s*\*|\b(std::|absl::btree_)(set|map)<std::(shared|unique)_ptr",
     "an order that is the same in each run: as they came, by id"),
]
ANYWHERE = [
    (r"^[^/]*absl::Hash\b", "StableHash where a value is stored, sharded by or printed"),
    (r"\bTODO\b|\bFIXME\b|\bXXX\b", "an issue, or the code"),
    (r"DISABLED_|GTEST_SKIP", "a test that runs"),
]
EXEMPT = {"common/base/strings.h": {r"absl/strings/str_cat\.h"}}


def tracked(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=True).stdout
    return [path for path in listed.splitlines() if os.path.isfile(os.path.join(root, path))]


def in_any(path, prefixes):
    return path.startswith(prefixes)


def is_test(path):
    return bool(re.search(r"(_test|_bench|_fuzz)\.cc$", path)) or "/testing/" in path or "/contract/" in path


def without_comment(line):
    return re.sub(r"//.*", "", line)


def check_source(path, lines):
    product = in_any(path, PRODUCT) and not in_any(path, EDGES)
    for number, line in enumerate(lines, 1):
        if len(line) > WIDTH and "#include" not in line:
            yield number, "width", f"{len(line)} columns; at most {WIDTH}"
        code = without_comment(line)
        for pattern, instead in BANNED if product else []:
            if pattern not in EXEMPT.get(path, ()) and re.search(pattern, code):
                if is_test(path) and ("common/real" in "".join(lines[:40]) or "FileSystem" in instead):
                    continue  # a test of the real edges drives them; any test may read its test data
                yield number, "seam", f"use {instead}"
        for pattern, instead in ANYWHERE:
            if re.search(pattern, line):
                yield number, "word", f"use {instead}"
    if len(lines) > FILE_LINES_MAX:
        yield len(lines), "size", f"{len(lines)} lines; should this be two files?"
    if path.endswith(".h") and not any(line.startswith("#pragma once") for line in lines):
        yield 1, "guard", "#pragma once is missing"


def check_readmes(paths):
    sources = {}
    for path in paths:
        if path.endswith((".cc", ".h")):
            sources.setdefault(os.path.dirname(path), []).append(path)
    for directory, files in sorted(sources.items()):
        if len(files) >= 3 and f"{directory}/README.md" not in paths:
            yield f"{directory}/README.md", 1, "readme", "a directory of three or more files says what it is for"


def check_docs(path, lines, paths):
    """File names in docs and READMEs must exist: rooted, or beside the page."""
    here = os.path.dirname(path)
    names = {os.path.basename(p) for p in paths}
    for number, line in enumerate(lines, 1):
        for name in re.findall(r"`([\w./-]+\.(?:h|cc|py|proto|md|bzl|sh))`", line):
            if name in paths or os.path.normpath(os.path.join(here, name)) in paths:
                continue
            if "/" not in name and name in names:
                continue
            if any(p.endswith("/" + name) for p in paths):
                continue
            yield number, "stale", f"{name} is not in the tree"


def findings(root):
    paths = tracked(root)
    known = set(paths)
    yield from check_readmes(known)
    for path in paths:
        if not path.endswith((".cc", ".h", ".md")):
            continue
        with open(os.path.join(root, path), encoding="utf-8") as source:
            lines = source.read().splitlines()
        check = check_docs(path, lines, known) if path.endswith(".md") else check_source(path, lines)
        for number, rule, text in check:
            yield path, number, rule, text


def main():
    if sys.argv[1:2] == ["--list"]:
        with open(sys.argv[2], encoding="utf-8") as source:
            lines = source.read().splitlines()
        path = lines[0].removeprefix("// ").strip()
        for number, rule, _ in check_source(path, lines):
            print(f"{number}: {rule}")
        return
    root = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")
    count = 0
    for path, number, rule, text in findings(root):
        print(f"{path}:{number}: {rule}: {text}")
        count += 1
    print(f"{count} findings")
    sys.exit(1 if count else 0)


main()

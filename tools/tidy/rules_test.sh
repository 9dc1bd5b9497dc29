#!/usr/bin/env bash
# Each rule finds its bad example and leaves the good one alone.
set -euo pipefail
rules=$1
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/rules.XXXXXX")
expect() { # path, code, expected findings
  printf '// %s\n#pragma once\n%s\n' "$1" "$2" > "$work/input"
  got=$(python3 "$rules" --list "$work/input" | tr '\n' ' ')
  [ "$got" = "$3" ] || { echo "in $1: '$2' gives '$got', expected '$3'" >&2; exit 1; }
}
expect bookie/a.h '#include <thread>' '3: seam '
expect bookie/a.h 'std::mutex mutex_;' '3: seam '
expect client/a.h 'auto now = std::chrono::steady_clock::now();' '3: seam '
expect client/a.h 'std::mt19937 generator;' '3: seam '
expect metadata/a.h 'std::ifstream in(path);' '3: seam '
expect simulation/a.h '#include <boost/asio.hpp>' '3: seam '
expect bookie/a.h 'const char* home = getenv("HOME");' '3: seam '
expect client/a.h 'std::set<Waiter*> waiters_;' '3: seam '
expect client/a.h 'std::map<const client::Waiter *, int> waiters_;' '3: seam '
expect client/a.h 'std::set<std::shared_ptr<Waiter>> waiters_;' '3: seam '
expect client/a.h 'std::map<int, Waiter*> waiters_;' ''
expect client/a.h 'absl::flat_hash_map<Waiter*, int> only_looked_up_;' ''
expect common/real/a.h '#include <thread>' ''
expect metadata/sqlite/a.h 'std::mutex mutex_;' ''
expect bookie/a.h '// a comment may speak of std::thread' ''
expect bookie/a.h "// TO""DO: later" '3: word '
expect bookie/a.h "int x;  // $(printf 'x%.0s' {1..100})" '3: width '
echo "rules: all examples as expected"

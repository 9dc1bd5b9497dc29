#!/usr/bin/env bash
# The rules of the house. Usage: bazel run //:tidy [-- --fast] [-- FILE.cc ...]
#   --fast    text rules and format only (seconds); without it clang-tidy reads every .cc file too (minutes)
set -uo pipefail
cd "${BUILD_WORKSPACE_DIRECTORY:-$(dirname "$0")/../..}"
failed=0
python3 tools/tidy/rules.py . || failed=1
tools/tidy/format.sh --check || failed=1
if [ "${1:-}" != --fast ]; then
  bazel build //proto/... > /dev/null 2>&1 || { echo "tidy: //proto/... does not build" >&2; exit 1; }
  files=("$@")
  [ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files '*.cc')
  printf '%s\n' "${files[@]}" | xargs -r -n 1 -P 2 sh -c \
    'clang-tidy-19 --quiet "$1" -- -std=c++20 -I. -Ibazel-bin 2> /dev/null' tidy || failed=1
fi
[ "$failed" -eq 0 ] && echo "tidy: clean"
exit "$failed"

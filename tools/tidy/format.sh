#!/usr/bin/env bash
# Formats all C++ files in place. Usage: bazel run //:format [-- --check]     --check: change nothing, fail where it would
set -euo pipefail
cd "${BUILD_WORKSPACE_DIRECTORY:-$(dirname "$0")/../..}"
mode=(-i)
[ "${1:-}" != --check ] || mode=(--dry-run -Werror)
git ls-files --cached --others --exclude-standard '*.cc' '*.h' | while read -r file; do [ ! -f "$file" ] || echo "$file"; done |
  xargs -r -n 64 -P 2 clang-format-19 "${mode[@]}"

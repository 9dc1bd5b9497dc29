#!/usr/bin/env bash
# Proves that the build refuses what the layers forbid: each stele_forbidden target must fail, and because its dependency is not
# visible. Usage: tools/tidy/layering.sh
set -uo pipefail
cd "$(dirname "$0")/../.."
mapfile -t targets < <(bazel query 'attr(tags, "\bforbidden\b", //...)' 2> /dev/null)
[ ${#targets[@]} -gt 0 ] || { echo "layering: no forbidden target was found" >&2; exit 1; }
said=$(bazel build --nobuild --keep_going -- "${targets[@]}" 2>&1)
failed=0
for target in "${targets[@]}"; do
  grep -q "is not visible from target '$target'" <<< "$said" && continue
  echo "layering: $target is allowed, or fails for another reason" >&2
  failed=1
done
[ "$failed" -eq 0 ] && echo "layering: ${#targets[@]} forbidden dependencies are refused"
exit "$failed"

#!/usr/bin/env bash
# Runs the rig on the programs that Bazel built. Usage: campaign.sh RIG STELE DRIVER CHECKER [options of rig.py]
set -euo pipefail
rig=$(realpath "$1") stele=$(realpath "$2") driver=$(realpath "$3") checker=$(realpath "$4")
shift 4
cd "${BUILD_WORKING_DIRECTORY:-.}"
exec nice python3 "$rig" --stele "$stele" --driver "$driver" --checker "$checker" "$@"

#!/usr/bin/env bash
# Debian 13, as a newcomer has it: a fresh system, a clone of this repository, and there the packages, tests/run.sh
# without sanitizers and fuzzers, and the demo. Takes an hour on 2 cores, and 4 GB below $TMPDIR.
#
# usage: debian13.sh [JUNIT_FILE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
junit=$(realpath -m "${1:-build/log/debian13.xml}")
. tests/package/system.sh
in_own_mounts "$PWD/tests/package/debian13.sh" "$junit"

make_system trixie
readonly install='tools/install-dependencies.sh build test node'
inside "$install"
[ -z "$(inside "$install")" ] || { echo "is not silent the second time" >&2 && exit 1; }
status=0
inside 'tests/run.sh --dev' || status=1
shopt -s nullglob # none if it does not build
for results in "$system"/src/build/log/*.xml; do cp "$results" "${junit%.xml}-${results##*/}"; done
inside 'tools/demo.sh --port 8080' || status=1
exit $status

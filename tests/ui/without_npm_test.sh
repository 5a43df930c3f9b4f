#!/usr/bin/env bash
# Without npm the live page is built all the same: with sparklines alone, and the configuration says so.
#
# usage: without_npm_test.sh REPOSITORY
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$1"; cat "$work/log"; exit 1; }

cmake -S "$here/without_npm" -B "$work/build" -G Ninja -DSHMETRICS_SOURCE="$(realpath "$1")" -DSHMETRICS_NPM=OFF \
  >"$work/log" 2>&1 || fail "the page cannot be configured without npm"
grep -q 'live page without charts, with sparklines alone: npm' "$work/log" ||
  fail "nobody is told that charts are missing"
cmake --build "$work/build" >"$work/log" 2>&1 || fail "the page does not build without npm"
grep -qx 'export default null;' "$work"/build/ui/ui_files.cpp.* || fail "the page is not told that there are no charts"

#!/usr/bin/env bash
# no_failpoints.sh TEST LIBRARY...: failpoints are symbols of the test program, and of no library that users get.
set -euo pipefail
fail() { echo "no_failpoints: $1" >&2; exit 1; }

has_failpoints() { nm -C "$1" | grep >/dev/null 'shmetrics::shm::pass(shmetrics::shm::Failpoint)'; }

has_failpoints "$1" || fail "$1 has none: this test sees nothing"
shift
for library in "$@"; do
  nm -C "$library" | grep >/dev/null 'shmetrics::' || fail "$library has no symbol of ours"
  ! has_failpoints "$library" || fail "$library has failpoints"
done

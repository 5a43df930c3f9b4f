#!/usr/bin/env bash
# Where memory has pages of 16 or 64 KiB, each program says so in one line: a worker goes on without a segment, exporter
# and tools exit with their code for what they cannot open, a segment that was copied there too.
#
# usage: pages_test.sh PROGRAMS PAGE_SIZE_LIBRARY
set -euo pipefail
programs=$1 library=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "pages_test: $1" >&2; sed 's/^/  | /' "$work/out" >&2; exit 1; }

# run PAGE_BYTES CODE PROGRAM ARGUMENT...: what it writes is in $work/out.
run() {
  local code=0
  env PAGE_BYTES="$1" SHMETRICS_SEGMENT="$segment" LD_PRELOAD="$library" timeout 60 "$programs/$3" "${@:4}" \
    >"$work/out" 2>&1 || code=$?
  [ "$code" -eq "$2" ] || fail "${*:3} exits $code with pages of $1"
}
# refuses CODE PROGRAM ARGUMENT...
refuses() {
  run "$page" "$@"
  grep -qF "memory pages of $page bytes, segments need pages of 4096: use a kernel with those" "$work/out" ||
    fail "${*:2} does not say it"
  [ "$(wc -l <"$work/out")" -eq 1 ] || fail "${*:2} says more than a line"
}

for page in 16384 65536; do
  segment=$work/none.seg
  refuses 0 smallest
  [ ! -e "$segment" ] || fail "a worker makes a segment"
  segment=$work/copied.seg
  run 4096 0 smallest
  run 4096 0 shmetrics dump
  for segment in "$work"/{none,copied}.seg; do
    refuses 1 shmetrics dump
    refuses 1 shmetrics top --once --interval 10ms
    refuses 2 shmetrics check
    refuses 2 shmetrics diff "$segment" "$segment"
    refuses 1 shmetrics-exporter --web.listen-address 127.0.0.1:0
    run "$page" 2 shmetrics doctor
    grep -q "^problem  .*memory pages of $page bytes" "$work/out" || fail "doctor does not say it"
  done
done
echo "pages of 16 and 64 KiB are refused, in a line"

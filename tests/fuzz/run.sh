#!/usr/bin/env bash
# Runs the fuzz targets that `cmake --build --preset fuzz` has made.
#
#   tests/fuzz/run.sh replay            every input of tests/fuzz/corpus once; what comes out is judged by
#                                       python3-prometheus-client, too
#   tests/fuzz/run.sh SECONDS [TARGET]  fuzzes for so many seconds in all, two targets at a time
#   tests/fuzz/run.sh minimise          replaces the corpus by the smallest that covers as much
#
# An input that ends a target is kept as build/log/fuzz-TARGET-crash-..., and named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly programs=build/fuzz/fuzzers corpora=tests/fuzz/corpus log_directory=build/log
readonly jobs=2
mkdir -p "$log_directory"

targets() {
  find "$programs" -maxdepth 1 -name 'fuzz_*' ! -name fuzz_seeds -printf '%f\n' | sort | sed 's/^fuzz_//'
}

# most_bytes TARGET: of an input. A segment's file has some hundred kilobytes, a request 16 KiB of header.
most_bytes() {
  case $1 in
    snapshot_raw) echo 131072 ;;
    request) echo 24576 ;;
    *) echo 8192 ;;
  esac
}

# fuzz TARGET FLAG...: in a process of its own; what it left in shared memory goes with it.
fuzz() {
  local target=$1 status=0 child
  shift
  "$programs/fuzz_$target" -timeout=60 -rss_limit_mb=2048 -max_len="$(most_bytes "$target")" -print_final_stats=1 \
    -artifact_prefix="$log_directory/fuzz-$target-" "$@" >"$log_directory/fuzz-$target.log" 2>&1 &
  child=$!
  wait $child || status=$?
  rm -f /dev/shm/shmetrics-fuzz-$child.seg /dev/shm/shmetrics-test-$child-*.seg
  if [ $status -ne 0 ]; then
    echo "$target: FOUND SOMETHING (exit $status)"
    tail -n 40 "$log_directory/fuzz-$target.log"
  fi
  return $status
}

summary() { # summary TARGET: one line
  local log=$log_directory/fuzz-$1.log
  printf '%-22s %s executions, %s, peak %s MiB\n' "$1" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
    "$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1)" \
    "$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")"
}

replay() {
  local status=0 target
  export SHMETRICS_FUZZ_OUTPUT=$PWD/build/fuzz/output
  rm -rf "$SHMETRICS_FUZZ_OUTPUT" && mkdir -p "$SHMETRICS_FUZZ_OUTPUT"
  for target in $(targets); do
    fuzz "$target" -runs=0 "$corpora/$target" && summary "$target" || status=1
  done
  /usr/bin/python3 tests/fuzz/judge_outputs.py "$SHMETRICS_FUZZ_OUTPUT" build/dev/tests/protobuf_to_text || status=1
  return $status
}

# What is found goes to a directory of the build: the tree is for what somebody has looked at.
explore() { # explore SECONDS TARGET
  mkdir -p "build/fuzz/corpus/$2"
  fuzz "$2" -max_total_time="$1" "build/fuzz/corpus/$2" "$corpora/$2" && summary "$2"
}

minimise() {
  local target fresh
  for target in $(targets); do
    mkdir -p "build/fuzz/corpus/$target" "build/fuzz/merged"
    fresh=build/fuzz/merged/$target
    rm -rf "$fresh" && mkdir "$fresh"
    fuzz "$target" -merge=1 "$fresh" "$corpora/$target" "build/fuzz/corpus/$target"
    find "$corpora/$target" -type f ! -name 'regression-*' -delete
    cp "$fresh"/* "$corpora/$target/"
  done
}

case "${1:-}" in
  replay) replay ;;
  minimise) minimise ;;
  '' | *[!0-9]*) sed -n '4,9s/^# *//p' "$0" >&2 && exit 2 ;;
  *)
    export -f fuzz explore summary most_bytes
    export programs corpora log_directory
    mapfile -t chosen < <([ -n "${2:-}" ] && echo "$2" || targets)
    each=$(($1 * jobs / ${#chosen[@]}))
    [ ${#chosen[@]} -gt 1 ] || each=$1
    printf '%s\n' "${chosen[@]}" | xargs -P "$jobs" -I {} bash -c "explore $each {}"
    ;;
esac

#!/usr/bin/env bash
# Everything that has to be green: installs what is missing, checks formatting, builds, runs clang-tidy and the tests,
# then sanitizers and fuzzers.
#
#   tests/run.sh                  what every change runs
#   tests/run.sh --dev            that without sanitizers and fuzzers
#   tests/run.sh --full           and the tests labelled `long`, clang-tidy over all programs, the demo, and all parts
#   tests/run.sh --full NAME...   these parts alone: each a system or toolchain that is not this one
#
# Parts: debian13, arm64, musl, containers, newcomer, php_zts, prometheus.
#
# The last line is `N passed, N failed, N skipped` over all presets; the exit status is 1 if any failed or none ran.
# Every stage has a log in build/log.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly usage='usage: tests/run.sh [--dev | --full [NAME...]]'
readonly all_parts=(debian13 arm64 musl containers newcomer php_zts prometheus)
exclude=(-LE '^long$')
parts=()
sanitizers=yes
case "${1:-}" in
  "") ;;
  --dev) sanitizers=no ;;
  --full) exclude=() && shift && parts=("$@") ;;
  --help) echo "$usage; parts: ${all_parts[*]}" && exit ;;
  *) echo "unknown flag $1; $usage" >&2 && exit 2 ;;
esac
for part in "${parts[@]}"; do
  case " ${all_parts[*]} " in
    *" $part "*) ;;
    *) echo "no part $part; there are: ${all_parts[*]}" >&2 && exit 2 ;;
  esac
done

# A part brings its system along.
[ ${#parts[@]} -gt 0 ] || tools/install-dependencies.sh build test
[ ${#exclude[@]} -gt 0 ] || [ ${#parts[@]} -gt 0 ] || tools/install-dependencies.sh long
[ ${#exclude[@]} -gt 0 ] || tools/install-dependencies.sh parts

readonly log_directory=$PWD/build/log
jobs=$(nproc)
mkdir -p "$log_directory"
rm -f "$log_directory"/*.xml "$log_directory"/stages.tsv

# Stages are called where `set -e` is off, so their commands join what must succeed by &&.
# stage NAME COMMAND...: a line with its seconds; its log's end when it fails. Notes the result for the summary. A
# command that exits 77 is skipped, and its last line says why.
stage() {
  local name=$1 begin=$SECONDS status=0 result=failed
  shift
  printf '%-28s' "$name"
  "$@" >"$log_directory/$name.log" 2>&1 || status=$?
  case $status in
    0) result=ok ;;
    77) result=skipped ;;
  esac
  printf '%4d s  %s\n' $((SECONDS - begin)) "$result"
  printf '%s\t%s\n' "$name" "$result" >>"$log_directory/stages.tsv"
  [ "$result" = failed ] || return 0
  tail -n 60 "$log_directory/$name.log"
  return 1
}

sources() { # sources PATTERN...: of this repository, those that are not committed yet among them
  git ls-files --cached --others --exclude-standard -- "$@"
}

# What these programs ask for changes with their version, and the sources follow that of Debian 12.
is_of_debian_12() { # is_of_debian_12 PROGRAM
  local version
  version=$("$1" --version) || return 1
  [[ $version == *' version 14.'* ]] || { echo "$1 14 is the judge, and this is another" && return 77; }
}

check_format() {
  is_of_debian_12 clang-format || return
  sources '*.cpp' '*.hpp' '*.c' '*.h' | xargs clang-format --dry-run -Werror
}

check_shell() {
  sources '*.sh' .ci/run | xargs -n 1 bash -n
}

# Not the tests, which would triple the time; on every change not what includes Beast, CLI11 and spdlog, which take most
# of it. g++'s own warning flags mean nothing to clang.
check_tidy() {
  is_of_debian_12 clang-tidy || return
  local rooms=('shm/*.cpp' 'client/*.cpp' 'collector/*.cpp')
  [ ${#exclude[@]} -gt 0 ] || rooms+=('exporter/*.cpp' 'tools/*.cpp' 'examples/*.cpp')
  sources "${rooms[@]}" |
    xargs -P "$jobs" -n 1 clang-tidy --quiet -p build/dev --extra-arg=-Wno-unknown-warning-option 2>&1 |
    sed '/ generated\.$/d'
}

build() { # build PRESET [TARGET...]
  local preset=$1
  shift
  cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"}
}

# test_preset PRESET [CTEST FILTER...]: three at a time, since many wait more than they work, and then those that want
# the machine for themselves.
test_preset() {
  local preset=$1 status=0
  shift
  ctest --preset "$preset" --no-tests=error -j 3 "$@" -LE "^serial\$${exclude[1]:+|${exclude[1]}}" \
    --output-junit "$log_directory/$preset.xml" || status=1
  ctest --preset "$preset" --no-tests=ignore -L '^serial$' "$@" "${exclude[@]}" \
    --output-junit "$log_directory/$preset-serial.xml" || status=1
  return $status
}

# Replays the corpora, then fuzzes on from them for a minute in all.
fuzz() {
  stage fuzz-build build fuzz fuzzers && stage fuzz-replay tests/fuzz/run.sh replay && stage fuzz tests/fuzz/run.sh 60
}

# room_targets LABELS: the build targets of the test rooms that have such tests, some for each label. What is not built
# is not run, and nobody sees it.
room_targets() {
  local label
  for label in ${1//|/ }; do
    grep -lE "LABELS.*\<$label\>" tests/*/CMakeLists.txt || { echo "no room says LABELS $label" && return 1; }
  done | sort -u | sed 's|CMakeLists.txt$|all|'
}

# sanitize PRESET LABELS: builds only the rooms that have such tests, because all of them take minutes.
sanitize() {
  local preset=$1 labels=$2 targets
  stage "$preset-rooms" room_targets "$labels" && mapfile -t targets <"$log_directory/$preset-rooms.log" &&
    stage "$preset-build" build "$preset" "${targets[@]}" &&
    stage "$preset-tests" test_preset "$preset" -L "^($labels)\$"
}

# run_parts NAME...: each prints its lines, and one with the date and the revision.
run_parts() {
  local part
  for part in "$@"; do
    stage "$part-tests" tests/package/"$part".sh "$log_directory/$part.xml" || true
    echo "$part: $(date +%F), $(git rev-parse --short=12 HEAD)"
  done
}

if [ ${#parts[@]} -gt 0 ]; then
  run_parts "${parts[@]}"
  exec python3 tests/house/summarize.py "$log_directory"
fi
stage format check_format || true
stage shell check_shell || true
if stage dev-build build dev; then
  stage tidy check_tidy || true
  stage dev-tests test_preset dev || true
  if [ "$sanitizers" = yes ]; then
    sanitize asan-ubsan 'shm|client|contract|collector|exporter|tools|multiprocess' || true
    sanitize tsan threads || true
    fuzz || true
  fi
fi
if [ ${#exclude[@]} -eq 0 ]; then
  stage demo tools/demo.sh --port 8080 && stage demo_keep python3 tests/mastercrm/keep_test.py 8080 || true
  stage demo_node tools/demo.sh --node --port 8080 || true
  run_parts "${all_parts[@]}"
fi
exec python3 tests/house/summarize.py "$log_directory"

# Sourced: builds the project of somebody else, and runs it against a segment of its own.

fail() { echo "$(basename "$0"): $1" >&2; exit 1; }

# run_outside DIRECTORY RUNS_OF_CPP RUNS_OF_C PROGRAM...: runs the programs, and looks at what they counted.
run_outside() {
  local directory=$1 cpp=$2 c=$3 program
  shift 3
  export SHMETRICS_SEGMENT=$directory/outside.seg
  rm -f "$SHMETRICS_SEGMENT"
  for program in "$@"; do "$program" || fail "$program exits $?"; done
  "$shmetrics" dump --format text >"$directory/text"
  grep -qxF "outside_runs_total{language=\"C++\"} $cpp" "$directory/text" || fail "C++ did not count $cpp"
  grep -qxF "outside_runs_total{language=\"C\"} $c" "$directory/text" || fail "C did not count $c"
}

# with_pkg_config DIRECTORY: three programs of one compiler call each.
with_pkg_config() {
  # shellcheck disable=SC2046
  g++ "$outside/worker.cpp" -o "$1/pkg_cpp" $(pkg-config --cflags --libs shmetrics)
  # shellcheck disable=SC2046
  gcc -std=c99 -Wall -Wextra -pedantic -Werror "$outside/worker.c" -o "$1/pkg_c" \
    $(pkg-config --cflags --libs shmetrics-c)
  # The linker warns of dlopen, which a static program does not come to.
  # shellcheck disable=SC2046
  gcc -std=c99 -static "$outside/worker.c" -o "$1/pkg_c_static" \
    $(pkg-config --cflags shmetrics-c) $(pkg-config --libs --static shmetrics) 2>"$1/log" ||
    { cat "$1/log"; fail "C cannot link it statically"; }
}

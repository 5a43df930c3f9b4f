#!/usr/bin/env bash
# With SHMETRICS_STUB the headers and the package for Python build without Linux and without a library, have the whole
# API, and make no segment. What is not Linux is played by a compiler that does not say it is.
#
# usage: stub_test.sh REPOSITORY
set -euo pipefail
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "stub_test: $1" >&2; [ ! -e "$work/log" ] || head -n 30 "$work/log" >&2; exit 1; }
export SHMETRICS_SEGMENT=$work/metrics.seg
readonly elsewhere=(-U__linux__ -U__linux -Ulinux) warnings=(-Wall -Wextra -Wshadow -Wconversion -pedantic -Werror)
readonly include=(-Iclient/include -Iclient/c/include -I.)

compile() { # compile COMPILER ARGUMENT...
  "$@" >"$work/log" 2>&1 || fail "${*: -1} does not compile by $1"
}
works() { # works PROGRAM ARGUMENT...
  "$@" >"$work/log" 2>&1 || fail "$1 exits $?"
  [ ! -e "$SHMETRICS_SEGMENT" ] || fail "$1 makes a segment"
}

# Without the flag the header says what to do.
if g++ -std=c++20 "${elsewhere[@]}" "${include[@]}" -fsyntax-only examples/smallest.cpp >"$work/log" 2>&1; then
  fail "compiles without Linux and without the flag"
fi
grep -m 1 error: "$work/log" | grep -q SHMETRICS_STUB || fail "does not name the flag"

for compiler in g++ clang++; do
  command -v $compiler >/dev/null || continue
  compile $compiler -std=c++20 "${elsewhere[@]}" -DSHMETRICS_STUB "${warnings[@]}" "${include[@]}" \
    tests/package/stub_program.cpp tests/package/outside/worker.cpp -c
  mv stub_program.o worker.o "$work"
  compile $compiler -std=c++20 "${elsewhere[@]}" -DSHMETRICS_STUB "${include[@]}" \
    -o "$work/cpp" tests/package/stub_program.cpp
  works "$work/cpp"
  compile $compiler -std=c++20 "${elsewhere[@]}" -DSHMETRICS_STUB "${include[@]}" \
    -o "$work/worker" tests/package/outside/worker.cpp
  works "$work/worker"
done

for standard in c99 c11; do
  compile gcc -std=$standard "${elsewhere[@]}" -DSHMETRICS_STUB "${warnings[@]}" "${include[@]}" \
    -o "$work/worker_c" tests/package/outside/worker.c
  works "$work/worker_c"
  # All of the C API, as the real one's own test uses it: here it has to compile and link.
  compile gcc -std=$standard -D_XOPEN_SOURCE=700 "${elsewhere[@]}" -DSHMETRICS_STUB "${warnings[@]}" "${include[@]}" \
    -o "$work/api_c" tests/client/c_api_program.c -lm
done

# The headers of Python on this machine want the compiler to say Linux; those of shmetrics do not look.
headers=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' || true)
if [ -e "$headers/Python.h" ]; then
  mkdir "$work/shmetrics"
  cp client/python/shmetrics/*.py "$work/shmetrics/"
  compile gcc -shared -fPIC -DSHMETRICS_STUB -Wall -Wextra -Werror "${include[@]}" -isystem "$headers" \
    client/python/{core,declaration,exemplar,reading}.c -o "$work/shmetrics/_core.abi3.so"
  cd "$work"
  works /usr/bin/python3 -W error - <<'TEXT'
from shmetrics import Counter, Gauge, Histogram, Info, Registry, Summary

registry = Registry("somewhere", workers=2)
assert registry.path == ""
jobs = Counter("jobs", "Jobs", ["kind"], registry=registry)
jobs.labels("night").inc(2)
jobs.labels(kind="day").inc()
with Counter("failures", "Failures").count_exceptions():
    pass
gauge = Gauge("things", "Things")
gauge.set(3)
gauge.inc()
gauge.dec()
gauge.set_to_current_time()
with gauge.track_inprogress():
    pass
Histogram("job_seconds", "Seconds", buckets=(1, 2)).observe(1)
with Summary("wait_seconds", "Seconds").time():
    pass
Info("build", "Build").info({"version": "1"})
try:
    jobs.labels("night").inc(-1)
    raise SystemExit("takes a negative amount")
except ValueError:
    pass
TEXT
else
  echo "without the headers of Python: its package is not tried"
fi
echo "C++, C and Python do nothing, and say that they succeed"

#!/usr/bin/env bash
# Prints the table of docs/performance.md of what an update costs in the program and in what is dlopened.
#
# usage: bench/tls.sh [BUILD_DIRECTORY]   a build of the preset release, whose targets tls_bench_* it builds
set -euo pipefail
build=${1:-build/release}
cmake --build "$build" --target tls_bench tls_bench_pic tls_bench_shared tls_bench_module tls_bench_loader >&2
segment=$(mktemp -u /dev/shm/tls_bench.XXXXXX)
trap 'rm -f "$segment"' EXIT

echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(date +%F), load $(cut -d ' ' -f 1 /proc/loadavg)"
echo
echo '| the code that counts | the library | floor | counter | histogram |'
echo '| --- | --- | --- | --- | --- |'
row() { # row PLACE LIBRARY COMMAND...
  echo "| $1 | $2 | $("${@:3}" "$segment") |"
}
row 'in the program' static "$build/bin/tls_bench"
row 'in the program, compiled with `-fPIC`' static "$build/bin/tls_bench_pic"
row 'in the program' shared "$build/bin/tls_bench_shared"
row 'dlopened' shared "$build/bin/tls_bench_loader" "$build/bench/libtls_bench_module.so"

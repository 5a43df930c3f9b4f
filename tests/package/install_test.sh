#!/usr/bin/env bash
# What `cmake --install` puts down can be used from outside by find_package, by pkg-config and from C; and the source by
# add_subdirectory and FetchContent, without the packages that the exporter needs.
#
# usage: install_test.sh REPOSITORY BUILD_DIRECTORY
set -euo pipefail
source_directory=$(realpath "$1") build=$(realpath "$2")
outside=$source_directory/tests/package/outside
shmetrics=$build/bin/shmetrics
. "$source_directory/tests/package/use_outside.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for component in libraries development programs; do
  cmake --install "$build" --prefix "$work/prefix" --component $component >"$work/log"
done
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig LD_LIBRARY_PATH=$work/prefix/lib

configure_outside() { # configure_outside NAME CMAKE_ARGUMENT...
  cmake -S "$outside" -B "$work/$1" -G Ninja "${@:2}" >"$work/log" 2>&1 ||
    { cat "$work/log"; fail "$1 cannot be configured"; }
}
build_outside() {
  configure_outside "$@"
  cmake --build "$work/$1" >"$work/log" 2>&1 || { cat "$work/log"; fail "$1 does not build"; }
}
build_outside found -DCMAKE_PREFIX_PATH="$work/prefix"
with_pkg_config "$work"
run_outside "$work" 3 3 "$work"/found/with_{static,shared,c,testing} "$work"/pkg_{cpp,c,c_static}
"$work/found/with_reader" || fail "cannot read back from outside"

unit=$work/prefix/lib/systemd/system/shmetrics-exporter.service
grep -q "^ExecStart=$work/prefix/bin/shmetrics-exporter " "$unit" ||
  fail "the unit starts another program than that beside it"

unset LD_LIBRARY_PATH
build_outside added -DSHMETRICS_SOURCE="$source_directory"
run_outside "$work" 2 1 "$work"/added/with_{static,shared,c}
configure_outside given -DSHMETRICS_REPOSITORY=unused -DFETCHCONTENT_SOURCE_DIR_SHMETRICS="$source_directory"
if git -C "$source_directory" rev-parse HEAD >"$work/log" 2>&1; then
  configure_outside fetched -DSHMETRICS_REPOSITORY="file://$source_directory"
else
  echo "FetchContent by URL is not tried: this is no repository of git"
fi
looked_for() { # looked_for NAME: packages and headers
  sed -nE 's/^([A-Za-z0-9_-]+)_(DIR|INCLUDE_DIRECTORY):PATH=.*/\1/p' "$work/$1/CMakeCache.txt" |
    grep -viE '^(outside|shmetrics|boost|xxhash|fetchcontent)' || true
}
has() { ninja -C "$work/$1" -n "$2" >"$work/log" 2>&1; } # has NAME TARGET
for name in added given fetched; do
  [ -e "$work/$name" ] || continue
  [ -z "$(looked_for $name)" ] || fail "the client looks for more than Boost and xxHash: $(looked_for $name)"
  has $name shmetrics_client_static || fail "$name has no client"
  ! has $name shmetrics_collector || fail "$name has more than the client"
done
configure_outside all -DSHMETRICS_SOURCE="$source_directory" -DSHMETRICS_CLIENT_ONLY=OFF
for target in shmetrics shmetrics-exporter shmetrics_reader shmetrics_client_static; do
  has all $target || fail "the project of somebody else has no $target, but asked for all"
done
[ -n "$(looked_for all)" ] || fail "cannot see what is looked for"

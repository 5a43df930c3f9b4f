#!/usr/bin/env bash
# pip builds a wheel from the checkout, of the version that the programs have, and what it installs counts.
#
# usage: wheel_test.sh REPOSITORY BUILD_DIRECTORY
set -euo pipefail
source_directory=$(realpath "$1") build=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  cat "$work/log"
  echo "wheel_test: $*" >&2
  exit 1
}

mkdir "$work/client" # the build leaves files beside its sources
cp -r "$source_directory/client/python" "$work/client/"
mkdir -p "$work/client/c"
cp -r "$source_directory/client/c/include" "$work/client/c/"
export C_INCLUDE_PATH=$source_directory/client/c/include:$source_directory/collector/c/include
export LIBRARY_PATH=$build/client:$build/collector LD_LIBRARY_PATH=$build/client:$build/collector
pip=(/usr/bin/python3 -m pip --disable-pip-version-check --no-input)
"${pip[@]}" wheel --no-index --no-build-isolation --no-deps --wheel-dir "$work" "$work/client/python" \
  >"$work/log" 2>&1 || fail "no wheel"
version=$("$build/bin/shmetrics" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)
wheel=$(echo "$work"/shmetrics-"$version"-cp310-abi3-*.whl)
[ -e "$wheel" ] || fail "no wheel of version $version for the stable ABI"
"${pip[@]}" install --no-index --no-deps --target "$work/installed" "$wheel" >"$work/log" 2>&1 ||
  fail "cannot be installed"
SHMETRICS_SEGMENT=$work/metrics.seg PYTHONPATH=$work/installed /usr/bin/python3 -W error -c \
  'import shmetrics; shmetrics.Counter("jobs", "Jobs").inc(); print(shmetrics.generate_latest().decode())' \
  >"$work/log" 2>&1 || fail "does not count"
grep -qx 'jobs_total 1' "$work/log" || fail "does not read back"
"$build/bin/shmetrics" dump "$work/metrics.seg" --format text >"$work/log" 2>&1 || fail "no segment"
grep -qx 'jobs_total 1' "$work/log" || fail "counted something else"
for file in py.typed _core.pyi; do
  [ -e "$work/installed/shmetrics/$file" ] || fail "no $file: programs have no types"
done

# Without the library, for systems that cannot have it: counts nothing, and makes no segment.
unset C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH
rm -rf "$wheel" "$work/client/python/build"
SHMETRICS_STUB=1 "${pip[@]}" wheel --no-index --no-build-isolation --no-deps --wheel-dir "$work" "$work/client/python" \
  >"$work/log" 2>&1 || fail "no wheel without the library"
"${pip[@]}" install --no-index --no-deps --target "$work/stub" "$wheel" >"$work/log" 2>&1 || fail "cannot be installed"
SHMETRICS_SEGMENT=$work/none.seg PYTHONPATH=$work/stub /usr/bin/python3 -W error -c \
  'import shmetrics; shmetrics.Counter("jobs", "Jobs").inc(); assert shmetrics.generate_latest() == b""' \
  >"$work/log" 2>&1 || fail "raises without the library"
[ ! -e "$work/none.seg" ] || fail "makes a segment without the library"

#!/usr/bin/env bash
# pip installs the checkout into a fresh virtual environment with no variable set, and what it installs counts, needs
# libc alone and shows one name. The same from an sdist, which carries all sources; and without a library at all.
#
# usage: wheel_test.sh REPOSITORY BUILD_DIRECTORY
set -euo pipefail
source_directory=$(realpath "$1") build=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH PYTHONPATH
fail() {
  tail -n 60 "$work/log"
  echo "wheel_test: $*" >&2
  exit 1
}

# The build leaves files beside its sources, so it gets a copy of them.
mkdir -p "$work/checkout/tools"
cp -r "$source_directory"/{CMakeLists.txt,shm,client,collector} "$work/checkout"
cp "$source_directory"/tools/{requirements,hardening}.cmake "$work/checkout/tools"
rm -rf "$work/checkout/client/python/build"

environment() { # environment NAME: a fresh one, which may use Debian's setuptools and wheel
  /usr/bin/python3 -m venv --system-site-packages "$work/$1" >"$work/log" 2>&1 || fail "no virtual environment"
}
pip() { # pip ENVIRONMENT COMMAND ARGUMENT...
  "$work/$1/bin/python" -m pip --disable-pip-version-check --no-input "$2" --no-index --no-build-isolation --no-deps \
    "${@:3}" >"$work/log" 2>&1
}
counts() { # counts ENVIRONMENT
  SHMETRICS_SEGMENT=$work/$1.seg "$work/$1/bin/python" -W error -c \
    'import shmetrics; shmetrics.Counter("jobs", "Jobs").inc(); print(shmetrics.generate_latest().decode())' \
    >"$work/log" 2>&1 || fail "$1: does not count"
  grep -qx 'jobs_total 1' "$work/log" || fail "$1: does not read back"
  "$build/bin/shmetrics" dump "$work/$1.seg" --format text >"$work/log" 2>&1 || fail "$1: no segment"
  grep -qx 'jobs_total 1' "$work/log" || fail "$1: counted something else"
}

cd "$work"
cmake -S checkout -B half -DSHMETRICS_CLIENT_ONLY=ON -DSHMETRICS_PYTHON=ON -DSHMETRICS_INSTALL=OFF \
  -DSHMETRICS_TESTS=OFF >"$work/log" 2>&1 || fail "cannot be configured"
[ -z "$(find half/python -type f)" ] || fail "half a package before its module is built"

environment from_checkout
if PATH=/none pip from_checkout install ./checkout/client/python; then fail "builds without cmake"; fi
grep -q 'built by cmake, which is not there: install it' "$work/log" || fail "does not say that cmake is missing"
pip from_checkout install ./checkout/client/python || fail "the checkout cannot be installed"
counts from_checkout
installed=$(echo "$work"/from_checkout/lib/python3*/site-packages/shmetrics)
for file in py.typed _core.pyi; do
  [ -e "$installed/$file" ] || fail "no $file: programs have no types"
done
"$source_directory/tests/client/library_test.sh" "$installed/_core.abi3.so"
said=$(sed -n 's/^| `_core.abi3.so`[^|]*|[^|]*|[^|]*| \([0-9.]*\) .*/\1/p' "$source_directory/docs/platforms.md")
needed=$(objdump -T "$installed/_core.abi3.so" | grep -o 'GLIBC_[0-9.]*' | sed s/GLIBC_// | sort -Vu | tail -n 1)
printf '%s\n%s\n' "$needed" "$said" | sort -VC || fail "needs glibc $needed, docs/platforms.md says $said"

# A wheel of the version that the programs have, by an sdist alone.
/usr/bin/python3 -m build --version >"$work/log" 2>&1 || { echo "skipped: no python3-build"; exit 77; }
version=$("$build/bin/shmetrics" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)
/usr/bin/python3 -m build --no-isolation --skip-dependency-check --outdir "$work/dist" checkout/client/python \
  >"$work/log" 2>&1 || fail "no sdist, or no wheel of it"
rm -rf checkout
[ -e "dist/shmetrics-$version.tar.gz" ] || fail "no sdist of version $version"
wheel=$(echo dist/shmetrics-"$version"-cp310-abi3-*.whl)
[ -e "$wheel" ] || fail "no wheel of version $version for the stable ABI"
environment from_sdist
pip from_sdist install "$wheel" || fail "the wheel cannot be installed"
counts from_sdist

# Without the library, for systems that cannot have it: counts nothing, and makes no segment.
environment stub
SHMETRICS_STUB=1 pip stub install "dist/shmetrics-$version.tar.gz" || fail "no package without the library"
SHMETRICS_SEGMENT=$work/none.seg "$work/stub/bin/python" -W error -c \
  'import shmetrics; shmetrics.Counter("jobs", "Jobs").inc(); assert shmetrics.generate_latest() == b""' \
  >"$work/log" 2>&1 || fail "raises without the library"
[ ! -e "$work/none.seg" ] || fail "makes a segment without the library"

#!/usr/bin/env bash
# What a release consists of, all made of one commit. CONTRIBUTING.md says how to make one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
usage: tools/release.sh [FOLDER]
Makes what a release consists of and puts it into FOLDER (default build/release-VERSION), which is new or empty:
  *.deb                        for the Debian that this runs on
  shmetrics-VERSION.tar.gz     sdist for Python, and a wheel for CPython 3.10 and later
  shmetrics-prom-client-*.tgz  for npm
  shmetrics-VERSION.gem        for Ruby
  CHANGES.md, SHA256SUMS       the section of CHANGELOG.md, and checksums of all
VERSION is that of CMakeLists.txt. Nothing is published. The tree has to be committed, and CHANGELOG.md has to have the
section `## VERSION`. Needs what `tools/install-dependencies.sh build test long` installs.
TEXT
}

fail() {
  echo "release: $1" >&2
  exit "${2:-1}"
}

case "${1:-}" in
  --help) usage && exit ;;
  -*) fail "unknown flag $1; try --help" 2 ;;
esac
[ $# -le 1 ] || fail "one folder, not $#; try --help" 2

version=$(sed -n 's/^project(shmetrics VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
folder=$(realpath -m "${1:-build/release-$version}")
revision=$(git rev-parse --short=12 HEAD 2>/dev/null) || fail "git says $(git rev-parse HEAD 2>&1 | head -n 1)"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed; git status shows them"
changes=$(awk -v head="## $version" '/^## / { is_ours = $0 == head; next } is_ours' CHANGELOG.md)
[ -n "${changes//[[:space:]]/}" ] || fail "CHANGELOG.md says nothing below '## $version'"
python3 tests/house/release_test.py . >/dev/null 2>&1 ||
  fail "the versions differ: python3 tests/house/release_test.py . shows them"
[ -z "$(ls -A "$folder" 2>/dev/null)" ] || fail "$folder is not empty"
for program in cmake ninja cpack dpkg-shlibdeps php-config npm gem help2man; do
  command -v "$program" >/dev/null || fail "needs $program; run tools/install-dependencies.sh build test long"
done
/usr/bin/python3 -c 'import build, setuptools, wheel' 2>/dev/null ||
  fail "needs python3-build, python3-setuptools and python3-wheel; run tools/install-dependencies.sh long"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/source" "$work/made"
git archive HEAD | tar -x -C "$work/source"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# run COMMAND...: silent while it works.
run() {
  "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2 && fail "this failed: $*"; }
}
# made NAME: fails if that is not there.
made() {
  [ -e "$work/made/$1" ] || fail "$1 was not made: is its language here? see tools/install-dependencies.sh"
}

echo "release: building shmetrics $version of $revision (takes minutes)"
build=$work/source/build/release
run env --chdir "$work/source" cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr -DSHMETRICS_TESTS=OFF \
  -DSHMETRICS_REVISION="$revision"
run cmake --build "$build"
run env --chdir "$build" cpack -G DEB
mv "$build"/*.deb "$work/made"
for package in libshmetrics0 libshmetrics-dev shmetrics python3-shmetrics ruby-shmetrics php-shmetrics; do
  made "${package}_${version}_$(dpkg --print-architecture).deb"
done

node_package=$build/node/node_modules/@shmetrics/prom-client
[ -e "$node_package/prebuilds" ] || fail "no package for Node: its headers are missing (libnode-dev)"
run npm pack --pack-destination "$work/made" "$node_package"
made "shmetrics-prom-client-15.${version#*.}.tgz"

# The module needs glibc alone, so the oldest that has its symbols is what the wheel is for.
module=$build/python/shmetrics/_core.abi3.so
glibc=$(objdump -T "$module" | grep -o 'GLIBC_[0-9.]*' | sed s/GLIBC_// | sort -Vu | tail -n 1)
platform=manylinux_${glibc/./_}_$(uname -m)
python_build=(/usr/bin/python3 -m build --no-isolation --skip-dependency-check --outdir "$work/made")
run "${python_build[@]}" --sdist "$work/source/client/python"
made "shmetrics-$version.tar.gz"
tar -x -C "$work" -f "$work/made/shmetrics-$version.tar.gz" # the wheel is of what the sdist carries
run "${python_build[@]}" --wheel "$work/shmetrics-$version" "--config-setting=--build-option=--plat-name=$platform"
made "shmetrics-$version-cp310-abi3-$platform.whl"

run env --chdir "$work/source/client/ruby" gem build shmetrics.gemspec --output "$work/made/shmetrics-$version.gem"

printf '%s\n' "$changes" | sed '/./,$!d' >"$work/made/CHANGES.md"
(cd "$work/made" && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS)
mkdir -p "$folder"
mv "$work"/made/* "$folder"
(cd "$folder" && stat -c '%s bytes  %n' -- *)
echo "release: shmetrics $version of $revision is in $folder"

#!/usr/bin/env bash
# The extension for PHP in a build with threads (ZTS), which Debian does not have: made here of the source of Debian's
# PHP, with the command line and the embed SAPI alone. Takes some minutes, and 500 MB below $TMPDIR.
#
# usage: php_zts.sh [JUNIT_FILE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
junit=$(realpath -m "${1:-build/log/php_zts.xml}")
. tests/package/junit.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Of the release's own archive: mirrors may lack the sources of the security archive. What apt knows stays as it is.
get_source() {
  local name apt
  name=php$(php-config --version | cut -d . -f 1-2)
  mkdir -p "$work/lists/partial" "$work/source"
  sed 's/^Types: .*/Types: deb-src/; /^$/q' /etc/apt/sources.list.d/debian.sources >"$work/debian.sources"
  apt=(apt-get -q -o "Dir::Etc::sourcelist=$work/debian.sources" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
  (cd "$work" && "${apt[@]}" update && "${apt[@]}" --download-only source "$name")
  tar xf "$work/$name"_*.orig.tar.xz -C "$work/source" --strip-components 1
}

build_php() {
  (cd "$work/source" && {
    [ -x configure ] || ./buildconf --force
    CFLAGS=-O0 ./configure --prefix="$work/php" --disable-all --enable-zts --enable-cli --enable-embed=shared \
      --enable-posix=shared --enable-pcntl --disable-cgi --disable-phpdbg
    make -j "$(nproc)"
    make install
  }) >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2 && return 1; }
}

build_extension() {
  cmake --preset dev -B build/php-zts -DSHMETRICS_PHP_CONFIG="$work/php/bin/php-config" >/dev/null
  cmake --build build/php-zts --target shmetrics_php shmetrics shmetrics-exporter
}

judged() { # judged NAME: tests/php/NAME_test.py, with that PHP
  PATH=$work/php/bin:$PATH /usr/bin/python3 "tests/php/$1_test.py" build/php-zts/php build/php-zts/bin
}

junit_begin "$junit"
get_source
build_php
check builds build_extension
check threads judged threads
check storage judged storage
junit_end

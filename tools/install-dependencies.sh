#!/usr/bin/env bash
# Installs the packages that a group needs and that are missing; silent when nothing is. For Debian 12 and 13 and Ubuntu
# 24.04 and later. Where there is no apt-get it prints what CMake looks for, asks CMake whether that is there, and exits
# 1 if it is not.
#
#   tools/install-dependencies.sh build          what it takes to build
#   tools/install-dependencies.sh build test     and to run the tests
#   tools/install-dependencies.sh long           and the long ones: real servers, a browser, packages, valgrind
#   tools/install-dependencies.sh parts          what the parts of tests/run.sh --full bring their systems along with
#   tools/install-dependencies.sh peers          what bench/peers/run.sh measures beside shmetrics
#   tools/install-dependencies.sh python         what it takes to install the package for Python by pip
#   tools/install-dependencies.sh node           what tools/demo.sh --node runs
#   tools/install-dependencies.sh prometheus     what tools/demo.sh --with-prometheus runs
#
# As root, or by sudo where that asks for no password; otherwise it prints the one line to run and exits 1.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here policy=/usr/sbin/policy-rc.d units=/lib/systemd/system

# A word is a package, or alternatives of which the first that is there is taken: NAME or NAME:LEAST_VERSION, with `|`
# between them.
packages_of() {
  case "$1" in
    build)
      echo cmake g++ ninja-build libssl-dev libspdlog-dev libfmt-dev libcli11-dev libxxhash-dev
      echo 'libboost-dev:1.81|libboost1.81-dev' # Debian 12 has 1.74 by the plain name
      echo nlohmann-json3-dev libprotozero-dev libisal-dev zlib1g-dev libyaml-cpp-dev libcrypt-dev libsystemd-dev curl
      echo libgtest-dev libgmock-dev libbenchmark-dev python3 # looked for when CMake configures, tests built or not
      echo python3-dev # for the package for Python
      echo libsqlite3-dev # for the worked example
      ;;
    test)
      echo prometheus python3-prometheus-client python3-yaml nginx haproxy socat
      echo clang "$(clang_runtime)" clang-format clang-tidy git openssl spin relacy-dev
      echo golang-go golang-github-prometheus-common-dev # whose decoder judges protobuf
      echo golang-github-prometheus-client-golang-dev # whose borders of native buckets are compared with ours
      echo help2man pkg-config zsh # what is installed, and how it is used
      echo gunicorn mypy python3-billiard # with which the package for Python is used
      echo python3-aiohttp python3-flask python3-pytest python3-starlette python3-uvicorn
      echo ruby-dev puma unicorn ruby-prometheus-client-mmap wrk # with which the gem for Ruby is used
      echo php-cli php-dev php-fpm # with which the extension for PHP is used, behind nginx
      # For the package for Node. Some have its headers in the package of node itself.
      command -v node >/dev/null || echo nodejs
      [ -e /usr/include/node/node_api.h ] || echo libnode-dev
      ;;
    long)
      echo apache2 apache2-dev dpkg-dev python3-pip python3-setuptools python3-wheel
      echo python3-build python3-venv # a wheel of the package for Python, and where it is installed
      echo uwsgi-core uwsgi-plugin-python3 python3-django-prometheus python3-celery
      echo libapache2-mod-wsgi-py3 libapache2-mod-php
      echo chromium fonts-inter # the live page as people see it
      command -v npm >/dev/null || echo nodejs npm # some have both in one package
      echo valgrind
      ;;
    parts)
      echo debootstrap musl podman podman-compose runc catatonit
      echo php-dev make pkg-config # with which a PHP is built that has threads
      command -v npm >/dev/null || echo nodejs npm
      ;;
    python) echo python3-dev python3-venv ;;
    node)
      command -v node >/dev/null || echo nodejs
      command -v npm >/dev/null || echo npm
      [ -e /usr/include/node/node_api.h ] || echo libnode-dev
      ;;
    prometheus) echo prometheus ;;
    peers)
      echo prometheus-cpp-dev python3-prometheus-client ruby ruby-prometheus-client-mmap php-cli php-apcu
      command -v npm >/dev/null || echo nodejs npm
      ;;
    *)
      echo "usage: tools/install-dependencies.sh {build|test|long|parts|peers|python|node|prometheus}..." >&2
      exit 2
      ;;
  esac
}

candidate() { # candidate PACKAGE: the version that apt would install; empty where apt does not know the package
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -vxF '(none)' || true
}

installed() { # installed PACKAGE: its version; empty where it is not
  local state
  state=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null) || return 0
  [ "${state%% *}" != installed ] || echo "${state#* }"
}

# The sanitizers and libFuzzer of the clang that the package `clang` brings.
clang_runtime() {
  local version
  version=$(installed clang)
  version=${version:-$(candidate clang)}
  version=${version#*:}
  echo "libclang-rt-${version:+${version%%[!0-9]*}-}dev"
}

is_enough() { # is_enough VERSION LEAST
  [ -n "$1" ] && printf '%s\n%s\n' "$2" "$1" | sort -VC
}

# choose ALTERNATIVES: what has to be installed. Nothing if one of them is there; else the first that apt has, and if it
# has none, the last.
choose() {
  local alternative name least chosen=
  for alternative in ${1//|/ }; do
    name=${alternative%%:*} least=0
    [ "$name" = "$alternative" ] || least=${alternative#*:}
    ! is_enough "$(installed "$name")" "$least" || return 0
    if [ -z "$chosen" ] && is_enough "$(candidate "$name")" "$least"; then chosen=$name; fi
  done
  echo "${chosen:-$name}"
}

# What has a name only is seldom missing, and asking apt for each takes long: only what has alternatives asks it.
find_missing() {
  local group word names
  missing=()
  for group in "$@"; do
    names=$(packages_of "$group")
    for word in $names; do
      case $word in
        *'|'* | *:*) word=$(choose "$word") ;;
        *) [ -z "$(installed "$word")" ] || word= ;;
      esac
      [ -z "$word" ] || missing+=("$word")
    done
  done
}

# Tests that want a program skip without it; what is not there at all must not keep the rest from being installed.
# Without it nothing can be built: what `build` names is never left out.
lacking=()
leave_out_what_apt_lacks() {
  local package needed kept=()
  needed=" $(packages_of build | tr -s '|\n' '  ') "
  for package in "${missing[@]}"; do
    if [ -n "$(candidate "$package")" ] || [[ $needed == *" $package "* ]]; then
      kept+=("$package")
    else
      lacking+=("$package")
    fi
  done
  missing=("${kept[@]}")
}

# Debian starts a service when its package is installed (prometheus and nginx are two); a dependency must not.
readonly mark='# of tools/install-dependencies.sh, while it installs'
forbid_services() {
  [ -e "$policy" ] && return
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
}
# One that a killed run left goes too: with it no service would ever start again.
allow_services() {
  ! grep -qsxF "$mark" "$policy" || "${as_root[@]}" rm -f "$policy"
}

apt_update() {
  "${as_root[@]}" apt-get update -q >>"$log" 2>&1
}
apt_install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q -o DPkg::Lock::Timeout=120 --no-install-recommends "$@" >>"$log" 2>&1
}

# Another system: its packages have names that we do not know, but CMake knows what it looks for.
ask_cmake() {
  echo "no apt-get and dpkg-query here; what CMake looks for, least versions, and packages of Debian and Fedora:"
  sed -n 's/^  "\([^|]*\)|\([^|]*\)|\([^|]*\)|\([^|]*\)"$/  \1 \2 (\3; \4)/p' "$here/requirements.cmake"
  if ! command -v cmake >/dev/null; then
    echo "there is no cmake" >&2
    return 1
  fi
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  if cmake -S "$here/.." -B "$scratch" -G Ninja >"$scratch/log" 2>&1; then
    echo "all of it is there"
  else
    sed -n '/^CMake Error/,/^-- /p' "$scratch/log" >&2
    return 1
  fi
}

for group in "${@:-}"; do packages_of "$group" >/dev/null; done
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  ask_cmake
  exit
fi

# A fresh image has no lists of packages, and nothing can be chosen without.
has_lists() { [ -n "$(candidate cmake)" ]; }

find_missing "$@"
! has_lists || leave_out_what_apt_lacks
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    has_lists || { echo "missing packages; run: sudo $0 $*" >&2 && exit 1; }
    echo "missing packages; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi

log=$(mktemp)
trap 'allow_services; rm -f "$log"' EXIT
trap 'exit 1' INT TERM
if ! has_lists; then
  apt_update || true
  find_missing "$@"
  ! has_lists || leave_out_what_apt_lacks
  [ ${#missing[@]} -gt 0 ] || exit 0
fi
# Said once, with what is installed: nothing would change the second time.
[ ${#lacking[@]} -eq 0 ] || echo "this release has no ${lacking[*]}: the tests that want it are skipped"
echo "installing ${#missing[@]} packages: ${missing[*]}"
forbid_services
units_before=" $(echo "$units"/*.service) "
# The package lists may be stale: they are fetched again only when it does not work without.
if ! apt_install "${missing[@]}" && ! { apt_update && apt_install "${missing[@]}"; }; then
  tail -n 20 "$log" >&2
  echo "could not install: ${missing[*]}" >&2
  exit 1
fi
# Not now, and not at the next boot either.
for unit in "$units"/*.service; do
  [[ $units_before == *" $unit "* ]] || "${as_root[@]}" systemctl disable "${unit##*/}" >/dev/null 2>&1 || true
done

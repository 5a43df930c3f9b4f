#!/usr/bin/env bash
# Installs the Debian 12 packages that a group needs and that are missing; silent when nothing is.
#
#   tools/install-dependencies.sh build          what it takes to build
#   tools/install-dependencies.sh build test     and to run the tests
#   tools/install-dependencies.sh long           and the long ones: real servers, a browser, packages, valgrind
#   tools/install-dependencies.sh peers          what bench/peers/run.sh measures beside shmetrics
#
# As root, or by sudo where that asks for no password; otherwise it prints the one line to run and exits 1.
set -euo pipefail

readonly policy=/usr/sbin/policy-rc.d

packages_of() {
  case "$1" in
    build)
      echo cmake g++ ninja-build libboost1.81-dev libssl-dev libspdlog-dev libfmt-dev libcli11-dev libxxhash-dev
      echo nlohmann-json3-dev libisal-dev zlib1g-dev libyaml-cpp-dev libcrypt-dev libsystemd-dev curl
      echo libgtest-dev libgmock-dev libbenchmark-dev python3 # looked for when CMake configures, tests built or not
      echo python3-dev # for the package for Python
      echo libsqlite3-dev # for the worked example
      ;;
    test)
      echo prometheus python3-prometheus-client python3-yaml nginx
      echo clang libclang-rt-14-dev clang-format clang-tidy git openssl spin
      echo help2man pkg-config zsh # what is installed, and how it is used
      echo gunicorn mypy # with which the package for Python is used
      ;;
    long)
      echo apache2 apache2-dev wrk dpkg-dev python3-pip python3-setuptools python3-wheel
      echo uwsgi-core uwsgi-plugin-python3
      echo chromium fonts-inter # the live page as people see it
      command -v npm >/dev/null || echo nodejs npm # some have both in one package
      echo valgrind
      ;;
    peers)
      echo prometheus-cpp-dev python3-prometheus-client ruby ruby-prometheus-client-mmap
      command -v npm >/dev/null || echo nodejs npm
      ;;
    *)
      echo "usage: tools/install-dependencies.sh [build] [test] [long] [peers]" >&2
      exit 2
      ;;
  esac
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Debian starts a service when its package is installed (prometheus and nginx are two); a test's dependency must not.
policy_is_ours=no
forbid_services() {
  [ -e "$policy" ] && return
  policy_is_ours=yes
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
}
allow_services() {
  [ "$policy_is_ours" = no ] || "${as_root[@]}" rm -f "$policy"
}

apt_update() {
  "${as_root[@]}" apt-get update -q >>"$log" 2>&1
}
apt_install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q -o DPkg::Lock::Timeout=120 --no-install-recommends "$@" >>"$log" 2>&1
}

wanted=()
for group in "$@"; do
  names=$(packages_of "$group")
  read -r -d '' -a names <<<"$names" || true
  wanted+=("${names[@]}")
done
missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "missing packages; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi

log=$(mktemp)
trap 'allow_services; rm -f "$log"' EXIT
trap 'exit 1' INT TERM
echo "installing ${#missing[@]} packages: ${missing[*]}"
forbid_services
# The package lists may be absent or stale: they are fetched only when it does not work without.
if ! apt_install "${missing[@]}" && ! { apt_update && apt_install "${missing[@]}"; }; then
  tail -n 20 "$log" >&2
  echo "could not install: ${missing[*]}" >&2
  exit 1
fi
# Not now, and not at the next boot either.
for service in prometheus apache2 nginx; do
  case " ${missing[*]} " in
    *" $service "*) "${as_root[@]}" systemctl disable "$service" >/dev/null 2>&1 || true ;;
  esac
done

#!/usr/bin/env bash
# CMake says what is missing, the least version, and what the package is called. A client alone asks for Boost's headers
# and xxHash's, and for no more than that.
#
# usage: requirements_test.sh REPOSITORY
set -euo pipefail
source_directory=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "requirements_test: $1" >&2; sed 's/^/  | /' "$work/log" >&2; exit 1; }

configure() { # configure STATUS CMAKE_ARGUMENT...
  local wanted=$1 status=0
  shift
  rm -rf "$work/build"
  cmake -S "$source_directory" -B "$work/build" -G Ninja "$@" >"$work/log" 2>&1 || status=1
  [ $status -eq "$wanted" ] || fail "cmake $* ends with $status"
}
says() { tr -s ' \n' ' ' <"$work/log" | grep -qF -- "$1" || fail "does not say: $1"; }

configure 1 -DSHMETRICS_CLIENT_ONLY=ON -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON
says "Boost 1.74 or later is missing (on Debian and Ubuntu: libboost-dev"
says "on Fedora: boost-devel)"
configure 1 -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON
says "Boost 1.81 or later is missing (on Debian and Ubuntu: libboost-dev, on Debian 12 libboost1.81-dev"
configure 1 -DCMAKE_DISABLE_FIND_PACKAGE_CLI11=ON
says "CLI11 2.1 or later is missing (on Debian and Ubuntu: libcli11-dev; on Fedora: cli11-devel)"

# A Boost that claims to be 1.74, and no header of xxHash where CMake looks.
mkdir "$work/boost"
cat >"$work/boost/BoostConfig.cmake" <<'TEXT'
add_library(Boost::headers INTERFACE IMPORTED)
TEXT
cat >"$work/boost/BoostConfigVersion.cmake" <<'TEXT'
set(PACKAGE_VERSION 1.74.0)
if(NOT PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
TEXT
configure 1 -DSHMETRICS_CLIENT_ONLY=ON -DBoost_DIR="$work/boost" '-DCMAKE_IGNORE_PATH=/usr/include;/usr/local/include'
says "xxHash 0.8 or later is missing (on Debian and Ubuntu: libxxhash-dev; on Fedora: xxhash-devel)"
configure 0 -DSHMETRICS_CLIENT_ONLY=ON -DBoost_DIR="$work/boost"
grep -q '^nlohmann_json_DIR' "$work/build/CMakeCache.txt" && fail "a client alone looks for JSON"
configure 1 -DSHMETRICS_CLIENT_ONLY=ON -DSHMETRICS_TESTING=ON -DBoost_DIR="$work/boost" \
  -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
says "nlohmann_json 3.11 or later is missing"
configure 1 -DSHMETRICS_CLIENT_ONLY=ON -DSHMETRICS_TESTING=ON -DBoost_DIR="$work/boost" \
  -Dprotozero_INCLUDE_DIRECTORY=
says "protozero 1.7 or later is missing (on Debian and Ubuntu: libprotozero-dev; on Fedora: protozero-devel)"
echo "each is named with its version and its packages"

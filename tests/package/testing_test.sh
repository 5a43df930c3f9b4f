#!/usr/bin/env bash
# A client alone brings shmetrics::testing where SHMETRICS_TESTING asks for it, and does not where it does not.
#
# usage: testing_test.sh REPOSITORY
set -euo pipefail
source_directory=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
configure() { # configure NAME CMAKE_ARGUMENT...
  cmake -S "$source_directory/tests/package/outside" -B "$work/$1" -G Ninja \
    -DSHMETRICS_SOURCE="$source_directory" "${@:2}"
}

configure without
if cmake --build "$work/without" --target help | grep with_testing; then exit 1; fi
configure with -DSHMETRICS_TESTING=ON
cmake --build "$work/with" --target with_testing
"$work/with/with_testing"

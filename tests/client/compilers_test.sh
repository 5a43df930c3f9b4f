#!/usr/bin/env bash
# Every compiler that is installed, of g++ 11 to 14 and clang 14 to 19, compiles the public headers, the client and the
# segment without a warning; the C header from C99 on. An older standard of C++ gets one clear line.
#
# usage: compilers_test.sh REPOSITORY BOOST_INCLUDE_DIRECTORY COMPILER...
set -euo pipefail
cd "$1"
boost=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly warnings=(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror)
failed=0

compile() { # compile COMPILER ARGUMENT...
  "$@" >"$work/log" 2>&1 && return
  failed=1
  echo "${*:1:1} ${*: -1}:" >&2
  head -n 20 "$work/log" >&2
}

printf '#include <shmetrics/shmetrics.hpp>\nint main() { return shmetrics::default_registry() ? 0 : 1; }\n' \
  >"$work/use.cpp"
printf '#include <shmetrics/shmetrics.h>\nint main(void) { return shmetrics_default_registry(NULL) != NULL; }\n' \
  >"$work/use.c"

# All that a program of somebody else is compiled with, and pedantic, for he may be.
headers() { # headers COMPILER_OF_CPP COMPILER_OF_C
  local standard optimise
  for standard in c++20 c++23 gnu++20; do
    [ "$standard" != c++23 ] || "$1" -std=c++23 -xc++ -fsyntax-only - </dev/null 2>/dev/null || continue
    for optimise in -O0 -O2; do
      compile "$1" -std=$standard $optimise "${warnings[@]}" -Wsign-conversion -pedantic \
        -Iclient/include -Iclient/c/include -c -o "$work/use.o" "$work/use.cpp"
    done
  done
  for standard in c99 c11 c17 gnu99; do
    compile "$2" -std=$standard -O2 "${warnings[@]}" -pedantic -Iclient/c/include -c -o "$work/use.o" "$work/use.c"
  done
  if "$1" -std=c++17 -Iclient/include -fsyntax-only "$work/use.cpp" >"$work/log" 2>&1; then
    echo "$1 takes the header for C++17" >&2
    failed=1
  fi
  grep -m 1 -F error: "$work/log" | grep -qF 'shmetrics needs C++20' ||
    { echo "$1 -std=c++17 does not begin with the reason:" && head -n 5 "$work/log"; failed=1; } >&2
}

tried=()
for cpp in "$@"; do
  case $cpp in
    g++*) c=gcc${cpp#g++} ;;
    clang++*) c=clang${cpp#clang++} ;;
  esac
  command -v "$cpp" >/dev/null && command -v "$c" >/dev/null || continue
  tried+=("$cpp")
  headers "$cpp" "$c"
  for file in shm/*.cpp client/*.cpp client/c/*.cpp; do
    compile "$cpp" -std=c++20 -O2 -fPIC "${warnings[@]}" -I. -Iclient/include -Iclient/c/include \
      -idirafter "$boost" -c -o "$work/file.o" "$file"
  done
done
[ ${#tried[@]} -gt 0 ] || { echo "none of $* is installed" >&2 && exit 77; }
echo "tried: ${tried[*]}"
exit $failed

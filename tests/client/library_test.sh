#!/usr/bin/env bash
# A shared library needs nothing but what it may, shows the public API alone, takes no static TLS, and stays small.
#
# usage: library_test.sh LIBRARY
set -euo pipefail
library=$1 golden=$(dirname "$0")/../golden
fail() { echo "library_test: $1" >&2; exit 1; }

allowed="libc.so.6 libm.so.6 ld-linux-x86-64.so.2"
case $(basename "$library") in
  libshmetrics.so*) list=$golden/exports_shared.list limit_kib=208 allowed="$allowed libstdc++.so.6 libgcc_s.so.1" ;;
  libshmetrics_c.so*) list=$golden/exports_c.list limit_kib=336 ;;
  libshmetrics_reader.so*) list=$golden/exports_reader.list limit_kib=800 ;;
  _core.abi3.so) list=$golden/exports_python.list limit_kib=1100 ;;
  *) fail "no library of ours: $library" ;;
esac

# What is dlopened must not need static TLS, of which there is little.
! readelf -d "$library" | grep -q STATIC_TLS || fail "takes static TLS"
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for name in $needed; do
  case " $allowed " in *" $name "*) continue ;; esac
  case $name in
    libasan* | libubsan* | libtsan*) echo "sanitized library: exports and size are not those of users"; exit 0 ;;
    *) fail "needs $name" ;;
  esac
done

nm -DC --defined-only "$library" | cut -d ' ' -f 3- | LC_ALL=C sort -u | diff "$list" - ||
  fail "shows other names than $(basename "$list") (<: gone, >: new); who removes one raises the soname"

# GCC 14 makes 8 % more code of the client than GCC 12, for which the limits are, and carries a larger runtime.
gcc=$(readelf -p .comment "$library" | sed -n 's/.*GCC: (.*) \([0-9]*\)\..*/\1/p' | sort -n | tail -n 1)
[ "${gcc:-0}" -lt 13 ] || limit_kib=$((limit_kib * 110 / 100))

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
bytes=$(stat -c %s "$stripped")
[ "$bytes" -lt $((limit_kib * 1024)) ] || fail "$bytes bytes stripped, the limit is $limit_kib KiB"
echo "$(basename "$library"): $bytes bytes stripped, $(wc -l <"$list") names; needs" $needed

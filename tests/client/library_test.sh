#!/usr/bin/env bash
# A shared library needs nothing but what it may, shows the public API alone, and stays small.
#
# usage: library_test.sh LIBRARY LIST LIMIT_KIB NEEDED...   LIST: a file with the names that it shows
set -euo pipefail
library=$1 list=$2 limit_kib=$3
shift 3
fail() { echo "library_test: $1" >&2; exit 1; }

needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for name in $needed; do
  case " $* " in *" $name "*) continue ;; esac
  case $name in
    libasan* | libubsan* | libtsan*) echo "sanitized library: exports and size are not those of users"; exit 0 ;;
    *) fail "needs $name" ;;
  esac
done

nm -DC --defined-only "$library" | cut -d ' ' -f 3- | LC_ALL=C sort -u | diff "$list" - ||
  fail "shows other names than $(basename "$list") (<: gone, >: new); who removes one raises the soname"

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
bytes=$(stat -c %s "$stripped")
[ "$bytes" -lt $((limit_kib * 1024)) ] || fail "$bytes bytes stripped, the limit is $limit_kib KiB"
echo "$bytes bytes stripped; needs" $needed

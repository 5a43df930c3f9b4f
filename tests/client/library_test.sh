#!/usr/bin/env bash
# The shared library needs libc, libm and the C++ runtime alone, exports the public API alone, and stays small.
set -euo pipefail
library=$1
fail() { echo "library_test: $1" >&2; exit 1; }

needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for name in $needed; do
  case $name in
    libc.so.6 | libm.so.6 | libstdc++.so.6 | libgcc_s.so.1 | ld-linux-x86-64.so.2) ;;
    libasan* | libubsan* | libtsan*) echo "sanitized library: exports and size are not those of users"; exit 0 ;;
    *) fail "needs $name" ;;
  esac
done

api='Registry|Gauge|Histogram|Summary|detail|default_buckets|default_registry|linear_buckets|exponential_buckets'
api+='|make_error_condition|normalize_route'
foreign=$(nm -DC --defined-only "$library" | cut -d ' ' -f 3- | grep -vE "^shmetrics::($api)\b" || true)
[ -z "$foreign" ] || fail "exports $foreign"
nm -DC --defined-only "$library" | grep -q 'shmetrics::shm::' && fail "exports names of shm"

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
bytes=$(stat -c %s "$stripped")
[ "$bytes" -lt $((200 * 1024)) ] || fail "$bytes bytes stripped, the limit is 200 KiB"
echo "$bytes bytes stripped; needs" $needed

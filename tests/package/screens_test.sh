#!/usr/bin/env bash
# The README's screens are typed in an empty folder, by somebody who has installed what this build made: each ends with
# the number that the README says. From an empty system tests/package/newcomer.sh types all of them.
#
# usage: screens_test.sh REPOSITORY BUILD_DIRECTORY
set -euo pipefail
source_directory=$(realpath "$1") build=$(realpath "$2")
work=$(mktemp -d)
exporter=
trap '[ -z "$exporter" ] || kill "$exporter"; rm -rf "$work"' EXIT
for component in libraries development programs; do
  cmake --install "$build" --prefix "$work/prefix" --component $component >"$work/log"
done
export PATH=$work/prefix/bin:$PATH CPATH=$work/prefix/include LIBRARY_PATH=$work/prefix/lib
export LD_LIBRARY_PATH=$work/prefix/lib SHMETRICS_SEGMENT=$work/first.seg CHECKOUT=$work/checkout no_proxy=localhost
mkdir -p "$work/first" "$CHECKOUT/build"
ln -s "$build" "$CHECKOUT/build/release"

shmetrics-exporter --web.listen-address 127.0.0.1:0 >"$work/log" 2>&1 &
exporter=$!
for ((i = 0; i < 300; ++i)); do
  port=$(sed -n 's/.*listen.*127\.0\.0\.1:\([1-9][0-9]*\).*/\1/p' "$work/log" | head -n 1)
  [ -z "$port" ] || break
  sleep 0.1
done
[ -n "$port" ] || { cat "$work/log" && echo "screens_test: the exporter does not listen" >&2 && exit 1; }

screens=(C++ C)
[ ! -e "$build/python/shmetrics" ] || screens+=(Python)
python3 "$source_directory/tests/house/typed_readme.py" "$source_directory/README.md" "${screens[@]}" "And then" |
  sed "s/localhost:5000/localhost:$port/; /^begin 'Python, 2'/,/^end/d" >"$work/script"
cd "$work/first"
bash "$work/script"

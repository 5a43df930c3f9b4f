#!/usr/bin/env bash
# A part of tests/run.sh --full that is stopped leaves no process and no system behind. Wants root, as parts do.
#
# usage: stopped_part_test.sh REPOSITORY
set -euo pipefail
cd "$1"
unshare --mount --pid --fork true 2>/dev/null || { echo "cannot make namespaces" && exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "stopped_part_test: $1" >&2; exit 1; }

mkdir "$work/bin" "$work/systems"
cat >"$work/bin/debootstrap" <<TEXT
#!/bin/sh
for system; do :; done # the last argument
! grep '^SigIgn:.*[1-9a-f]' /proc/self/status || exit 1 # what runs there may want any signal
touch "\$system/file"
exec flock $work/busy sh -c 'echo busy; sleep 1000'
TEXT
cat >"$work/part" <<'TEXT'
#!/bin/bash
set -euo pipefail
. tests/package/system.sh
in_own_mounts "$0"
make_system any
TEXT
chmod +x "$work/bin/debootstrap" "$work/part"

for signal in HUP INT TERM; do
  : >"$work/log"
  # A shell has its children in the background ignore INT.
  env --default-signal PATH="$work/bin:$PATH" TMPDIR="$work/systems" "$work/part" >"$work/log" 2>&1 &
  part=$!
  until grep -q busy "$work/log"; do
    kill -0 $part || fail "the part does not start: $(cat "$work/log")"
    sleep 0.1
  done
  kill -$signal $part
  for ((i = 0; i < 300; ++i)); do kill -0 $part 2>/dev/null || break; sleep 0.1; done
  kill -KILL $part 2>/dev/null && fail "$signal does not end it"
  ! wait $part || fail "$signal ends it as if all were well"
  flock -w 30 "$work/busy" true || fail "$signal leaves processes"
  [ -z "$(ls -A "$work/systems")" ] || fail "$signal leaves its system"
done
echo "HUP, INT and TERM leave nothing"

#!/usr/bin/env bash
# Debian 13, as a newcomer has it: a fresh system made by debootstrap, a copy of this tree in it, and there the
# packages, the build, the tests and the demo. Wants root; takes an hour on 2 cores, and 4 GB below $TMPDIR.
#
# usage: debian13.sh [JUNIT_FILE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
junit=$(realpath -m "${1:-build/log/debian13.xml}")

# In mounts of its own, so that none is left behind whatever happens.
if [ "${IN_OWN_MOUNTS:-}" != yes ]; then
  [ "$(id -u)" -eq 0 ] || { echo "debian13: wants root, for debootstrap and chroot" >&2 && exit 1; }
  command -v debootstrap >/dev/null || { echo "debian13: needs debootstrap" >&2 && exit 1; }
  IN_OWN_MOUNTS=yes exec unshare --mount --pid --fork --kill-child "$PWD/tests/package/debian13.sh" "$junit"
fi

system=$(mktemp -d)
clean_up() {
  umount -l "$system"/proc "$system"/dev/shm 2>/dev/null || true
  rm -rf --one-file-system "$system"
}
trap clean_up EXIT

debootstrap --variant=minbase --include=ca-certificates trixie "$system"
apt-config dump Acquire >"$system/etc/apt/apt.conf.d/99host" # its proxy, if it has one
cp /etc/resolv.conf "$system/etc/"
mkdir -p "$system/src" "$system/dev/shm"
mount -t proc proc "$system/proc"
mount -t tmpfs tmpfs "$system/dev/shm"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$system/src"

inside() { # inside COMMAND: in the tree, there
  chroot "$system" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /bin/bash -c "cd /src && $1"
}
inside 'tools/install-dependencies.sh build test'
[ -z "$(inside 'tools/install-dependencies.sh build test')" ] || { echo "is not silent the second time" >&2 && exit 1; }
inside 'cmake --preset dev && cmake --build --preset dev'
status=0
inside "ctest --preset dev --no-tests=error -LE '^long\$' --output-junit /junit.xml" || status=1
cp "$system/junit.xml" "$junit"
inside 'tools/demo.sh --port 8080' || status=1
exit $status

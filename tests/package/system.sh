# Another Debian than this one, made by debootstrap for one part and gone afterwards. Sourced by parts. Wants root, and
# some GB below $TMPDIR.
#
#   in_own_mounts "$0" "$@"   runs the script anew where its mounts and processes end with it
#   make_system RELEASE       a fresh system, with a clone of this repository in /src, and what is not committed
#   inside COMMAND            there, in /src

in_own_mounts() {
  [ "${IN_OWN_MOUNTS:-}" != yes ] || return 0
  [ "$(id -u)" -eq 0 ] || { echo "$1: wants root, for debootstrap and chroot" >&2 && exit 1; }
  command -v debootstrap >/dev/null || { echo "$1: needs debootstrap" >&2 && exit 1; }
  made=$(mktemp -d)
  trap end_own_mounts EXIT
  # A shell has its children in the background ignore SIGINT, and what runs there may want it.
  env --default-signal TMPDIR="$made" IN_OWN_MOUNTS=yes \
    unshare --mount --pid --fork --kill-child --mount-proc "$@" &
  wait $!
  exit
}

# However it ends: from here no mount of its systems is seen, so the folder alone is removed.
end_own_mounts() {
  { kill -KILL %% || true; wait; } 2>/dev/null
  rm -rf "$made" || { sleep 2 && rm -rf "$made"; } # its last processes may be ending
}

remove_system() {
  umount -l "$system"/proc "$system"/dev/{shm,pts} "$system"/ccache "$system" 2>/dev/null || true
  rm -rf --one-file-system "$system"
}

make_system() {
  system=$(mktemp -d)
  trap remove_system EXIT
  debootstrap --variant=minbase --include=ca-certificates "$1" "$system"
  chmod 755 "$system" # its users are not all root
  apt-config dump Acquire >"$system/etc/apt/apt.conf.d/99host" # its proxy, if it has one
  if command -v npm >/dev/null; then # its registry, where npm has another than everybody
    local npm_ca
    npm_ca=$(npm config get cafile)
    echo "registry=$(npm config get registry)" >"$system/root/.npmrc"
    [ ! -e "$npm_ca" ] || { cp "$npm_ca" "$system/npm-ca.pem" && echo cafile=/npm-ca.pem >>"$system/root/.npmrc"; }
  fi
  echo force-unsafe-io >"$system/etc/dpkg/dpkg.cfg.d/fast" # it is gone afterwards, so nothing need be on the disk
  cp /etc/resolv.conf "$system/etc/"
  mount --bind "$system" "$system" # tests change how / is mounted, which it then has to be
  mkdir -p "$system/dev/shm"
  mount -t proc proc "$system/proc"
  mount -t tmpfs tmpfs "$system/dev/shm"
  mount -t devpts -o ptmxmode=666 devpts "$system/dev/pts"
  git clone -q . "$system/src"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$system/src"
  if [ -n "${CCACHE_DIR:-}" ]; then # who has one wants it used
    mkdir "$system/ccache"
    mount --bind "$CCACHE_DIR" "$system/ccache"
    inside 'apt-get install -y -q --no-install-recommends ccache'
  fi
}

inside() {
  chroot "$system" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    ${CCACHE_DIR:+CCACHE_DIR=/ccache CCACHE_BASEDIR=/src CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-}"} \
    ${CCACHE_DIR:+CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache} /bin/bash -c "cd /src && $1"
}

# emulated INTERPRETER MAGIC MASK COMMAND: inside, where the kernel starts programs that begin with MAGIC by the
# system's INTERPRETER. In a namespace of users, so that it does so for nobody else; Linux 6.7.
emulated() {
  local child user_space_PID
  export system
  export -f inside
  coproc user_space {
    exec unshare --user --mount bash -c 'read -r && mkdir -p "$system/binfmt" &&
      mount -t binfmt_misc binfmt_misc "$system/binfmt" &&
      echo ":emulated:M::$1:$2:$system$0:FPC" >"$system/binfmt/register" && inside "$3"' "${@:1:4}"
  }
  child=$user_space_PID
  while [ "$(readlink "/proc/$child/ns/user")" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.1; done
  echo '0 0 4294967295' >"/proc/$child/uid_map"
  echo '0 0 4294967295' >"/proc/$child/gid_map"
  echo go >&"${user_space[1]}"
  cat <&"${user_space[0]}"
  wait "$child"
}

#!/usr/bin/env bash
# What tools/install-dependencies.sh would install on each system. The system is a folder of stand-ins for apt-get,
# apt-cache, dpkg-query, id and sudo, before a folder of the few programs that every system has. Nothing is installed,
# and nothing outside of the test's own folder is written to.
#
# usage: dependencies_test.sh REPOSITORY
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bin=$work/bin base=$work/base policy=$work/policy script=$work/tools/install-dependencies.sh
mkdir "$base" "$work/tools"
cp "$1/tools/requirements.cmake" "$work/tools"
sed "s|=/usr/sbin/policy-rc.d|=$policy|" "$1/tools/install-dependencies.sh" >"$script"
grep -qF "$policy" "$script"
for program in bash sed grep sort tr mktemp rm cp tail cat env true dirname tee chmod; do
  ln -s "$(type -P "$program")" "$base/$program"
done
fail() { echo "dependencies_test: $1" >&2; [ ! -e "$work/out" ] || sed 's/^/  | /' "$work/out" >&2; exit 1; }

# stand_in NAME: a program of the text on standard input. A file of its own, never what a link points to.
stand_in() {
  local text
  text=$(cat)
  rm -f "$bin/$1"
  printf '#!/bin/bash\n%s\n' "$text" >"$bin/$1"
  chmod +x "$bin/$1"
}

# a_system PACKAGE=VERSION...: what its lists of packages have, and nothing is installed. `anything` stands for all
# other packages; the version `none` is a package that is not there.
a_system() {
  rm -rf "$bin" "$work/installed" "$work/calls" "$work/lists"
  mkdir "$bin" "$work/installed"
  printf '%s\n' "$@" >"$work/lists"
  stand_in apt-cache <<TEXT
version=\$(sed -n "s/^\$2=//p" $work/lists)
[ -n "\$version" ] || version=\$(sed -n 's/^anything=//p' $work/lists)
[ "\$version" != none ] || version="(none)"
[ -z "\$version" ] || printf '%s:\n  Installed: (none)\n  Candidate: %s\n' "\$2" "\$version"
TEXT
  stand_in dpkg-query <<TEXT
name=\${@: -1}
[ -e $work/installed/\$name ] && echo "installed \$(cat $work/installed/\$name)"
TEXT
  stand_in apt-get <<TEXT
echo "apt-get \$*" >>$work/calls
[ ! -x $policy ] || echo without services >>$work/calls
[ "\$1" != update ] || [ ! -e $work/lists_of_update ] || cp $work/lists_of_update $work/lists
TEXT
  stand_in id <<<'echo 0'
  stand_in systemctl </dev/null
}

run() { # run STATUS GROUP...
  local wanted=$1 status=0
  shift
  : >"$work/calls"
  PATH=$bin:$base "$base/bash" "$script" "$@" >"$work/out" 2>&1 || status=$?
  [ "$status" -eq "$wanted" ] || fail "exits $status for $*, not $wanted"
}
installs() { grep -qE "^apt-get install .* $1( |\$)" "$work/calls" || fail "does not install $1"; }
leaves() { ! grep -qE " $1( |\$)" "$work/calls" || fail "installs $1"; }
says() { grep -qF -- "$1" "$work/out" || fail "does not say: $1"; }
all_is_installed() { # that was asked for last, in the version that the lists have
  local name version
  for name in $(sed -n 's/^apt-get install .*--no-install-recommends //p' "$work/calls"); do
    version=$(sed -n "s/^$name=//p" "$work/lists")
    echo "${version:-1}" >"$work/installed/$name"
  done
}

# Debian 12: the plain name is Boost 1.74, and clang is 14.
a_system anything=1 libboost-dev=1.74.0.3 libboost1.81-dev=1.81.0-5+deb12u1 clang=1:14.0-55.7
run 0 build test
installs libboost1.81-dev && leaves libboost-dev && installs libclang-rt-14-dev && leaves libclang-rt-dev
all_is_installed
run 0 build test
[ ! -s "$work/out" ] && [ ! -s "$work/calls" ] || fail "is not silent where nothing is missing"
rm "$work/installed/spin"
run 0 build test
says "installing 1 packages: spin"

# Debian 13 and Ubuntu 24.04: the plain name is new enough, and there is no other.
for release in 'libboost-dev=1.83.0.2+b2 clang=1:19.0-63' 'libboost-dev=1.83.0.1ubuntu2 clang=1:18.0-59~exp2'; do
  # shellcheck disable=SC2086
  a_system anything=1 libboost1.81-dev=none $release
  run 0 build test
  installs libboost-dev && leaves libboost1.81-dev
  version=${release##*clang=1:}
  installs "libclang-rt-${version%%.*}-dev"
  all_is_installed
  run 0 build test
  [ ! -s "$work/out" ] || fail "is not silent where nothing is missing"
done

# A Boost that somebody put there, too old for us: ours is installed beside it.
a_system anything=1 libboost-dev=1.74.0.3 libboost1.81-dev=1.81.0-5 clang=1:14.0
echo 1.74.0.3 >"$work/installed/libboost-dev"
run 0 build
installs libboost1.81-dev

# Ubuntu has Chromium as no package: the rest is installed. What the build needs is never left out.
a_system anything=1 libboost1.81-dev=none libboost-dev=1.83.0.1 clang=1:18.0 chromium=none libisal-dev=none
run 0 build long
installs valgrind && leaves chromium && installs libisal-dev
says "this release has no chromium"
all_is_installed
run 0 build long
[ ! -s "$work/out" ] && [ ! -s "$work/calls" ] || fail "is not silent where only what apt lacks is missing"

# A fresh image has no lists: they are fetched before anything is chosen.
a_system
printf '%s\n' anything=1 libboost1.81-dev=none libboost-dev=1.83.0.1 clang=1:19.0 >"$work/lists_of_update"
run 0 build test
installs libboost-dev && installs libclang-rt-19-dev
rm "$work/lists_of_update"

# Who is not root, and has no sudo without a password, gets one line to run.
a_system anything=1 libboost-dev=1.83.0.1 clang=1:19.0
stand_in id <<<'echo 1000'
run 1 build
says "missing packages; run: sudo apt-get install --no-install-recommends cmake"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "prints more than one line"
[ ! -s "$work/calls" ] || fail "calls apt-get without being allowed to"
printf '%s\n' chromium=none >>"$work/lists"
run 1 long
! grep -q 'sudo .*chromium' "$work/out" || fail "asks for what apt lacks"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "prints more than one line"
: >"$work/lists"
run 1 build
says "missing packages; run: sudo $script build"
stand_in sudo <<<'[ "$1" != -n ] || shift; exec "$@"'
printf '%s\n' anything=1 libboost-dev=1.83.0.1 >"$work/lists"
run 0 build
installs libboost-dev

# No service starts by its package, and all others do: also after a run that was killed, but not against the machine.
a_system anything=1 libboost-dev=1.83.0.1 clang=1:19.0
run 0 build
grep -qx 'without services' "$work/calls" || fail "lets services start"
[ ! -e "$policy" ] || fail "keeps services from starting"
stand_in apt-get <<<'kill -KILL $PPID'
run 137 build
[ -e "$policy" ] || fail "is not killed while it installs"
a_system anything=1 libboost-dev=1.83.0.1 clang=1:19.0
run 0 build
[ ! -e "$policy" ] || fail "keeps services from starting for ever, once it was killed"
echo 'exit 101' >"$policy"
run 0 build
[ -e "$policy" ] || fail "removes a policy of the machine"

run 2 nonsense
says "usage:"
run 2
says "usage:"

# Another system: CMake is asked.
a_system
rm "$bin"/{apt-get,apt-cache,dpkg-query}
run 1 build
says "there is no cmake"
says "Boost 1.81 (libboost-dev, on Debian 12 libboost1.81-dev; boost-devel)"
stand_in cmake <<<'exit 0'
run 0 build
says "all of it is there"
stand_in cmake <<'TEXT'
printf -- '-- looking\nCMake Error at x:1 (message):\n  Boost 1.81 or later is missing\n\n\n-- Configuring incomplete\n'
exit 1
TEXT
run 1 build
says "Boost 1.81 or later is missing"
! grep -q looking "$work/out" || fail "prints all that CMake said"
echo "chosen on three releases, asked of CMake elsewhere"

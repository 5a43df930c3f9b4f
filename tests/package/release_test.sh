#!/usr/bin/env bash
# What tools/release.sh makes of this tree, installed in empty systems, each artefact in one of its own: the README's
# screens of its language print what the README says, by what was installed alone. Takes half an hour on 2 cores.
#
# usage: release_test.sh REPOSITORY BUILD_DIRECTORY; exits 77 where it cannot be tried
set -euo pipefail
cd "$1"
source_directory=$PWD peers=$(realpath "$2")/tests/node/npm/node_modules
for program in debootstrap npm unshare; do
  command -v "$program" >/dev/null || { echo "skipped: no $program" && exit 77; }
done
[ "$(id -u)" -eq 0 ] || { echo "skipped: chroot needs root" && exit 77; }
grep -q '^ID=debian$' /etc/os-release || { echo "skipped: this is no Debian" && exit 77; }
. tests/package/system.sh
[ -e "$peers/prom-client" ] || { echo "skipped: npm did not bring prom-client when CMake configured" && exit 77; }
in_own_mounts "$PWD/tests/package/release_test.sh" "$PWD" "$2"
fail() { echo "release_test: $1" >&2; exit 1; }

scratch=$(mktemp -d)
trap 'rm -rf --one-file-system "$scratch"' EXIT
mkdir "$scratch/tree"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$scratch/tree"
cd "$scratch/tree"
version=$(sed -n 's/^project(shmetrics VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
sed -i "0,/^## /s/^## .*/## $version/" CHANGELOG.md
git init -q && git add -A && git -c user.name=test -c user.email=test@localhost commit -qm "a release"
tools/release.sh "$scratch/release" || fail "no release"
cd "$scratch/release"
sha256sum --quiet -c SHA256SUMS || fail "the checksums are wrong"
[ "$(wc -l <SHA256SUMS)" -eq $(($(ls | wc -l) - 1)) ] || fail "not all have a checksum"
npm pack --silent --ignore-scripts --pack-destination .. \
  "$peers"/{prom-client,tdigest,bintrees,@opentelemetry/api} >/dev/null
cd "$source_directory"

. /etc/os-release
make_system "$VERSION_CODENAME"
trap 'remove_system; rm -rf --one-file-system "$scratch"' EXIT
base=$system
# Where `inside` begins: what was made, and of the tree only what says what an sdist needs.
find "$base/src" -mindepth 1 -delete
cp "$scratch"/release/* "$base/src"
mkdir "$base/peers"
cp "$scratch"/*.tgz "$base/peers"
cp tools/install-dependencies.sh "$base/usr/bin"
inside 'apt-get install -y -q --no-install-recommends curl' >"$scratch/log" 2>&1 || fail "no curl"
port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')

# in_empty_system NAME: runs the commands of standard input in a copy of that system, which is gone afterwards.
in_empty_system() (
  layer=$scratch/layer system=$scratch/layer/system
  mkdir -p "$layer"/{upper,work,system} "$scratch/packages/partial"
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$layer/upper,workdir=$layer/work" "$system"
  mount -t proc proc "$system/proc"
  mount -t tmpfs tmpfs "$system/dev/shm"
  mount --bind "$scratch/packages" "$system/var/cache/apt/archives"
  {
    echo 'set -euo pipefail'
    echo 'install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }'
    cat
  } >"$system/commands"
  echo "== $1"
  status=0
  inside 'bash /commands' >"$scratch/log" 2>&1 || status=$?
  umount -l "$system"/{proc,dev/shm,var/cache/apt/archives} "$system"
  [ $status -eq 0 ] || { tail -n 40 "$scratch/log" && fail "$1"; }
  grep -E 'the number is seen|^jobs_total' "$scratch/log" || fail "$1 shows no number"
  rm -rf --one-file-system "$layer"
)

# typed SCREEN...: the README's screens as a script, with the exporter of the package, and what was installed before.
typed() {
  cat <<'TEXT'
cat >/typed <<'TYPED'
TEXT
  python3 tests/house/typed_readme.py README.md "$@" |
    sed -e "s/localhost:5000/localhost:$port/" \
      -e '/install-dependencies.sh/d; /^cmake /d; /-m venv/s/^.*\(env.bin.python first.py\)/\1/; /^npm install/d' \
      -e "/^trap finish EXIT/a shmetrics-exporter --web.listen-address 127.0.0.1:$port >/exporter.log 2>\&1 \&"
  echo TYPED
  echo 'export CHECKOUT=/none no_proxy=localhost; mkdir -p /first; cd /first; bash /typed'
}
without() { # without SCREEN: what is typed, but for that
  sed "/^begin $1/,/^end/d"
}
of_ruby="ruby -rshmetrics -e 'Shmetrics::Segment.open.declare(%q(counter), %q(jobs_total), %q(J), [], [], 0, 0)
  .add({}, 1)'
shmetrics dump --format text | grep -x 'jobs_total 1'"
of_python='python3-setuptools python3-wheel python3-venv'

{ echo "install g++ ./libshmetrics0_*.deb ./libshmetrics-dev_*.deb ./shmetrics_*.deb" && typed C++ C "And then"; } |
  in_empty_system "libshmetrics0, libshmetrics-dev, shmetrics"
{ echo "install ./python3-shmetrics_*.deb ./shmetrics_*.deb" && typed Python | without "'Python, 2'"; } |
  in_empty_system python3-shmetrics
for artefact in "shmetrics-$version-*.whl" "shmetrics-$version.tar.gz"; do
  {
    echo "install ./shmetrics_*.deb $of_python"
    # An sdist is compiled. What pip would bring from an index is Debian's.
    [ "${artefact##*.}" = whl ] || echo "install-dependencies.sh build"
    echo "export PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PYTHONPATH=/usr/lib/python3/dist-packages"
    echo "python3 -m venv /first/env && /first/env/bin/pip install $artefact"
    typed Python | without "Python goes"
  } | in_empty_system "$artefact"
done
{
  echo 'install nodejs npm ./shmetrics_*.deb'
  echo 'mkdir /first && (cd /first && npm install --offline /src/*.tgz /peers/*.tgz)'
  typed Node
} | in_empty_system "shmetrics-prom-client-15.${version#*.}.tgz"
{
  echo 'install ruby ruby-dev gcc make libc6-dev ./libshmetrics0_*.deb ./libshmetrics-dev_*.deb ./shmetrics_*.deb'
  echo "gem install --local --no-document shmetrics-$version.gem"
  cat <<<"$of_ruby"
} | in_empty_system "shmetrics-$version.gem"
{
  echo 'install ./ruby-shmetrics_*.deb ruby ./shmetrics_*.deb'
  cat <<<"$of_ruby"
} | in_empty_system ruby-shmetrics
{
  echo 'install php-cli ./php-shmetrics_*.deb ./shmetrics_*.deb'
  echo "php -d extension=shmetrics -r 'Shmetrics\\counter(\"jobs_total\", \"J\")->inc();'"
  echo 'shmetrics dump --format text | grep -x "jobs_total 1"'
} | in_empty_system php-shmetrics

#!/usr/bin/env bash
# The Debian packages: installed by dpkg, used from outside, their programs run, and purged with nothing left.
#
# usage: deb_test.sh REPOSITORY; exits 77 where it may not install, or would take away what is somebody's
set -euo pipefail
source_directory=$(realpath "$1")
outside=$source_directory/tests/package/outside
. "$source_directory/tests/package/use_outside.sh"
[ "$(id -u)" -eq 0 ] || { echo "skipped: dpkg needs root"; exit 77; }
packages=(python3-shmetrics php-shmetrics ruby-shmetrics shmetrics libshmetrics-dev libshmetrics0)
for package in "${packages[@]}"; do
  ! dpkg -s "$package" >/dev/null 2>&1 || { echo "skipped: $package is installed already"; exit 77; }
done
for path in /etc/shmetrics /etc/default/shmetrics-exporter; do
  [ ! -e "$path" ] || { echo "skipped: $path is there already"; exit 77; }
done
had_group=$(getent group shmetrics || true)
work=$(mktemp -d)
finish() {
  dpkg --purge "${packages[@]}" >/dev/null 2>&1 || true
  [ -n "$had_group" ] || groupdel shmetrics 2>/dev/null || true # postrm leaves it
  rm -rf "$work"
}
trap finish EXIT

cmake -S "$source_directory" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr \
  -DSHMETRICS_TESTS=OFF >"$work/log"
cmake --build "$work/build" >>"$work/log" 2>&1 || { tail -n 40 "$work/log"; fail "does not build"; }
(cd "$work/build" && cpack -G DEB >>"$work/log" 2>&1) || { tail -n 40 "$work/log"; fail "cpack failed"; }
made=("$work"/build/*.deb)
for i in "${!packages[@]}"; do # those of languages that this machine does not have are not made
  [[ " ${made[*]##*/}" = *" ${packages[i]}_"* ]] || unset "packages[i]"
done
is_made() { [[ " ${packages[*]} " = *" $1 "* ]]; }
for package in python3-shmetrics shmetrics libshmetrics-dev libshmetrics0; do
  is_made "$package" || fail "no $package"
done
touch "$work/before"
dpkg -i "${made[@]}" >>"$work/log" 2>&1 || { tail -n 40 "$work/log"; fail "dpkg -i failed"; }
dpkg -L "${packages[@]}" | sort -u >"$work/files"

shmetrics=/usr/bin/shmetrics
cmake -S "$outside" -B "$work/found" -G Ninja >>"$work/log"
cmake --build "$work/found" >>"$work/log" 2>&1 || { tail -n 40 "$work/log"; fail "find_package does not do"; }
with_pkg_config "$work"
run_outside "$work" 3 3 "$work"/found/with_{static,shared,c,testing} "$work"/pkg_{cpp,c,c_static}
shmetrics-exporter --version
SHMETRICS_SEGMENT=$work/python.seg /usr/bin/python3 -W error -c \
  'from shmetrics import Counter; Counter("jobs", "Jobs").inc()'
"$shmetrics" dump "$work/python.seg" --format text | grep -qx 'jobs_total 1' ||
  fail "the package for Python does not count"
if is_made ruby-shmetrics; then
  SHMETRICS_SEGMENT=$work/ruby.seg ruby -rshmetrics -e \
    'Shmetrics::Segment.open.declare("counter", "jobs_total", "Jobs", [], [], 0, 0).add({}, 1)'
  "$shmetrics" dump "$work/ruby.seg" --format text | grep -qx 'jobs_total 1' || fail "the gem for Ruby does not count"
fi
if is_made php-shmetrics; then
  php -n -d extension=shmetrics -d shmetrics.segment="$work/php.seg" \
    -r 'Shmetrics\counter("jobs_total", "Jobs")->inc();'
  php -n -l /usr/share/php/Shmetrics/Storage.php >>"$work/log" || fail "no storage for promphp"
  "$shmetrics" dump "$work/php.seg" --format text | grep -qx 'jobs_total 1' ||
    fail "the extension for PHP does not count"
fi
for page in shmetrics-exporter shmetrics shmetrics-{dump,check,doctor,top,diff}; do
  [ -s /usr/share/man/man1/$page.1.gz ] || [ -s /usr/share/man/man1/$page.1 ] || fail "no man page $page"
done
for name in libshmetrics libshmetrics_c; do
  "$source_directory/tests/client/library_test.sh" "$(grep -F "/$name.so.0." "$work/files")" || fail "no such $name"
done
for package in "${packages[@]}"; do
  printf '%s: %s\n' "$package" "$(dpkg-query -W -f '${Installed-Size} KiB, depends on ${Depends}' "$package")"
done

[ "$(stat -c %a /etc/shmetrics/tokens)" = 600 ] && grep -qE '^[0-9a-f]{64}$' /etc/shmetrics/tokens ||
  fail "no token was made"
getent group shmetrics >/dev/null || fail "no group was made"
grep -q "^ExecStart=/usr/bin/shmetrics-exporter " /usr/lib/systemd/system/shmetrics-exporter.service ||
  fail "the unit starts another program than that of the package"
[ -s /etc/default/shmetrics-exporter ] && [ -s /usr/share/doc/shmetrics/README.md ] || fail "no defaults, or no docs"

dpkg --purge "${packages[@]}" >>"$work/log" 2>&1 || { tail -n 40 "$work/log"; fail "purge failed"; }
while read -r path; do
  [ -d "$path" ] || [ ! -e "$path" ] || fail "$path is left"
done <"$work/files"
find / -xdev -path /proc -prune -o -name '*shmetrics*' -cnewer "$work/before" -print 2>/dev/null |
  grep -vE "^($work|$source_directory|/tmp|/dev)" | grep -E '^/(usr|etc|var|lib)/' >"$work/left" || true
[ ! -s "$work/left" ] || { cat "$work/left"; fail "something is left after the purge"; }

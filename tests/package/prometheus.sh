#!/usr/bin/env bash
# Prometheus as later Debians have it, from their packages: 2.53 of Debian 13, and that of the next, which is a 3. The
# tests that run a real server run each, and promtool. Needs no root, and some minutes.
#
# usage: prometheus.sh [JUNIT_FILE]     writes one beside it for each release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
junit=$(realpath -m "${1:-build/log/prometheus.xml}")
tests='^(Prometheus|Promtool)[.]|^deploy[.](prometheus|native_histograms|later_prometheus)$|^python[.]exemplars$'
readonly tests

cmake --preset dev
cmake --build --preset dev -j 2 --target shmetrics shmetrics-exporter exporter_prometheus_test shmetrics_python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
[ -n "$mirror" ] || { echo "$0: wants a Debian, whose mirror has the others too" >&2 && exit 1; }
status=0
for release in trixie testing; do
  own=$folder/$release # lists of its own: nothing of this system changes
  mkdir -p "$own"/{lists/partial,parts,cache,system}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$own/sources.list"
  printf 'Dir::%s "%s";\n' Etc::sourcelist "$own/sources.list" Etc::sourceparts "$own/parts" State::lists "$own/lists" \
    Cache "$own/cache" >"$own/apt.conf"
  export APT_CONFIG=$own/apt.conf
  apt-get update -q
  (cd "$own" && apt-get download -q prometheus && { apt-get download -q promtool || true; })
  unset APT_CONFIG
  for package in "$own"/*.deb; do dpkg-deb -x "$package" "$own/system"; done
  PATH=$own/system/usr/bin:$PATH prometheus --version 2>&1 | head -n 1
  PATH=$own/system/usr/bin:$PATH ctest --preset dev --no-tests=error -R "$tests" \
    --output-junit "${junit%.xml}-$release.xml" || status=1
done
exit $status

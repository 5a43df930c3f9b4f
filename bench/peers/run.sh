#!/usr/bin/env bash
# shmetrics beside what people use instead, at the same work, in one run on this machine: prints one table.
#
#   bench/peers/run.sh [JSON]     JSON: a file for the figures (default build/peers.json)
#
# Installs what is missing (tools/install-dependencies.sh build peers; prom-client from the npm registry), builds the
# release preset, and takes some minutes. Updates are measured in three turns of all programs, one after the other; each
# figure is the least that was seen. Every program checks that it counted and served what it should have.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
json=${1:-build/peers.json}

tools/install-dependencies.sh build peers
cmake --preset release >/dev/null
cmake --build --preset release --target peers_ours >/dev/null
work=build/peers
mkdir -p $work
c++ -std=c++20 -O2 -I . bench/peers/prometheus_cpp.cpp -o $work/prometheus_cpp -lprometheus-cpp-core -lpthread
cp bench/peers/package.json bench/peers/package-lock.json $work/
npm ci --prefix $work --no-audit --no-fund >/dev/null

shared=$(mktemp -d /dev/shm/peers-XXXXXX)
trap 'rm -rf "$shared"' EXIT
export PROMETHEUS_MULTIPROC_DIR=$shared prometheus_multiproc_dir=$shared NODE_PATH=$PWD/$work/node_modules

run() { # run NAME WORK COMMAND...: its lines, with the program's name before them
  local name=$1 what=$2
  shift 2
  rm -rf "${shared:?}"/*
  "$@" "$what" | sed "s/^/$name /" >>$work/results
}
each() { # each WORK NAME...
  local what=$1 name
  shift
  for name in "$@"; do
    echo "$name: $what" >&2
    case $name in
      ours) run "$name" "$what" build/release/bin/peers_ours ;;
      prometheus_cpp) run "$name" "$what" $work/prometheus_cpp ;;
      client_python) run "$name" "$what" /usr/bin/python3 bench/peers/client_python.py ;;
      client_mmap) run "$name" "$what" ruby bench/peers/client_mmap.rb ;;
      prom_client) run "$name" "$what" node bench/peers/prom_client.js ;;
    esac
  done
}

: >$work/results
for _ in 1 2 3; do
  each update ours prometheus_cpp client_python client_mmap prom_client
  each scrape ours prometheus_cpp client_python client_mmap prom_client
done
each churn ours client_python client_mmap
version_of() { dpkg-query -W -f '${Version}' "$1"; }
{
  echo "ours $(git describe --always --dirty)"
  echo "prometheus_cpp $(version_of prometheus-cpp-dev)"
  echo "client_python $(version_of python3-prometheus-client), $(/usr/bin/python3 --version)"
  echo "client_mmap $(version_of ruby-prometheus-client-mmap), $(ruby --version | cut -d ' ' -f 1-2)"
  echo "prom_client $(node -p "require('prom-client/package.json').version"), node $(node --version)"
} >$work/versions
python3 bench/peers/table.py $work/results $work/versions "$json"

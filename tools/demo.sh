#!/usr/bin/env bash
# The whole way of the data: a prefork server counts, the exporter serves, a load generator checks the sum.
set -euo pipefail
set -m # each background job is a process group of its own, so that cleaning up reaches all of it and nothing else
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
usage: tools/demo.sh [--port P] [--keep]
  --port P  the exporter's port on localhost (default 5000)
  --keep    leave everything running until Ctrl-C, to look around from another shell
  --help    print this text
Builds what is missing, runs an instrumented prefork server and the exporter, loads the server, scrapes, and compares
the requests that were answered with the requests that were counted. Exits 0 when they are equal.
TEXT
}

fail() {
  echo "demo: $1" >&2
  exit "${2:-1}"
}

port=5000
keep=no
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port=${2:-} && shift ;;
    --keep) keep=yes ;;
    --help) usage && exit 0 ;;
    *) fail "unknown flag $1; try --help" 2 ;;
  esac
  shift || true
done
if ! [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]]; then
  fail "--port wants a number from 1 to 65535; try --help" 2
fi

readonly bin=build/release/bin load_seconds=12
export METRICS_TOKEN=demo-token-for-localhost-only
export no_proxy=localhost # for curl

directory=
groups=()
clean_up() {
  local status=$?
  trap - EXIT INT TERM
  local group
  for group in "${groups[@]}"; do kill -TERM -- "-$group" 2>/dev/null || true; done
  for group in "${groups[@]}"; do wait "$group" 2>/dev/null || true; done
  [ -z "$directory" ] || rm -rf "$directory"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

is_busy() {
  (exec 3<>"/dev/tcp/localhost/$1") 2>/dev/null
}

# start LOG COMMAND...: in the background; its process group is `started` and will be stopped.
start() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null &
  started=$!
  groups+=("$started")
}

# run LOG COMMAND...: waits, yet a signal is handled at once, which a foreground command would put off.
run() {
  start "$@"
  wait "$started" || return
  unset 'groups[-1]'
}

# wait_until COMMAND...: until it succeeds, while the job `started` lives, for at most 10 s.
wait_until() {
  local i
  for ((i = 0; i < 100; ++i)); do
    kill -0 "$started" 2>/dev/null || return 1
    "$@" && return 0
    sleep 0.1
  done
  return 1
}

build() {
  tools/install-dependencies.sh build
  mkdir -p build/log
  echo "demo: building (the first time takes minutes; log in build/log/demo-build.log)"
  run build/log/demo-build.log cmake --preset release &&
    run build/log/demo-build.log cmake --build --preset release \
      --target prefork_server load_generator shmetrics-exporter shmetrics && return
  tail -n 40 build/log/demo-build.log >&2
  fail "the build failed"
}

# The server's port is nobody's business: the next one that is free.
start_server() {
  for ((server_port = 8080; server_port < 8180; ++server_port)); do
    [ "$server_port" -ne "$port" ] || continue
    start "$directory/server.log" "$bin/prefork_server" --port "$server_port" --segment "$segment"
    wait_until grep -q ' serves ' "$directory/server.log" && return
    grep -q 'cannot listen' "$directory/server.log" || break
  done
  fail "the server does not start: $(tail -n 1 "$directory/server.log")"
}

start_exporter() {
  start "$directory/exporter.log" "$bin/shmetrics-exporter" --segment "$segment" --web.listen-address "127.0.0.1:$port"
  wait_until curl -fso /dev/null "http://localhost:$port/-/ready" ||
    fail "the exporter does not start on port $port: $(tail -n 1 "$directory/exporter.log")"
}

# counted FILE: the sum of the server's counter over all its label sets.
counted() {
  awk '/^prefork_http_requests_total\{/ { sum += $NF } END { printf "%d", sum }' "$1"
}

! is_busy "$port" || fail "port $port is in use; choose another with --port"
build
directory=$(mktemp -d /dev/shm/shmetrics-demo.XXXXXX 2>/dev/null || mktemp -d)
segment=$directory/demo.seg
start_server
server=$started
start_exporter
exporter=$started

echo "demo: prefork server on port $server_port, exporter on port $port, $load_seconds s of load"
run "$directory/load.log" "$bin/load_generator" --port "$server_port" --seconds "$load_seconds" ||
  fail "the load generator failed: $(tail -n 1 "$directory/load.log")"
curl -fsS "http://localhost:$port/api/metrics" >"$directory/scrape.txt" || fail "the scrape failed"
curl -fsSo /dev/null -H "Authorization: Bearer $METRICS_TOKEN" "http://localhost:$port/api/metrics" ||
  fail "the scrape with the token failed"

echo "\$ curl http://localhost:$port/api/metrics"
cat "$directory/scrape.txt"
echo "\$ curl -H 'Authorization: Bearer $METRICS_TOKEN' http://localhost:$port/api/metrics   # the same, from anywhere"
grep -v '^requests' "$directory/load.log"
sent=$(awk '/^requests sent / { print $3 }' "$directory/load.log")
counted=$(counted "$directory/scrape.txt")
echo "requests sent $sent, counted $counted"
[ "$sent" -eq "$counted" ] || fail "the counts differ"

if [ "$keep" = yes ]; then
  echo "demo: running until Ctrl-C; from another shell:"
  echo "  curl http://localhost:$port/api/metrics"
  echo "  curl http://localhost:$server_port/users/7"
  read -r worker _ <"/proc/$server/task/$server/children" || true # the file ends without a newline
  echo "  kill -9 $worker   # a worker: no counter goes down, and another takes its place"
  trap 'exit 0' INT TERM
  wait -n "$server" "$exporter" || true
  fail "a program ended: $(tail -qn 1 "$directory/server.log" "$directory/exporter.log")"
fi

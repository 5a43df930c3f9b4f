#!/usr/bin/env bash
# The whole way of the data: MasterCRM counts, the exporter serves, a load generator checks the sum; Prometheus asks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
usage: tools/demo.sh [--node] [--port P] [--keep] [--with-prometheus]
  --node             MasterCRM in Node (examples/mastercrm-node): its workers serve the metrics, without an exporter
  --port P           the port of the metrics on localhost (default 5000)
  --keep             go on under load until Ctrl-C, to look around from another shell
  --with-prometheus  also run Prometheus with the files of deploy/prometheus, on port 9090, and a minute of load
  --help             print this text
Builds what is missing, runs MasterCRM (examples/mastercrm) and the exporter, loads the application, scrapes, and
compares the requests that were answered with the requests that were counted. Exits 0 when they are equal.
TEXT
}

fail() {
  echo "demo: $1" >&2
  exit "${2:-1}"
}

port=5000
keep=no
node=no
with_prometheus=no
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port=${2:-} && shift ;;
    --keep) keep=yes ;;
    --node) node=yes ;;
    --with-prometheus) with_prometheus=yes ;;
    --help) usage && exit 0 ;;
    *) fail "unknown flag $1; try --help" 2 ;;
  esac
  shift || true
done
if ! [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]]; then
  fail "--port wants a number from 1 to 65535; try --help" 2
fi

load_seconds=12
[ "$with_prometheus" = no ] || load_seconds=60
readonly bin=build/release/bin load_seconds example=examples/mastercrm prometheus_port=9090
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

# start LOG COMMAND...: in the background, as a process group of its own, `started`, so that cleaning up reaches all of
# it and nothing else. What waits in the foreground stays in the group of this script: Ctrl-C is for both.
start() {
  local log=$1
  shift
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  started=$!
  set +m
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

# run_build COMMAND...: as run, and says every 10 s how far ninja is.
run_build() {
  local log=build/log/demo-build.log said=$SECONDS
  start "$log" "$@"
  while kill -0 "$started" 2>/dev/null; do
    sleep 0.2
    [ $((SECONDS - said)) -ge 10 ] || continue
    said=$SECONDS
    echo "demo:   $(grep -o '^\[[0-9]*/[0-9]*\]' "$log" | tail -n 1) after $SECONDS s"
  done
  wait "$started" || return
  unset 'groups[-1]'
}

build() {
  local targets=(mastercrm load_generator shmetrics-exporter shmetrics)
  [ "$node" = no ] || targets=(shmetrics_node load_generator shmetrics)
  local packages=(build)
  [ "$node" = no ] || packages+=(node)
  [ "$with_prometheus" = no ] || packages+=(prometheus)
  tools/install-dependencies.sh "${packages[@]}"
  mkdir -p build/log
  echo "demo: building (the first time takes minutes; log in build/log/demo-build.log)"
  run build/log/demo-build.log cmake --preset release &&
    run_build cmake --build --preset release --target "${targets[@]}" && return
  tail -n 40 build/log/demo-build.log >&2
  fail "the build failed"
}

# Express, ws and prom-client, as the example's lock file has them. $node_path is for NODE_PATH.
install_node_packages() {
  local place=build/release/mastercrm-node
  node_path=$PWD/build/release/node/node_modules:$PWD/$place/node_modules
  mkdir -p "$place"
  cp examples/mastercrm-node/package*.json "$place"
  cmp -s "$place/package-lock.json" "$place/installed" && return
  run build/log/demo-npm.log npm --prefix "$place" ci --ignore-scripts --no-audit --no-fund --prefer-offline ||
    fail "npm did not bring the packages: $(tail -n 1 build/log/demo-npm.log)"
  cp "$place/package-lock.json" "$place/installed"
}

start_upstream() {
  start "$directory/upstream.log" python3 "$example/fake_upstream.py" 0
  wait_until grep -qs ' serves ' "$directory/upstream.log" || fail "the fake upstream does not start"
  upstream_port=$(port_in "$directory/upstream.log")
}

port_in() { # port_in LOG: where the program serves
  sed -n 's|.* serves http://127.0.0.1:\([0-9]*\)/.*|\1|p' "$1"
}

# On a free port: on one that others know, their requests would be counted beside those of the load.
start_application() {
  start "$directory/mastercrm.log" "$bin/mastercrm" --port 0 --segment "$segment" \
    --database "$directory/crm.db" --upstream-port "$upstream_port"
  wait_until grep -qs ' serves ' "$directory/mastercrm.log" ||
    fail "the application does not start: $(tail -n 1 "$directory/mastercrm.log")"
  app_port=$(port_in "$directory/mastercrm.log")
}

# Its workers serve the metrics on the port where the guide has them.
start_node_application() {
  app_port=$port
  start "$directory/mastercrm.log" env NODE_PATH="$node_path" PORT="$port" UPSTREAM_PORT="$upstream_port" \
    SHMETRICS_SEGMENT="$segment" node examples/mastercrm-node/server.js
  wait_until grep -qs ' serves ' "$directory/mastercrm.log" ||
    fail "the application does not start: $(tail -n 1 "$directory/mastercrm.log")"
}

start_exporter() {
  start "$directory/exporter.log" "$bin/shmetrics-exporter" --segment "$segment" --web.listen-address "127.0.0.1:$port"
  wait_until curl -fso /dev/null "http://localhost:$port/-/ready" ||
    fail "the exporter does not start on port $port: $(tail -n 1 "$directory/exporter.log")"
}

# The shipped files, but for this one target, which speaks plain HTTP, and the token; not as a service.
start_prometheus() {
  cp -r deploy/prometheus "$directory/prometheus"
  (umask 077 && echo "$METRICS_TOKEN" >"$directory/prometheus/mastercrm.token")
  sed -i -e "s|your-app-domain.com:443|127.0.0.1:$port|" -e 's|scheme: https|scheme: http|' \
    -e 's|_interval: 30s|_interval: 5s|; s|scrape_timeout: 10s|scrape_timeout: 5s|' \
    -e '/^alerting:/,/targets:/d; /job_name: mastercrm-staging/,$d' "$directory/prometheus/prometheus.yml"
  start "$directory/prometheus.log" prometheus --config.file="$directory/prometheus/prometheus.yml" \
    --storage.tsdb.path="$directory/prometheus/data" --storage.tsdb.retention.time=15d \
    --web.listen-address="127.0.0.1:$prometheus_port"
  wait_until curl -fso /dev/null "http://localhost:$prometheus_port/-/ready" ||
    fail "Prometheus does not start: $(tail -n 1 "$directory/prometheus.log")"
}

# ask QUERY: the value of a query that has one.
ask() {
  curl -fsSG "http://localhost:$prometheus_port/api/v1/query" --data-urlencode "query=$1" |
    sed -n 's/.*"value":\[[^,]*,"\([^"]*\)".*/\1/p'
}

show_queries() {
  local requests=mastercrm_http_requests_total query
  for query in "sum(rate(${requests}[1m]))" \
    "sum(rate(${requests}{status_code=~\"4..|5..\"}[1m])) / sum(rate(${requests}[1m]))" \
    'histogram_quantile(0.95, sum by (le) (rate(mastercrm_http_request_duration_seconds_bucket[1m])))'; do
    echo "$query: $(ask "$query")"
  done
}

# counted FILE: the sum of the server's counter over all its label sets.
counted() {
  awk '/^mastercrm_http_requests_total\{/ { sum += $NF } END { printf "%d", sum }' "$1"
}

! is_busy "$port" || fail "port $port is in use; choose another with --port"
if [ "$with_prometheus" = yes ]; then # before the minutes of the build
  [ "$port" != "$prometheus_port" ] || fail "port $port is Prometheus'; choose another with --port"
  ! is_busy "$prometheus_port" || fail "port $prometheus_port is in use, and Prometheus needs it"
fi
build
[ "$node" = no ] || install_node_packages
directory=$(mktemp -d /dev/shm/shmetrics-demo.XXXXXX 2>/dev/null || mktemp -d)
segment=$directory/demo.seg
start_upstream
if [ "$node" = no ]; then
  start_application
  application=$started
  start_exporter
else
  start_node_application
  application=$started
fi
server=$started # of the metrics
[ "$with_prometheus" = no ] || start_prometheus

processes="4 workers"
[ "$node" = yes ] || processes+=", 2 for its queue, a housekeeper"
echo "demo: MasterCRM on port $app_port ($processes), its metrics on port $port, $load_seconds s of load"
run "$directory/load.log" "$bin/load_generator" --port "$app_port" --seconds "$load_seconds" --rate 150 \
  --mix "$example/load.txt" --websockets 4 || fail "the load generator failed: $(tail -n 1 "$directory/load.log")"
curl -fsS "http://localhost:$port/api/metrics" >"$directory/scrape.txt" || fail "the scrape failed"
curl -fsSo /dev/null -H "Authorization: Bearer $METRICS_TOKEN" "http://localhost:$port/api/metrics" ||
  fail "the scrape with the token failed"
curl -fsSo /dev/null "http://localhost:$port/api/metrics?token=$METRICS_TOKEN" || fail "the scrape with ?token= failed"
echo "\$ curl http://localhost:$port/api/metrics"
head -n 20 "$directory/scrape.txt"
echo "... $(wc -l <"$directory/scrape.txt") lines, $(wc -c <"$directory/scrape.txt") bytes in all"
echo "\$ curl -H 'Authorization: Bearer $METRICS_TOKEN' http://localhost:$port/api/metrics   # the same, as any user"
grep -v '^requests' "$directory/load.log"
sent=$(awk '/^requests sent / { print $3 }' "$directory/load.log")
counted=$(counted "$directory/scrape.txt")
echo "requests sent $sent, counted $counted"
[ "$sent" -eq "$counted" ] || fail "the counts differ"
if [ "$node" = yes ]; then
  "$bin/shmetrics" dump "$segment" --format text >"$directory/dump.txt"
  [ "$sent" -eq "$(counted "$directory/dump.txt")" ] || fail "the worker's page and the segment differ"
fi
[ "$with_prometheus" = no ] || show_queries

if [ "$keep" = yes ]; then
  start "$directory/load.log" bash -c 'while "$@"; do :; done; exit 1' load "$bin/load_generator" --port "$app_port" \
    --seconds 3600 --rate 50 --mix "$example/load.txt" --websockets 4 # as long as the generator takes
  load=$started
  worker= # where the kernel does not list children, none is named
  # The file ends without a newline.
  read -r worker _ 2>/dev/null <"/proc/$application/task/$application/children" || true
  trap 'exit 0' INT TERM
  echo "demo: running under load until Ctrl-C; from a browser or another shell:"
  [ "$node" = yes ] || echo "  http://localhost:$port/ui/   # the live page"
  echo "  curl http://localhost:$port/api/metrics"
  echo "  curl http://localhost:$app_port/contacts/7   # the application"
  echo "  $bin/shmetrics top $segment"
  echo "  $bin/shmetrics doctor $segment"
  [ "$with_prometheus" = no ] || echo "  http://localhost:$prometheus_port/graph   # Prometheus"
  [ -z "$worker" ] ||
    echo "  kill -9 $worker   # a worker: no counter goes down, and another takes its place"
  wait -n "$application" "$server" "$load" || true
  fail "a program ended: $(tail -qn 1 "$directory"/*.log)"
fi

#!/usr/bin/env bash
# The files of deploy/ in real containers, by Debian's podman: the Dockerfile is built, compose.yml comes up, the
# deployment of Kubernetes runs, and so does the unit under systemd. Images of registries have stand-ins of Debian's
# packages, Grafana and the alert manager are left out. Wants root, half an hour and 10 GB below $TMPDIR.
#
# usage: containers.sh [JUNIT_FILE [TEST...]]   with SHMETRICS_CONTAINERS=FOLDER images are kept there for the next run
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source=$PWD
junit=$(realpath -m "${1:-build/log/containers.xml}")
. tests/package/junit.sh
for program in podman podman-compose debootstrap runc catatonit; do
  command -v "$program" >/dev/null || { echo "containers: needs $program" >&2 && exit 1; }
done
for port in 5000 8080 9090; do
  ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "containers: another program has port $port" >&2 && exit 1; }
done

work=$(mktemp -d)
storage=${SHMETRICS_CONTAINERS:-$work}
memory=$work/memory # tmpfs, as an emptyDir of medium Memory is
mkdir -p "$memory" "$storage/run"
mount -t tmpfs -o size=256m tmpfs "$memory"
# The machine's own network and runc: this much works without a bridge, cgroups of version 2, or systemd.
with_storage=(--root "$storage/storage" --runroot "$storage/run" --storage-driver=vfs
  --runtime "$source/tests/package/containers/runc_as_allowed.py"
  --cgroup-manager=cgroupfs)
printf '[containers]\nnetns = "host"\n' >"$work/containers.conf"
export CONTAINERS_CONF=$work/containers.conf
pod() { podman "${with_storage[@]}" "$@"; }
clean_up() {
  pod pod rm -af >/dev/null 2>&1 || true
  pod rm -af -t 0 >/dev/null 2>&1 || true
  pod volume rm -af >/dev/null 2>&1 || true
  pod network rm shmetrics_test_default >/dev/null 2>&1 || true # of compose; its file is in /etc
  umount -l "$memory" || true
  ! mountpoint -q "$work/shm" || umount -l "$work/shm"
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT

make_base() {
  ! pod image exists docker.io/library/debian:bookworm || return 0
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/base"
  apt-config dump Acquire >"$work/base/etc/apt/apt.conf.d/99host" # its proxy, if it has one
  tar -C "$work/base" -c . | pod import - docker.io/library/debian:bookworm
  pod tag docker.io/library/debian:bookworm docker.io/library/debian:bookworm-slim
  rm -rf --one-file-system "$work/base"
}
build_image() { # build_image FILE TARGET NAME
  # docker: the other format has no HEALTHCHECK
  pod build --pull=never --network=host --format docker -f "$1" --target "$2" -t "$3" "$tree"
}
tree=$work/tree # what is committed or to be: a build would send all the rest, too
copy_tree() {
  mkdir -p "$tree"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree"
}

wait_until() { # wait_until SECONDS COMMAND...
  local left=$(($1 * 5))
  until "${@:2}" >/dev/null 2>&1; do
    [ $((left -= 1)) -gt 0 ] || { echo "not within $1 s: ${*:2}" && return 1; }
    sleep 0.2
  done
}
export no_proxy=localhost
readonly token=a-token-of-the-test
exposed() { # exposed PORT: requests that the application has counted
  curl -fsS -H "Authorization: Bearer $token" "http://localhost:$1/api/metrics" |
    awk '/^mastercrm_http_requests_total\{/ { sum += $NF } END { printf "%d", sum }'
}
request() { # request PORT TIMES
  local i
  for ((i = 0; i < $2; ++i)); do curl -fsS -o /dev/null "http://localhost:$1/contacts/$((i % 5 + 1))"; done
}
equals() { # equals WHAT EXPECTED FOUND
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "expected $2" && return 1; }
}
writable_folder() { # writable_folder FOLDER: for the images' user
  install -d -o 10001 -g 10001 "$1"
}

the_dockerfile_builds() {
  build_image deploy/docker/Dockerfile exporter shmetrics-exporter &&
    build_image deploy/docker/Dockerfile mastercrm mastercrm &&
    pod run --rm shmetrics-exporter --version
}

compose_comes_up() {
  export PODMAN_FLAGS="${with_storage[*]}"
  local compose=(podman-compose --podman-path "$source/tests/package/containers/podman_in_host.sh" -p shmetrics_test
    -f compose.yml -f "$source/tests/package/containers/host_network.yml")
  build_image tests/package/containers/stand_ins.Dockerfile prometheus docker.io/prom/prometheus:v2.55.1 || return 1
  build_image tests/package/containers/stand_ins.Dockerfile python docker.io/library/python:3.12-slim || return 1
  cd "$tree/deploy/docker" || return 1
  printf %s "$token" | tee token tokens >/dev/null
  echo unused >grafana_password
  chmod 0444 token tokens grafana_password
  sed -i 's/scrape_interval: 15s/scrape_interval: 1s/; s/scrape_timeout: 10s/scrape_timeout: 1s/' prometheus.yml
  "${compose[@]}" up -d --no-build app upstream exporter prometheus || return 1
  wait_until 60 curl -fs http://localhost:8080/contacts/1 || { "${compose[@]}" logs app && return 1; }
  wait_until 60 curl -fs http://localhost:5000/-/healthy || { "${compose[@]}" logs exporter && return 1; }
  pod healthcheck run shmetrics_test_exporter_1 || return 1
  request 8080 50
  local counted
  counted=$(exposed 5000)
  [ "$counted" -ge 50 ] || { echo "counted $counted" && return 1; }
  wait_until 60 eval '[ "$(asked "sum(mastercrm_http_requests_total)")" = '"$counted"' ]' || return 1
  equals "target up" 1 "$(asked 'up{job="mastercrm"}')" && equals "requests in Prometheus" "$counted" "$counted" &&
    "${compose[@]}" down -t 1
}
asked() { # asked QUERY: of Prometheus
  curl -fsSG http://localhost:9090/api/v1/query --data-urlencode "query=$1" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["result"][0]["value"][1])'
}

the_deployment_runs() {
  local counted exporter
  writable_folder "$memory/pod" && writable_folder "$work/database" && writable_folder "$work/tokens"
  printf %s "$token" >"$work/tokens/tokens" && chmod 0444 "$work/tokens/tokens"
  python3 tests/package/containers/host_pod.py deploy/kubernetes/deployment.yaml segment="$memory/pod" \
    database="$work/database" tokens="$work/tokens" >"$work/pod.yaml" || return 1
  pod kube play --network=host "$work/pod.yaml" || return 1
  wait_until 60 curl -fs http://localhost:8080/contacts/1 || { pod ps -a && pod logs mastercrm-pod-app && return 1; }
  wait_until 30 curl -fs http://localhost:5000/-/ready || return 1
  request 8080 20
  counted=$(exposed 5000)
  [ "$counted" -ge 20 ] || { echo "counted $counted" && return 1; }
  exporter=$(pod ps --filter name=exporter --format '{{.Names}}')
  equals "memory limit" $((512 << 20)) "$(pod container inspect "$exporter" --format '{{.HostConfig.Memory}}')" &&
    pod kube down "$work/pod.yaml"
}

worker() { # worker NAME PORT OPTION...: a MasterCRM in a container of its own
  pod run -d --name "$1" "${@:3}" --entrypoint mastercrm mastercrm --host 127.0.0.1 --port "$2" \
    --database /tmp/mastercrm.db --workers 2 --queue-workers 1
}
read_by_host() { # read_by_host SEGMENT FORMAT
  pod run --rm --user 0:0 -v "$(dirname "$1"):/segment:ro" --entrypoint shmetrics \
    shmetrics-exporter dump "/segment/$(basename "$1")" --format "$2"
}

equal_pids_share_a_segment() {
  writable_folder "$memory/shared"
  local shared=(-v "$memory/shared:/run/app" -e SHMETRICS_SEGMENT=/run/app/metrics.seg) port sum
  worker first 8081 "${shared[@]}" && worker second 8082 "${shared[@]}" || return 1
  for port in 8081 8082; do wait_until 60 curl -fs "http://localhost:$port/contacts/1" || return 1; done
  request 8081 30 && request 8082 30
  read_by_host "$memory/shared/metrics.seg" json >"$work/dump.json" || return 1
  python3 - "$work/dump.json" <<'PYTHON'
import collections, json, sys
dump = json.load(open(sys.argv[1]))
pids = collections.Counter(worker["pid"] for worker in dump["workers"] if worker["state"] == "live")
print("live workers by pid:", dict(pids))
family = next(f for f in dump["families"] if f["name"] == "mastercrm_http_requests_total")
counted = sum(series["value"] for series in family["series"])
print("counted", counted)
sys.exit(0 if max(pids.values()) == 2 and counted >= 60 else 1)
PYTHON
}

a_full_dev_shm_hurts_no_worker() {
  mkdir -p "$work/shm"
  mount -t tmpfs -o size=64m,mode=1777 tmpfs "$work/shm" || return 1
  worker full 8083 -v "$work/shm:/dev/shm" -e SHMETRICS_SEGMENT=/dev/shm/metrics.seg || return 1
  wait_until 60 curl -fs http://localhost:8083/contacts/1 || return 1
  dd if=/dev/zero of="$work/shm/ballast" bs=64k 2>/dev/null || true
  echo "free: $(df --output=avail -k "$work/shm" | tail -n 1) KiB"
  request 8083 200 || return 1
  curl -s -o /dev/null http://localhost:8083/nothing # a label set that is new
  local counted
  counted=$(read_by_host "$work/shm/metrics.seg" text |
    awk '/^mastercrm_http_requests_total\{/ { sum += $NF } END { printf "%d", sum }')
  rm -f "$work/shm/ballast"
  [ "$counted" -ge 200 ] && equals "running" true "$(pod inspect full --format '{{.State.Running}}')" &&
    echo "counted $counted"
}

the_unit_runs_under_systemd() {
  build_image tests/package/containers/stand_ins.Dockerfile systemd shmetrics-systemd || return 1
  pod run -d --name unit --privileged --systemd=always shmetrics-systemd || return 1
  local state
  wait_until 60 eval 'pod exec unit systemctl is-active shmetrics-exporter' || {
    state=$(pod inspect unit --format '{{.State.Status}}, exit {{.State.ExitCode}}')
    pod exec unit journalctl --no-pager -n 20 -u shmetrics-exporter 2>&1 || true
    echo "systemd as pid 1: $state; $(pod logs unit 2>&1 | tail -n 1)"
    [ "$(pod inspect unit --format '{{.State.Running}}')" = true ] || return 77
    return 1
  }
  equals "with its token" 200 "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" \
    http://localhost:5000/api/metrics)" &&
    equals "without" 401 "$(curl -s -o /dev/null -w '%{http_code}' http://localhost:5000/api/metrics)"
}

end_all() {
  pod rm -af -t 0 >/dev/null 2>&1 || true
  pod pod rm -af >/dev/null 2>&1 || true
}
copy_tree
make_base
junit_begin "$junit"
tests=(the_dockerfile_builds compose_comes_up the_deployment_runs equal_pids_share_a_segment
  a_full_dev_shm_hurts_no_worker the_unit_runs_under_systemd)
[ $# -lt 2 ] || tests=("${@:2}")
for test in "${tests[@]}"; do
  check "containers.$test" "$test"
  end_all
done
junit_end

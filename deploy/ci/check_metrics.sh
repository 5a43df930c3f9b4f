#!/usr/bin/env bash
# Asks a metrics endpoint as Prometheus would, and says whether it serves what Prometheus takes.
#
#   METRICS_TOKEN=... check_metrics.sh https://your-app.com/api/metrics [FAMILY...]
#
# Fails unless the token is let in, every segment is up, every FAMILY is there and, where promtool is, it has no
# objection. The token is read from the environment alone: an argument would be in the list of processes.
set -euo pipefail

fail() {
  echo "check_metrics: $1" >&2
  exit 1
}

[ $# -ge 1 ] || { echo "usage: METRICS_TOKEN=... check_metrics.sh URL [FAMILY...]" >&2; exit 2; }
[ -n "${METRICS_TOKEN:-}" ] || fail "set METRICS_TOKEN"
url=$1
shift

scrape=$(curl -fsS --max-time 10 --retry 3 --retry-connrefused --header @- "$url" \
  <<<"Authorization: Bearer $METRICS_TOKEN") || fail "no metrics from $url"
grep -q '^shmetrics_segment_up' <<<"$scrape" || fail "$url is no exporter of shmetrics"
! grep -q '^shmetrics_segment_up.* 0$' <<<"$scrape" || fail "a segment is down: does the application run?"
for family in "$@"; do
  grep -q "^# TYPE $family " <<<"$scrape" || fail "$family is missing"
done
if command -v promtool >/dev/null; then
  promtool check metrics <<<"$scrape" || fail "promtool objects"
fi
echo "check_metrics: $(grep -vc '^#' <<<"$scrape") samples, all well"

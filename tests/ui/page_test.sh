#!/usr/bin/env bash
# The live page in chromium, or what pages of others get there. Installs what the tests take from npm into FOLDER, once.
#
# usage: page_test.sh FOLDER EXPORTER SHMETRICS WORKER [TEST]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$1"
if ! cmp -s "$here/package-lock.json" package-lock.json || [ ! -e node_modules/.package-lock.json ]; then
  cp "$here"/package.json "$here"/package-lock.json .
  npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --silent
fi
exec env SHMETRICS_UI_FOLDER="$1" SHMETRICS_EXPORTER_PROGRAM="$2" SHMETRICS_PROGRAM="$3" SHMETRICS_UI_WORKER="$4" \
  node --test --test-concurrency=1 "$here/${5:-page_test.mjs}"

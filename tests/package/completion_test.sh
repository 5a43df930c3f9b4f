#!/usr/bin/env bash
# The completions of bash offer the programs' own subcommands and flags; those of zsh are at least zsh.
#
# usage: completion_test.sh REPOSITORY DIRECTORY_OF_PROGRAMS
set -euo pipefail
cd "$1"
PATH=$2:$PATH
fail() { echo "completion_test: $1" >&2; exit 1; }

. tools/shmetrics.bash
. exporter/shmetrics-exporter.bash

# offers FUNCTION WANTED WORD...: completing the last word offers all of WANTED.
offers() {
  local complete=$1 wanted=$2 word
  shift 2
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  COMPREPLY=()
  $complete
  for word in $wanted; do
    [[ " ${COMPREPLY[*]} " == *" $word "* ]] || fail "'$*' does not offer $word but: ${COMPREPLY[*]}"
  done
}
offers _shmetrics "dump check doctor top diff --version" shmetrics ""
offers _shmetrics "--format --family --workers" shmetrics dump --
offers _shmetrics "table json text openmetrics" shmetrics dump --format ""
offers _shmetrics "--interval --once" shmetrics top --
offers _shmetrics_exporter "--segment --web.localhost-bypass --no-web.localhost-bypass --log.level" \
  shmetrics-exporter --
offers _shmetrics_exporter "debug info warn error" shmetrics-exporter --log.level ""

# Every flag of --help is offered, by both of its names.
shmetrics-exporter --help | grep -oE -- '--(\[no-\])?[a-z]+[a-z.-]+' | sort -u | while read -r flag; do
  offers _shmetrics_exporter "${flag/\[no-\]/}" shmetrics-exporter --
done
COMP_WORDS=(shmetrics-exporter --web.token-f) COMP_CWORD=1 COMPREPLY=()
_shmetrics_exporter
[ "${COMPREPLY[*]}" = --web.token-file ] || fail "--web.token-f completes to ${COMPREPLY[*]}"

zsh -n tools/shmetrics.zsh
zsh -n exporter/shmetrics-exporter.zsh

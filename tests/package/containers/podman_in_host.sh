#!/usr/bin/env bash
# podman for podman-compose: with the flags of $PODMAN_FLAGS, and without networks of its own, because each container is
# on the machine's.
set -euo pipefail
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --net | --network | --network-alias) shift ;;
    --net=* | --network=*) ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
[ "${arguments[0]:-}" != network ] || exit 0
read -ra flags <<<"${PODMAN_FLAGS:-}"
exec podman "${flags[@]}" "${arguments[@]}"

#!/usr/bin/env bash
# From an empty Debian 12 and an empty Debian 13 to the first own counter on a scrape, in C++, C, Python (Debian's, and
# in a virtual environment) and Node: what README.md says is typed, and prints what it says. Each screen tells its
# minutes and keystrokes. Takes half an hour on 2 cores, and 4 GB below $TMPDIR.
#
# usage: newcomer.sh [JUNIT_FILE [RELEASE...]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
junit=$(realpath -m "${1:-build/log/newcomer.xml}")
. tests/package/system.sh
. tests/package/junit.sh
in_own_mounts "$PWD/tests/package/newcomer.sh" "$junit" "${@:2}"

# Another program may have the README's port: the network is this machine's.
port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
# pip has no index here: Debian's setuptools stands in for it.
readonly stand_in='apt-get install -y -q --no-install-recommends python3-setuptools python3-wheel >/dev/null
export PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PYTHONPATH=/usr/lib/python3/dist-packages'

# asks_for_packages COMMAND: who may not install them, and has no sudo, gets one line to run.
asks_for_packages() {
  local said status=0
  said=$(inside "setpriv --reuid 1000 --regid 1000 --clear-groups $1" 2>&1) || status=$?
  echo "$1, exit $status: ${said:0:100}"
  [ $status -eq 1 ] && [[ $said =~ ^'missing packages; run: sudo apt-get install '[^$'\n']*$ ]]
}

type_on() ( # type_on RELEASE; a subshell, since its system goes with it
  make_system "$1" > >(tail -n 3) # it says much
  asks_for_packages tests/run.sh && asks_for_packages tools/demo.sh || exit 1
  {
    echo "export no_proxy=localhost"
    python3 tests/house/typed_readme.py README.md "Your first counter" C++ C Python Node "And then" |
      sed -e "s/localhost:5000/localhost:$port/" \
        -e "s/^shmetrics-exporter &/shmetrics-exporter --web.listen-address 127.0.0.1:$port \&/" \
        -e "/^begin 'Python, 2'/i ${stand_in//$'\n'/\\$'\n'}"
  } >"$system/typed"
  inside 'bash /typed'
)

junit_begin "$junit"
releases=(bookworm trixie)
[ $# -lt 2 ] || releases=("${@:2}")
for release in "${releases[@]}"; do check "newcomer.$release" type_on "$release"; done
junit_end

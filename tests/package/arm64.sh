#!/usr/bin/env bash
# arm64: all of it cross-compiled on a Debian 12 of its own, and the tests of shm, client, collector, contract and of
# workers on one machine run by qemu-aarch64. Where the kernel has binfmt_misc for namespaces (6.7), so are the programs
# that they start. Takes an hour on 2 cores, and 4 GB below $TMPDIR.
#
# usage: arm64.sh [JUNIT_FILE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
junit=$(realpath -m "${1:-build/log/arm64.xml}")
. tests/package/system.sh
in_own_mounts "$PWD/tests/package/arm64.sh" "$junit"

make_system bookworm
inside 'dpkg --add-architecture arm64 && apt-get update -q'
# Of tools/install-dependencies.sh build: programs of this machine, libraries of that.
inside "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
  cmake ninja-build git python3 g++-aarch64-linux-gnu qemu-user libstdc++6:arm64 libc6-dev:arm64 \
  libboost1.81-dev:arm64 libssl-dev:arm64 libspdlog-dev:arm64 libfmt-dev:arm64 libcli11-dev libxxhash-dev:arm64 \
  nlohmann-json3-dev libprotozero-dev libisal-dev:arm64 zlib1g-dev:arm64 libyaml-cpp-dev:arm64 libcrypt-dev:arm64 \
  libsystemd-dev:arm64 libgtest-dev:arm64 libgmock-dev:arm64 libbenchmark-dev:arm64 libsqlite3-dev:arm64"
inside 'cmake --preset arm64 && cmake --build --preset arm64 -j 2'

# What is left out, a name and its reason at a time:
left_out=(
  'ContainersTest[.].*' 'containers are namespaces, which qemu does not come back from'
  'ClaimTest[.]AChildDoesNotKeepItsDeadParentAlive' 'qemu 7.2 does not pass MADV_DONTFORK on to the kernel'
  'ForkTest[.]AChildThatNeverCountsDoesNotKeepItsKilledParentAlive' 'likewise'
  'DaemonTest[.]ADaemonThatForksTwiceAndClosesEverythingCountsAndRegisters' 'likewise'
  'DaemonTest[.]ACoreDumpOfAWorkerFillsNoHoleAndLosesNothing' 'nor MADV_DONTDUMP'
  'FileTest[.]HolesInAFileOnAFullDiskAreAnErrorAtOpenAndNoSignal' 'nor MADV_POPULATE_WRITE'
  'NoMemoryTest[.].*' 'likewise'
  'ExporterFaultsTest[.].*' 'qemu 7.2 knows no NETLINK_SOCK_DIAG, so that no client is local to the exporter'
  'HostileGeometry[.].*' 'the addresses that qemu gives out have no room for terabytes'
  'contract[.]programs|Hostile[.]FlippedBytes.*|ChurnTest[.]T.*Thousand.*|EndsTest[.]WhatForkCosts.*'
  'they take longer than their limit of 300 s'
  'client_library_exports.*' 'the lists, sizes and the strip are those of x86-64'
)
names=
for ((i = 0; i < ${#left_out[@]}; i += 2)); do
  echo "left out: ${left_out[i]}: ${left_out[i + 1]}"
  names+=${names:+|}${left_out[i]}
done
status=0
# Of each object: a program has the note only if all that it links has it. libc's start files of Debian 12 have none.
for library in collector/libshmetrics_collector.a tools/libshmetrics_tools_core.a exporter/libshmetrics_exporter_core.a
do
  objects=$(ar t "$system/src/build/arm64/$library" | wc -l)
  guarded=$(readelf -nW "$system/src/build/arm64/$library" | grep -c 'AArch64 feature: BTI, PAC') || true
  echo "$library: $guarded of $objects objects have BTI and PAC"
  [ "$objects" -gt 0 ] && [ "$guarded" -eq "$objects" ] || status=1
done
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
# Once more what timed out: beside 300 emulated processes a test takes ten times as long.
emulated /usr/bin/qemu-aarch64 "$magic" "$mask" "ctest --preset arm64 --no-tests=error -LE '^long\$' \
  -L '^(shm|client|collector|contract|multiprocess)\$' -E '^($names)\$' -FC outputs -j 3 \
  --repeat after-timeout:2 --output-junit /junit.xml" || status=1
cp "$system/junit.xml" "$junit"
exit $status

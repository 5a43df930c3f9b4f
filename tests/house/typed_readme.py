"""README.md as somebody types it: prints a script of bash that saves the programs of these headings and runs their
commands. Each screen begins without a segment, and must print what the README says that it prints.

usage: typed_readme.py README HEADING...
"""
import pathlib
import re
import shlex
import sys

ONCE, AFTER = "Your first counter", "And then"
SCREENS = ("C++", "C", "Python", "Node")

PROLOGUE = """set -euo pipefail
# People type more slowly than the exporter starts.
curl() { command curl --retry 50 --retry-delay 1 --retry-connrefused "$@"; }
exec 3>&1 # commands are redirected while they run
output=$(mktemp) shared_seconds=0 shared_keys=0
finish() {
  local status=$?
  [ $status -eq 0 ] || { echo "fails while typing $screen:" && tail -n 40 "$output"; } >&3
  kill $(jobs -p) 2>/dev/null || true
  rm -f "$output"
  exit $status
}
trap finish EXIT
# begin SCREEN SEGMENT_STAYS
begin() {
  screen=$1 began=$SECONDS
  [ "$2" = stays ] || rm -f "${SHMETRICS_SEGMENT:-/dev/shm/shmetrics.seg}"
}
# end KEYS PROGRAM_KEYS EXPECTED...: what expects nothing was typed for all that follows, and counts there.
end() {
  local expected seconds=$((SECONDS - began + shared_seconds)) keys=$(($1 + shared_keys))
  for expected in "${@:3}"; do
    grep -qxF -- "$expected" "$output" || { echo "does not print: $expected" >>"$output" && exit 1; }
  done
  [ $# -gt 2 ] || { shared_seconds=$seconds shared_keys=$keys && return; }
  echo "$screen: the number is seen after $((seconds / 60)) min $((seconds % 60)) s, $keys keys, and $2 of the program"
}
"""


def sections(readme):
    parts = re.split(r"^##+ (.*)\n", readme, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def commands_of(section):
    return re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def typed(heading, section):
    """The lines that type one heading."""
    program = re.search(r"^```(?!bash)\w+\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    keys = 0
    if program:
        name = re.match(r"\s*`([\w.]+)`", section).group(1)
        keys = len(program.group(1))
        yield f"cat >{name} <<'PROGRAM'\n{program.group(1)}PROGRAM"
    for number, block in enumerate(commands_of(section), start=1):
        expected = re.findall(r"^# prints: (.*)$", block, re.MULTILINE)
        lines = [re.sub(r" +# .*", "", line) for line in block.splitlines() if not line.startswith("#")]
        screen = heading if number == 1 else f"{heading}, {number}"
        yield f"begin {shlex.quote(screen)} {'goes' if expected else 'stays'}"
        yield "\n".join(["{", *lines, '} >"$output" 2>&1'])
        yield shlex.join(["end", str(sum(len(line) + 1 for line in lines)), str(keys), *expected])


def main(readme, headings):
    found = sections(readme.read_text())
    print(PROLOGUE)
    for heading in headings:
        print(*typed(heading, found[heading]), sep="\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])

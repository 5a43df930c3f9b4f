"""Types the commands of docs/operations.md, mastercrm.md and troubleshooting.md, and checks what they print.

Each heading has a place of its own. Before its commands only those of "Before you start" are typed; behind them nothing
may run on or lie there.

usage: operations_test.py REPOSITORY DIRECTORY_OF_PROGRAMS
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from sources import paths

# The headings that have something to run, or a folder of it.
HEADINGS = {
    "operations": [
        "Before you start", "Exporter and Prometheus", "Size", "Reset", "Upgrade and roll back",
        "Deploy with changed buckets, labels or kinds",
        "Several applications", "Exporter as another user", "Modes and groups", "Dropped privileges", "Full memory",
        "Refused, dropped, overflowed", "systemd", "Docker", "Kubernetes sidecar", "Memory", "Reverse proxy", "Logs",
        "Reboot and crash", "A disappeared segment", "Reading a dead segment after an incident",
        "Without Prometheus", "The live page", "Rotating tokens and certificates"],
    "mastercrm": [
        "Quick start", "Load", "An application that owns port 5000", "Section by section"],
    "troubleshooting": [
        "Start here", "When an alert fires", "No metrics", "Missing metrics", "Label values read `__overflow__`",
        "The segment is full", "No permission", "The file system is full", "High memory usage", "Slow scrapes",
        "Numbers twice, or too large", "Workers die"],
}
NEEDED_PROGRAMS = ("systemd-analyze", "setpriv", "openssl", "curl")
PORTS = ("5000", "5001", "8080", "8090")
TIMEOUT_SECONDS = 60
# What the reader does not type: curl waits until programs listen, and after a failure they are ended.
PROLOGUE = """set -euo pipefail
trap 'status=$?; kill $(jobs -p) 2>/dev/null || true; wait; exit $status' EXIT
curl() { command curl --silent --retry 50 --retry-delay 1 --retry-connrefused "$@"; }
"""
EPILOGUE = """
for _ in {1..100}; do
  [ -z "$(jobs -rp)" ] && break
  sleep 0.1
done
[ -z "$(jobs -rp)" ] || { echo "left behind: $(jobs -r)" && exit 1; }
[ -z "$(ls -A /run/app)" ] || { echo "left behind: $(ls -A /run/app)" && exit 1; }
"""

root = programs = pathlib.Path(".")


def sections(page):
    text = (root / f"docs/{page}.md").read_text()
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def blocks(section):
    return re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def free_ports(count):
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]  # at once, so that no two are the same
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Operations(unittest.TestCase):
    longMessage = False

    def setUp(self):
        self.first = blocks(sections("operations")["Before you start"])[0]

    def run_commands(self, commands):
        """All output of the commands, with /run/app and the ports of the pages moved to where nobody is."""
        with tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm") as folder:
            os.chmod(folder, 0o755)
            place = f"{folder}/app"  # which the reader makes
            moved = dict(zip(PORTS, free_ports(len(PORTS))))
            typed = commands if commands == self.first else self.first + commands
            script = re.sub(r"^cmake .*", "", typed, flags=re.MULTILINE)  # the test has a build
            script = (script + EPILOGUE).replace("/run/app", place)
            script = re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: moved[found.group()], script)
            script = script.replace("$PWD/build/release/bin", str(programs))
            address = f"--web.listen-address 127.0.0.1:{moved['5000']}"
            script = re.sub(r"(shmetrics-exporter) (--segment)", rf"\1 {address} \2", script)
            kept = {name: value for name, value in os.environ.items()
                    if not name.startswith(("METRICS_", "SHMETRICS_"))}
            result = subprocess.run(["bash", "-c", PROLOGUE + script], cwd=root, text=True, timeout=TIMEOUT_SECONDS,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=kept)
            return result.returncode, result.stdout

    def check_block(self, commands):
        for program in NEEDED_PROGRAMS:
            if re.search(rf"\b{program}\b", commands) and not shutil.which(program):
                self.skipTest(f"no {program} here")
        if "chgrp" in commands and os.geteuid() != 0:
            self.skipTest("only root can give a file to another group")
        expected = re.findall(r"^# prints: (.*)$", commands, re.MULTILINE)
        self.assertTrue(expected, "a block says what it prints")
        status, output = self.run_commands(commands)
        self.assertEqual(0, status, output)
        rest = output
        for text in expected:
            self.assertIn(text, rest, f"{text!r} is not in the output, or not in this order:\n{output}")
            rest = rest[rest.index(text):]

    def test_the_build_at_the_start_has_the_programs_of_all_commands(self):
        built = set(re.search(r"--target (.*)", self.first).group(1).split())
        for program in built:
            self.assertTrue(os.access(programs / program, os.X_OK), program)
        for page in HEADINGS:
            commands = "\n".join(block for section in sections(page).values() for block in blocks(section))
            typed = set(re.findall(r"^(?:\w+=\S+ )*([\w-]+)", commands, re.MULTILINE))
            self.assertLessEqual({word for word in typed if (programs / word).is_file()}, built, page)

    def test_every_task_has_a_heading_with_something_to_run_or_a_folder_of_it(self):
        self.assertEqual(HEADINGS["operations"], list(sections("operations")))
        for page, headings in HEADINGS.items():
            self.assertEqual(headings, [heading for heading, section in sections(page).items()
                                        if blocks(section) or "](../deploy/" in section])

    def test_commands_print_what_the_page_says(self):
        for page in HEADINGS:
            for heading, section in sections(page).items():
                for commands in blocks(section):
                    with self.subTest(f"{page}: {heading}"):
                        self.check_block(commands)


if __name__ == "__main__":
    root, programs = paths(__doc__, 2)
    unittest.main()

"""`tools/demo.sh --keep`, on a terminal: it goes on under load until Ctrl-C, ends if its load does, and leaves nothing.

usage: keep_test.py PORT     builds the preset `release` if that is not built
"""
import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import sys
import time
import unittest
import urllib.request
import uuid

from running_crm import ROOT, eventually

CTRL_C = b"\x03"
BUILD_SECONDS = 1800
END_SECONDS = 60


class Demo:
    """The demo as the foreground of a terminal of its own."""

    def __init__(self):
        self.said = ""
        self.mark = f"DEMO_OF_TEST={uuid.uuid4()}"
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            name, value = self.mark.split("=")
            os.environ[name] = value
            os.execv(ROOT / "tools/demo.sh", ["tools/demo.sh", "--keep", "--port", port])

    def wait_for(self, pattern, seconds):
        """Reads what it says, until it says that or ends; the match, or None."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.said)) and time.monotonic() < deadline:
            if select.select([self.terminal], [], [], 1)[0]:
                try:
                    self.said += os.read(self.terminal, 65536).decode()
                except OSError:  # nobody has the terminal any more
                    break
        return found

    def press(self, key):
        os.write(self.terminal, key)

    def exit_code(self):
        """None if it goes on, or was ended by a signal."""
        self.wait_for("never said", END_SECONDS)
        ended = eventually(lambda: os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG))
        return ended.si_status if ended and ended.si_code == os.CLD_EXITED else None

    def processes(self, name=""):
        """Pids of all that it started, or of those of this name."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (process / "environ").read_bytes() and name in (process / "comm").read_text():
                    yield int(process.name)

    def kill(self, name=""):
        for pid in self.processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def counted():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    text = opener.open(f"http://localhost:{port}/api/metrics", timeout=30).read().decode()
    return sum(float(value) for value in re.findall(r"^mastercrm_http_requests_total\{.*\} (\S+)$", text, re.M))


class Keep(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.kill)
        self.assertTrue(self.demo.wait_for("demo: building", 60), self.demo.said)
        application = eventually(lambda: next(self.demo.processes("mastercrm"), None), BUILD_SECONDS, pause=0.01)
        self.assertTrue(application, self.demo.said)
        command = pathlib.Path(f"/proc/{application}/cmdline").read_text().split("\0")
        self.folder = pathlib.Path(command[command.index("--segment") + 1]).parent
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.assertTrue(self.folder.is_dir())

    def wait_until_it_goes_on(self):
        self.assertTrue(self.demo.wait_for(r"demo: running under load(?s:.*)kill -9 \d+", 300), self.demo.said)

    def assert_nothing_is_left(self):
        self.assertEqual([], list(self.demo.processes()))
        self.assertFalse(self.folder.exists())

    def test_ctrl_c_leaves_nothing_while_the_programs_start(self):
        self.demo.press(CTRL_C)
        self.assertEqual(130, self.demo.exit_code(), self.demo.said)
        self.assert_nothing_is_left()

    def test_goes_on_under_load_until_ctrl_c(self):
        self.wait_until_it_goes_on()
        before = counted()
        self.assertTrue(eventually(lambda: counted() > before + 100))
        self.demo.press(CTRL_C)
        self.assertEqual(0, self.demo.exit_code(), self.demo.said)
        self.assert_nothing_is_left()

    def test_ends_when_its_load_fails(self):
        self.wait_until_it_goes_on()
        self.assertTrue(eventually(lambda: any(self.demo.processes("load_generator"))))
        self.demo.kill("load_generator")
        self.assertEqual(1, self.demo.exit_code(), self.demo.said)
        self.assertIn("demo: a program ended:", self.demo.said)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    port = sys.argv[1]
    unittest.main(argv=sys.argv[:1])

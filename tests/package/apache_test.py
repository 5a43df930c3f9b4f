"""Apache prefork with the module of examples/apache: recycled children, kill -9 at random, and no answer uncounted.

usage: apache_test.py MODULE DIRECTORY_OF_PROGRAMS [SECONDS]
"""
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

APACHE = "/usr/sbin/apache2"
MODULES = pathlib.Path("/usr/lib/apache2/modules")
CHILDREN = 6
CONFIGURATION = """
ServerRoot "{root}"
ServerName localhost
Listen 127.0.0.1:{port}
PidFile "{root}/pid"
ErrorLog "{root}/error.log"
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule shmetrics_module {module}
User {user}
Group {group}
DocumentRoot "{root}/htdocs"
AliasMatch "^/users/" "{root}/htdocs/index.html"
StartServers {children}
MinSpareServers {children}
MaxSpareServers {children}
MaxRequestWorkers {children}
MaxConnectionsPerChild 20
KeepAlive On
MaxKeepAliveRequests 10
ShmetricsSegment "{root}/metrics.seg"
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


class Apache:
    def __init__(self, module, root):
        self.root, self.port = root, free_port()
        root.chmod(0o755)
        (root / "htdocs").mkdir()
        (root / "htdocs/index.html").write_text("hello\n")
        is_root = os.geteuid() == 0
        user, group = ("www-data", "www-data") if is_root else (f"#{os.geteuid()}", f"#{os.getegid()}")
        (root / "apache.conf").write_text(CONFIGURATION.format(
            root=root, port=self.port, modules=MODULES, module=module, children=CHILDREN, user=user, group=group))
        self.process = subprocess.Popen([APACHE, "-f", root / "apache.conf", "-D", "FOREGROUND"],
                                        start_new_session=True)  # its end signals its whole process group
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("apache does not listen: " + self.log())
            time.sleep(0.05)

    def log(self):
        path = self.root / "error.log"
        return path.read_text() if path.exists() else ""

    def children(self):
        """Those that run: who has ended and is not reaped yet cannot be killed."""
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in path.read_text().split() if runs(pid)}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)


def exposed(programs, root):
    text = subprocess.run([programs / "shmetrics", "dump", "--format", "text", root / "metrics.seg"],
                          capture_output=True, text=True, check=True).stdout
    counted = sum(int(value) for value in re.findall(r"^apache_http_requests_total\{.*\} (\d+)$", text, re.MULTILINE))
    return counted, text


def load_with_kills(apache, command, seconds):
    """Runs the load while children are killed at random. Returns its output, the number of kills, and how many children
    at least have ended by themselves."""
    seen, killed = apache.children(), set()
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + seconds - 1
    while time.monotonic() < end:
        time.sleep(random.uniform(0.05, 0.4))
        victims = apache.children()
        seen |= victims
        if victims:
            victim = random.choice(list(victims))
            try:
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
            except ProcessLookupError:
                pass  # recycled in between
    output, _ = load.communicate(timeout=60)
    return output, len(killed), len(seen - killed - apache.children())


def check(claim, text):
    if not claim:
        sys.exit("apache_test: " + text)


def main(module, programs, seconds):
    root = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    apache = Apache(module, root)
    try:
        output, kills, recycled = load_with_kills(apache, [
            programs / "load_generator", "--port", str(apache.port), "--connections", "16", "--seconds", str(seconds)],
            seconds)
        acknowledged = int(re.search(r"^requests sent (\d+)$", output, re.MULTILINE).group(1))  # and answered
        counted, text = exposed(programs, root)
        print(f"load_generator: {acknowledged} answered, {kills} kills, {recycled} recycled: counted {counted}")
        check(acknowledged > 0 and kills > 0 and recycled > 0, "nothing happened: " + apache.log())
        check(acknowledged <= counted <= acknowledged + kills, "answers and counts differ")
        check('route="/users/:id"' in text and 'status_code="404"' in text, text)
        check("apache_http_request_duration_seconds_count" in text, text)

        connections = 16
        output, kills, recycled = load_with_kills(apache, [
            "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{apache.port}/"], seconds)
        answered = int(re.search(r"(\d+) requests in", output).group(1))
        rate = re.search(r"Requests/sec: +([\d.]+)", output).group(1)
        more, _ = exposed(programs, root)
        print(f"wrk: {answered} answered, {rate} a second, {kills} kills, {recycled} recycled: "
              f"counted {more - counted}")
        check(answered > 0 and kills > 0 and recycled > 0, "nothing happened: " + apache.log())
        # wrk leaves the last request of each connection unread.
        check(answered <= more - counted <= answered + kills + connections, "wrk and counts differ:\n" + output)

        report = subprocess.run([programs / "shmetrics", "check", root / "metrics.seg"],
                                capture_output=True, text=True, check=False)
        check(report.returncode == 0, report.stdout + report.stderr)
        table = subprocess.run([programs / "shmetrics", "dump", "--workers", root / "metrics.seg"],
                               capture_output=True, text=True, check=True).stdout
        check("shmetrics:" not in apache.log(), apache.log())
        print(f"worker entries after all that: {len(re.findall(r'^ *[0-9]+ +(?:live|dead|released)', table, re.M))}")
    finally:
        apache.stop()
        shutil.rmtree(root)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 10)

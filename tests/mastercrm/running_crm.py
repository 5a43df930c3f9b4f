"""MasterCRM with its fake upstream and an exporter, on free ports, for tests. Standard library only.

    with RunningCrm(bin_directory, folder) as crm:
        measured = crm.load(10, rate=100)          # {"answered": ..., "rate": ..., "error_rate": ..., "p95": ...}
        crm.upstream(llm_status=500)               # every tenth request is a 502 from now on
        crm.pause_queue(); crm.start_campaign(1500)  # a backlog, until resume_queue()
        text = crm.scrape()
"""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/mastercrm"
START_SECONDS = 30
REQUESTS_OF_A_MIX = 1000

# Nothing here leaves this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def eventually(condition, seconds=START_SECONDS, pause=0.05):
    """The first truthy value of condition(); its last value when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(pause)


class Program:
    """A process in the background; its output goes to a file. Terminated by stop()."""

    def __init__(self, log, command, env=None):
        self.log = pathlib.Path(log)
        with self.log.open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, env=env)

    def wait_for(self, pattern):
        def said():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.process.args[0]} ended: {self.log.read_text()[-2000:]}")
            return re.search(pattern, self.log.read_text())
        found = eventually(said)
        if not found:
            raise RuntimeError(f"{self.process.args[0]} never said {pattern}: {self.log.read_text()[-2000:]}")
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                return self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


class RunningCrm:
    token = "token-of-the-tests-of-mastercrm"

    def __init__(self, bin_directory, folder, workers=2, queue_workers=2):
        self.bin = pathlib.Path(bin_directory).resolve()
        self.folder = pathlib.Path(folder)
        self.workers_wanted = workers
        self.queue_workers_wanted = queue_workers
        self.segment = self.folder / "crm.seg"
        self.programs = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        upstream = self._run("upstream", [sys.executable, EXAMPLE / "fake_upstream.py", "0"])
        self.upstream_port = int(upstream.wait_for(r"serves http://127\.0\.0\.1:(\d+)/").group(1))
        self.app = self._run("mastercrm", [
            self.bin / "mastercrm", "--port", "0", "--workers", str(self.workers_wanted), "--queue-workers",
            str(self.queue_workers_wanted), "--upstream-port", str(self.upstream_port), "--segment", self.segment,
            "--database", self.folder / "crm.db"])
        self.app_port = int(self.app.wait_for(r"serves http://127\.0\.0\.1:(\d+)/").group(1))
        self.exporter = self._run("exporter", [
            self.bin / "shmetrics-exporter", "--segment", self.segment, "--web.listen-address", "127.0.0.1:0"],
            {**os.environ, "METRICS_TOKEN": self.token})
        self.exporter_port = int(self.exporter.wait_for(r"listening.*127\.0\.0\.1:(\d+)").group(1))
        if not eventually(lambda: "mastercrm_queue_size{" in self.scrape()):
            raise RuntimeError("the application does not count: " + self.app.log.read_text())

    def stop(self):
        """All of it, the application before what it calls. The application's exit status."""
        status = None
        for program in reversed(self.programs):
            ended = program.stop()
            status = ended if program is getattr(self, "app", None) else status
        self.programs = []
        return status

    def _run(self, name, command, env=None):
        self.programs.append(Program(self.folder / f"{name}.log", [str(word) for word in command], env))
        return self.programs[-1]

    def start_load(self, seconds, rate=None, connections=16, websockets=2, mix=EXAMPLE / "load.txt"):
        command = [self.bin / "load_generator", "--json", "--port", self.app_port, "--seconds", seconds,
                   "--connections", connections, "--websockets", websockets, "--mix", mix]
        command += ["--rate", rate] if rate else []
        return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)

    @staticmethod
    def finish_load(load):
        output, _ = load.communicate()
        if load.returncode != 0:
            raise RuntimeError("the load generator failed")
        return json.loads(output)

    def load(self, seconds, **what):
        """What the load generator measured; `what` as for start_load()."""
        return self.finish_load(self.start_load(seconds, **what))

    def load_all_of_the_mix(self, seconds=3, **what):
        """(when it began, what it measured) of a load so long that each line of the mix was asked for. Each begins at
        the first line, so short ones do not add up."""
        while True:
            begin = time.time()
            measured = self.load(seconds, **what)
            if measured["answered"] >= REQUESTS_OF_A_MIX:
                return begin, measured
            seconds *= 2

    def post(self, target, body, port=None):
        """(status, JSON) of a POST to the application."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.app_port, timeout=30)
        try:
            connection.request("POST", target, json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read() or "{}")
        finally:
            connection.close()

    def upstream(self, **behaviour):
        """Changes what the fake upstream does: llm_status, llm_seconds, hook_status, hook_seconds."""
        return self.post("/control", behaviour, self.upstream_port)[1]

    def start_campaign(self, recipients):
        """A job for each recipient."""
        return self.post("/campaigns", {"company": "3", "campaign_type": "newsletter", "channel": "email",
                                        "recipients": recipients, "text": "News"})

    def pids(self, name):
        """Of the application's processes that are called crm-worker, crm-queue or crm-housekeeper."""
        children = pathlib.Path(f"/proc/{self.app.process.pid}/task/{self.app.process.pid}/children")
        found = []
        for pid in children.read_text().split():
            try:
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    found.append(int(pid))
            except FileNotFoundError:
                pass  # gone in between
        return found

    def pause_queue(self):
        for pid in self.pids("crm-queue"):
            os.kill(pid, signal.SIGSTOP)

    def resume_queue(self):
        for pid in self.pids("crm-queue"):
            os.kill(pid, signal.SIGCONT)

    def scrape(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.exporter_port}/api/metrics",
                                         headers={"Authorization": f"Bearer {self.token}"})
        with _opener.open(request, timeout=30) as response:
            return response.read().decode()

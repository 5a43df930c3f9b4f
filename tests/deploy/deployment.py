"""A copy of deploy/ to work on, and a real Prometheus that runs with its files."""
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
sys.path.insert(0, str(ROOT / "tests/mastercrm"))
import guide  # noqa: E402

START_SECONDS = 30

# Nothing here leaves this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def guide_block(heading, language):
    """The first block of that language below a heading of the guide."""
    below = guide.TEXT[guide.TEXT.index(f" {heading}\n"):]
    return re.search(rf"^```{language}\n(.*?)^```", below, re.MULTILINE | re.DOTALL).group(1)


def read_yaml(path):
    return yaml.safe_load((DEPLOY / path).read_text())


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what, seconds):
    """The first answer of `what` that is true, or its last."""
    deadline = time.monotonic() + seconds
    while not (answer := what()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def copy_with_secrets(folder, secret="a-token-of-32-characters-or-more"):
    """A copy of deploy/ in which every file of a token or password that a configuration names exists."""
    copy = pathlib.Path(folder) / "deploy"
    shutil.copytree(DEPLOY, copy)
    for path in copy.rglob("*.yml"):
        text = re.sub("/(run/secrets|etc/prometheus)/", f"{path.parent}/", path.read_text())
        for name in re.findall(r"(?:credentials|password)_file: ([^\s,}]+)", text):
            (path.parent / name).parent.mkdir(exist_ok=True)
            (path.parent / name).write_text(secret)
        path.write_text(text)
    return copy


def fetch(port, token, **headers):
    """One scrape of an exporter, as text 0.0.4 unless `headers` say otherwise."""
    return ask(f"http://127.0.0.1:{port}/api/metrics", Authorization=f"Bearer {token}", **headers).decode()


def ask(url, **headers):
    with _opener.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.read()


def as_user(user):
    """What goes before a command that another user runs: the number of the user, and of his group."""
    return [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


class RunningPrometheus:
    """`prometheus` on a port of its own until the block ends; its data is in a new folder beside the configuration."""

    def __init__(self, config, *flags, agent=False, headers=None):
        self.config = pathlib.Path(config)
        self.port, self.headers = free_port(), headers or {}
        data = self.config.with_name(f"data-{self.port}")
        storage = ["--enable-feature=agent", f"--storage.agent.path={data}"] if agent else [
            f"--storage.tsdb.path={data}"]
        self.log = data.with_suffix(".log")
        self.command = ["prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{self.port}",
                        *storage, *flags]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        if not eventually(self.is_ready, START_SECONDS):
            self.stop()
            raise RuntimeError(f"prometheus does not start:\n{self.log.read_text()}")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def is_ready(self):
        try:
            return bool(self.text("/-/ready"))
        except OSError:
            return False

    def text(self, path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters, doseq=True) if parameters else ""
        return ask(f"http://127.0.0.1:{self.port}{path}{query}", **self.headers).decode()

    def api(self, path, **parameters):
        return json.loads(self.text(f"/api/v1/{path}", **parameters))["data"]

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        answer = self.api("query", query=expression)
        return [(sample["metric"], float(sample["value"][1])) for sample in answer["result"]]

    def number(self, expression):
        """The one value of an expression, or None."""
        samples = self.query(expression)
        return samples[0][1] if len(samples) == 1 else None

    def firing(self):
        """Names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self.api("alerts")["alerts"] if alert["state"] == "firing"}


class RunningExporter:
    """The exporter that was built, on a port of its own, as it runs in production: with a token and no bypass."""

    def __init__(self, programs, segment, *flags, token="a-token-of-32-characters-or-more", user=None):
        self.port, self.token = free_port(), token
        self.process = subprocess.Popen(
            [*as_user(user), programs / "shmetrics-exporter", f"--segment={segment}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--no-web.localhost-bypass", *flags],
            stderr=subprocess.DEVNULL, env={"METRICS_TOKEN": self.token, "PATH": "/usr/bin:/bin"})

    def __enter__(self):
        if not eventually(self.is_ready, START_SECONDS):
            self.__exit__()
            raise RuntimeError("the exporter does not start")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def is_ready(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

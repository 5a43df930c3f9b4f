"""A copy of deploy/ to work on, and a real Prometheus that runs with its files."""
import json
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
GUIDE = (ROOT / "tests/mastercrm/metrics-guide.md").read_text()
START_SECONDS = 30

# Nothing here leaves this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def guide_block(heading, language):
    """The first block of that language below a heading of the guide."""
    return blocks(GUIDE[GUIDE.index(f" {heading}\n"):], language)[0]


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


def fetch(port, token):
    """One scrape of an exporter."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/metrics",
                                     headers={"Authorization": f"Bearer {token}"})
    with _opener.open(request, timeout=10) as answer:
        return answer.read().decode()


class RunningPrometheus:
    """`prometheus` on a port of its own until the block ends; its data is in a new folder beside the configuration."""

    def __init__(self, config, *flags, agent=False):
        self.config = pathlib.Path(config)
        self.port = free_port()
        data = self.config.with_name(f"data-{self.port}")
        storage = ["--enable-feature=agent", f"--storage.agent.path={data}"] if agent else [
            f"--storage.tsdb.path={data}"]
        self.log = data.with_suffix(".log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{self.port}", *storage,
                 *flags], stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self):
        if not eventually(self.is_ready, START_SECONDS):
            self.__exit__()
            raise RuntimeError(f"prometheus does not start:\n{self.log.read_text()}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def is_ready(self):
        """Also when it wants a password, which it tells only when it listens."""
        try:
            return self.text("/-/ready") is not None
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False

    def text(self, path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters, doseq=True) if parameters else ""
        with _opener.open(f"http://127.0.0.1:{self.port}{path}{query}", timeout=10) as answer:
            return answer.read().decode()

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

    def __init__(self, programs, segment, *flags):
        self.port, self.token = free_port(), "a-token-of-32-characters-or-more"
        self.process = subprocess.Popen(
            [programs / "shmetrics-exporter", f"--segment={segment}", f"--web.listen-address=127.0.0.1:{self.port}",
             "--no-web.localhost-bypass", *flags], stderr=subprocess.DEVNULL,
            env={"METRICS_TOKEN": self.token, "PATH": "/usr/bin:/bin"})

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

"""What the scripts need to drive the programs: run one to its end, keep an exporter running, speak HTTP to it."""
import contextlib
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

TOKEN = "correct-horse-battery-staple"
TIMEOUT_SECONDS = 30


class Programs:
    """Where they are; set by the script that is run."""
    exporter = shmetrics = worker = None


def clean_environment(**more):
    kept = {name: value for name, value in os.environ.items() if name not in ("METRICS_TOKEN", "SHMETRICS_SEGMENT")}
    return {**kept, **more}


def run(program, *arguments, **options):
    """Ends after TIMEOUT_SECONDS at the latest, as a failure."""
    options.setdefault("env", clean_environment())
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([program, *arguments], text=True, timeout=TIMEOUT_SECONDS, check=False, **options)


def folder():
    """A directory of its own on tmpfs."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir=place)


def flags_of(help_text):
    """("[no-]" or nothing, name) of every long flag that a --help names."""
    return set(re.findall(r"^\s+(?:-\w, ?)?--(\[no-\])?([a-z][\w.-]*)", help_text, re.MULTILINE))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@contextlib.contextmanager
def worker(segment, *arguments):
    """A live worker of a segment; its process, which ends in order with the block unless it was killed."""
    process = subprocess.Popen([Programs.worker, segment, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, env=clean_environment())
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(TIMEOUT_SECONDS)
        process.stdout.close()


class Exporter:
    """A running exporter that listens on a unix socket in `directory`, and on what the flags say beside it. `more`: of
    its environment."""

    def __init__(self, directory, *flags, token=TOKEN, segment=None, **more):
        self.socket = directory + "/exporter.sock"
        self.log_path = directory + "/exporter.log"
        segments = [] if segment is None else ["--segment", segment]
        command = [Programs.exporter, *segments, "--web.listen-address", "unix:" + self.socket, *flags]
        environment = clean_environment(**({"METRICS_TOKEN": token} if token else {}), **more)
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)

    def __enter__(self):
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.get("/-/healthy")
                return self
            time.sleep(0.01)
        raise AssertionError("the exporter does not start: " + self.log())

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(TIMEOUT_SECONDS)
        self.process.stdout.close()

    def log(self):
        return pathlib.Path(self.log_path).read_text()

    def get(self, target, headers=None, method="GET"):
        """The response with its body in `text`; `headers` may name one more than once, as pairs."""
        connection = UnixConnection(self.socket)
        try:
            connection.putrequest(method, target)
            for name, value in headers or ():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            response.text = response.read().decode()
            return response
        finally:
            connection.close()

    def raw(self, request):
        """What comes back for these bytes until the exporter closes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(TIMEOUT_SECONDS)
            peer.connect(self.socket)
            peer.sendall(request)
            answer = b""
            while chunk := peer.recv(65536):
                answer += chunk
            return answer

    def scrape(self):
        return self.get("/metrics", [("Authorization", "Bearer " + TOKEN)]).text

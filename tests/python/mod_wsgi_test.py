"""mod_wsgi in Apache, in its daemons and in Apache's own children: each answer is counted over graceful restarts and
recycled processes. Apache's children that end so are no deaths; kill -9 is one.

usage: mod_wsgi_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS; skipped where it is not installed
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import unittest

import gunicorn_test
import segments

APACHE = "/usr/sbin/apache2"
MODULES = pathlib.Path("/usr/lib/apache2/modules")
CONFIGURATION = """
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
Listen 127.0.0.1:{port}
ServerName localhost
ServerRoot "{root}"
ErrorLog "{root}/error.log"
PidFile "{root}/pid"
User {user}
Group {group}
StartServers 3
MaxRequestWorkers 6
MaxConnectionsPerChild {connections}
WSGISocketPrefix "{root}/wsgi"
WSGIPythonPath "{path}"
WSGIScriptAlias / "{root}/application.wsgi"
<Directory "{root}">
  Require all granted
</Directory>
"""
DAEMONS = """
WSGIDaemonProcess counting processes=3 threads=2 python-path="{path}"
WSGIProcessGroup counting
"""


class Apache(gunicorn_test.Server):
    def __init__(self, test, segment, daemons):
        root = segment.parent
        root.chmod(0o755)
        user, group = ("www-data", "www-data") if os.geteuid() == 0 else (f"#{os.geteuid()}", f"#{os.getegid()}")
        if os.geteuid() == 0:
            shutil.chown(root, user, group)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        self.log = root / "error.log"
        path = f"{segments.PACKAGE}:{gunicorn_test.APPLICATION}"
        (root / "application.wsgi").write_text("from gunicorn_app import app as application\n")
        (root / "apache.conf").write_text((CONFIGURATION + (DAEMONS if daemons else "")).format(
            root=root, port=self.address[1], modules=MODULES, user=user, group=group, path=path,
            connections=0 if daemons else 60))
        environment = {**segments.ENVIRONMENT, "SHMETRICS_SEGMENT": str(segment), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen([APACHE, "-f", root / "apache.conf", "-D", "FOREGROUND"], env=environment,
                                        start_new_session=True)  # its end signals its whole process group
        test.addCleanup(self.stop)
        deadline = time.monotonic() + 30
        while not self.is_answered() and time.monotonic() < deadline:
            time.sleep(0.05)


@unittest.skipUnless((MODULES / "mod_wsgi.so").exists(), "NOT TESTED: no mod_wsgi here")
class PythonModWsgi(gunicorn_test.Served):
    def each_answer_is_counted_over_restarts(self, daemons):
        segment = segments.new_directory() / "wsgi.seg"
        server = Apache(self, segment, daemons)
        self.assertTrue(server.is_answered(), server.log.read_text())
        exporter = segments.exporter_of(self, segment)
        before = server.metrics()[gunicorn_test.COUNTER]
        answered = failed = 0
        for _ in range(3):
            server.process.send_signal(signal.SIGUSR1)
            answers, _ = self.load(server, answers=150, kills=0)
            answered += answers.count(True)
            failed += answers.count(False)  # Apache has no daemon at hand for a moment
        self.assertGreater(sum(worker["adopted"] for worker in segments.workers(segment)), 3)
        shown = server.metrics()[gunicorn_test.COUNTER]
        self.assertLessEqual(before + answered, shown)
        self.assertLessEqual(shown, before + answered + failed)
        self.assertEqual(shown, segments.exported(exporter, "app_http_requests")[gunicorn_test.COUNTER])
        return server, segment, exporter

    def test_children_of_apache_that_are_restarted_and_recycled_are_no_deaths(self):
        server, segment, exporter = self.each_answer_is_counted_over_restarts(daemons=False)
        self.assertEqual(0, segments.deaths(exporter), server.log.read_text())
        live = {worker["pid"] for worker in segments.workers(segment) if worker["state"] == "live"}
        os.kill(min(live), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while segments.deaths(exporter) == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(1, segments.deaths(exporter))

    def test_daemons_that_are_restarted_count_each_answer(self):
        # Apache kills daemons of mod_wsgi 4.9 that have served several at once 3 s after a restart, by SIGKILL and
        # whatever they run: these are deaths.
        self.each_answer_is_counted_over_restarts(daemons=True)


if __name__ == "__main__":
    unittest.main()

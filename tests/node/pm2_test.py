"""pm2's cluster mode: four processes, reloaded and killed, and any of them answers for all.

usage: pm2_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import node

node.skip_without("prom-client")
from middleware_test import npm  # noqa: E402
from node import deaths_in, free_port, get  # noqa: E402
from segments import new_directory, samples, samples_of  # noqa: E402

APP = """
const http = require('http');
const client = require('prom-client');
const requests = new client.Counter({ name: 'app_requests_total', help: 'Requests' });
http.createServer(async (request, response) => {
  if (request.url === '/metrics') return response.end(await client.register.metrics());
  requests.inc();
  return response.end(String(process.pid));
}).listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGINT', () => process.exit());
"""


class NodePm2(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.app, self.segment, self.port = pathlib.Path(directory.name), new_directory() / "test.seg", free_port()
        (self.app / "package.json").write_text(json.dumps({"private": True, "dependencies": {"pm2": "7.0.4"}}))
        done = npm(self.app, "install", "--prefer-offline")
        if done.returncode != 0:
            self.skipTest("npm did not bring pm2: " + done.stderr[-300:])
        (self.app / "app.js").write_text(APP)
        self.addCleanup(self.pm2, "kill")

    def pm2(self, *arguments):
        environment = node.environment(self.segment, PORT=str(self.port), PM2_HOME=str(self.app / "home"))
        subprocess.run(["node_modules/.bin/pm2", *arguments], cwd=self.app, env=environment, check=True, timeout=120,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def answer(self, wanted):
        """Requests, until `wanted` processes have answered; returns who has, and how many were answered."""
        pids, answered = set(), 0
        for _ in range(300):
            answer = get(self.port, "/", 5)
            if answer is None:
                time.sleep(0.1)
                continue
            answered += 1
            pids.add(int(answer))
            if len(pids) == wanted:
                break
        return pids, answered

    def test_reloaded_and_killed_processes_lose_nothing_and_only_a_kill_is_a_death(self):
        self.pm2("start", "app.js", "-i", "4", "--node-args", "-r @shmetrics/prom-client/register")
        before, first = self.answer(4)
        self.assertEqual(len(before), 4)
        self.pm2("reload", "app")
        after, second = self.answer(4)
        self.assertFalse(before & after)
        self.assertEqual(deaths_in(self.segment), 0)
        os.kill(min(after), signal.SIGKILL)
        time.sleep(1)
        _, third = self.answer(4)
        answered = first + second + third
        for _ in range(4):
            page = samples_of(get(self.port, "/metrics"))
            self.assertEqual(page, {"app_requests_total": answered})
        self.assertEqual(samples(self.segment), page)
        self.assertEqual(deaths_in(self.segment), 1)


if __name__ == "__main__":
    if not shutil.which("npm"):
        print("skipped: npm is not here")
        sys.exit(77)
    unittest.main()

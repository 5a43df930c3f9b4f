"""The package from its tarball: installed without a network and without scripts, and below middleware from npm.

usage: middleware_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import urllib.request

import node

node.skip_without("prom-client")
from node import free_port  # noqa: E402
from segments import new_directory, samples, samples_of  # noqa: E402

PAGE = (node.HERE.parent.parent / "docs" / "node.md").read_text()
BUNDLE = {"express": "4.21.2", "express-prom-bundle": "8.0.0"}
BUNDLE_APP = """
const app = require('express')();
app.use(require('express-prom-bundle')({ includeMethod: true, includePath: true, customLabels: { app: 'shop' } }));
app.get('/hello', (request, response) => response.send(String(process.pid)));
app.listen(Number(process.env.PORT), '127.0.0.1');
"""
FASTIFY = {"fastify": "5.12.8", "fastify-metrics": "13.2.1"}
FASTIFY_APP = """
const app = require('fastify')();
app.register(require('fastify-metrics'), { endpoint: '/metrics', defaultMetrics: { enabled: false } });
app.after(() => app.get('/hello', async () => String(process.pid)));
app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
"""
NEST = {"@nestjs/core": "10.4.22", "@nestjs/common": "10.4.22", "@nestjs/platform-express": "10.4.22",
        "reflect-metadata": "0.2.2", "rxjs": "7.8.2", "@willsoto/nestjs-prometheus": "6.1.1"}
NEST_APP = """
require('reflect-metadata');
const { NestFactory } = require('@nestjs/core');
const { Module } = require('@nestjs/common');
const { PrometheusModule, makeCounterProvider, getToken } = require('@willsoto/nestjs-prometheus');
class AppModule {}
Module({
  imports: [PrometheusModule.register({ defaultMetrics: { enabled: false } })],
  providers: [makeCounterProvider({ name: 'hello_count_total', help: 'Hello', labelNames: ['path'] })],
})(AppModule);
NestFactory.create(AppModule, { logger: false }).then(app => {
  app.use('/hello', (request, response) => {
    app.get(getToken('hello_count_total')).inc({ path: '/hello' });
    response.end(String(process.pid));
  });
  return app.listen(Number(process.env.PORT), '127.0.0.1');
});
"""


def npm(directory, *arguments):
    return subprocess.run(["npm", *arguments, "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"],
                          cwd=directory, capture_output=True, text=True, timeout=250)


def pack(source, directory):
    done = npm(directory, "pack", str(source))
    assert done.returncode == 0, done.stderr
    return directory / done.stdout.split()[-1]


def tarball_of(peer, directory):
    """npm 9 does not pack what is installed: it runs the script `prepare`, which is for the source."""
    path = directory / (peer.name + ".tgz")
    with tarfile.open(path, "w:gz") as tar:
        tar.add(peer, "package")
    return path


class NodePackage(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.app = pathlib.Path(directory.name)
        self.tarball = pack(node.MODULES / "@shmetrics" / "prom-client", self.app)
        self.segment = new_directory() / "test.seg"

    def environment(self, **more):
        found = node.environment(self.segment, **more)
        del found["NODE_PATH"]
        return found

    def test_the_tarballs_are_installed_without_a_network_and_without_scripts(self):
        peers = [tarball_of(node.PEERS / name, self.app) for name in ("prom-client", "tdigest", "bintrees",
                                                                      "@opentelemetry/api")]
        done = npm(self.app, "install", "--offline", str(self.tarball), *map(str, peers))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.count_by("const { Counter } = require('@shmetrics/prom-client');")

    def test_the_commands_of_the_page_make_and_install_the_package(self):
        lines = re.search("^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL).group(1).splitlines()
        self.assertEqual([line.split()[:2] for line in lines[1:]], [["npm", "pack"], ["npm", "install"]])
        for line in lines[1:]:
            words = line.replace("./build/release/node/node_modules", str(node.MODULES)).split()[1:]
            done = npm(self.app, *words, "--prefer-offline")
            if done.returncode != 0 and "npm error network" in done.stderr:
                self.skipTest("npm did not bring prom-client: " + done.stderr[-300:])
            self.assertEqual(done.returncode, 0, done.stderr)
        self.count_by("const { Counter } = require('@shmetrics/prom-client');")

    def count_by(self, requirement):
        subprocess.run([node.NODE, "-e", requirement + "new Counter({ name: 'packed_total', help: 'Packed' }).inc(3)"],
                       cwd=self.app, env=self.environment(), check=True, timeout=60)
        self.assertEqual(samples(self.segment), {"packed_total": 3})

    def install(self, dependencies, **more):
        (self.app / "package.json").write_text(json.dumps({"private": True, "dependencies": dependencies, **more}))
        done = npm(self.app, "install", "--prefer-offline")
        if done.returncode != 0:
            self.skipTest("npm did not bring the middleware: " + done.stderr[-300:])

    def test_types_are_those_of_the_peer_and_ours(self):
        for peer, version in (("prom-client", "15.1.3"), ("@prometheus-io/client", "0.16.1")):
            with self.subTest(peer):
                self.install({"typescript": "5.9.3", "@types/node": "20", peer: version,
                              "@shmetrics/prom-client": f"file:{self.tarball}"})
                shutil.copy(node.HERE / "typed_program.ts", self.app)
                done = subprocess.run(["node_modules/.bin/tsc", "--noEmit", "--strict", "--module", "node16",
                                       "--moduleResolution", "node16", "typed_program.ts"],
                                      cwd=self.app, capture_output=True, text=True, timeout=200)
                self.assertEqual((done.returncode, done.stdout), (0, ""))

    def serve_and_compare(self, program, *flags):
        (self.app / "app.js").write_text("const cluster = require('cluster');\n" +
                                         "if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }\n" +
                                         "else {" + program + "}")
        port = free_port()
        with subprocess.Popen([node.NODE, *flags, "app.js"], cwd=self.app, env=self.environment(PORT=str(port)),
                              stderr=subprocess.PIPE, text=True) as server:
            try:
                self.compare(f"http://127.0.0.1:{port}")
            finally:
                server.terminate()

    def compare(self, address):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def get(path):
            request = urllib.request.Request(address + path, headers={"Connection": "close"})
            return opener.open(request, timeout=20).read().decode()

        for _ in range(200):
            try:
                get("/hello")
                break
            except OSError:
                time.sleep(0.1)
        asked, answered = 1, set()
        while asked < 1000 and (asked < 40 or len(answered) < 2):  # one may start much later
            answered.add(get("/hello"))
            asked += 1
        self.assertEqual(len(answered), 2, "both workers have answered")
        for _ in range(4):
            page, shown = ({name: value for name, value in found.items() if "/metrics" not in name}
                           for found in (samples_of(get("/metrics")), samples(self.segment)))
            self.assertEqual(page, shown)
            of_hello = {value for name, value in page.items() if "count" in name and "/hello" in name}
            self.assertEqual(of_hello, {asked})

    def test_middleware_by_r_shows_what_the_exporter_shows_from_either_worker(self):
        for name, packages, program in (("express-prom-bundle", BUNDLE, BUNDLE_APP), ("fastify", FASTIFY, FASTIFY_APP),
                                        ("nest", NEST, NEST_APP)):
            with self.subTest(name):
                self.segment = new_directory() / "test.seg"
                self.install({**packages, "prom-client": "15.1.3", "@shmetrics/prom-client": f"file:{self.tarball}"})
                self.serve_and_compare(program, "-r", "@shmetrics/prom-client/register")

    def test_middleware_by_an_alias_shows_what_the_exporter_shows_from_either_worker(self):
        alias = re.search("```json\n(.*?)```", PAGE, re.DOTALL).group(1)
        wanted = json.loads(alias.replace("file:shmetrics-prom-client-15.1.0.tgz", f"file:{self.tarball}"))
        for name, packages, program in (("express-prom-bundle", BUNDLE, BUNDLE_APP), ("fastify", FASTIFY, FASTIFY_APP)):
            with self.subTest(name):
                self.segment = new_directory() / "test.seg"
                self.install({**packages, **wanted["dependencies"]}, overrides=wanted["overrides"])
                self.serve_and_compare(program)


if __name__ == "__main__":
    if not shutil.which("npm"):
        print("skipped: npm is not here")
        sys.exit(77)
    unittest.main()

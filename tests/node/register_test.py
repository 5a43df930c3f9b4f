"""Who asks for prom-client gets this package: by node -r, by --import, and by an alias of npm.

usage: register_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import pathlib
import subprocess
import tempfile
import unittest

import node

node.skip_without("prom-client")
from segments import new_directory, samples, samples_of  # noqa: E402

REQUIRED = """const { Counter, register } = require('prom-client');
new Counter({ name: 'asked_total', help: 'Asked' }).inc(%d);
exports.register = register;
"""
IMPORTED = """import { Counter, register } from 'prom-client';
import '%s';
new Counter({ name: 'imported_total', help: 'Imported' }).inc(4);
console.log(await register.metrics());
"""


class NodeRegister(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.app = pathlib.Path(directory.name)
        self.segment = new_directory() / "test.seg"
        self.write("program.mjs", IMPORTED % "./middleware.js")
        self.write("middleware.js", REQUIRED % 2)

    def write(self, name, text):
        (self.app / name).parent.mkdir(parents=True, exist_ok=True)
        (self.app / name).write_text(text)

    def install(self, name, source):
        target = self.app / "node_modules" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)

    def run_program(self, *flags):
        done = subprocess.run([node.NODE, *flags, "program.mjs"], env=node.environment(self.segment), text=True,
                              cwd=self.app, capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return samples_of(done.stdout)

    def test_by_r_and_by_import_who_requires_or_imports_prom_client_gets_the_package(self):
        self.install("prom-client", node.PEERS / "prom-client")
        self.install("@shmetrics", node.MODULES / "@shmetrics")
        for times, flag in enumerate(("-r", "--import"), start=1):
            with self.subTest(flag):
                self.assertEqual(self.run_program(flag, "@shmetrics/prom-client/register"),
                                 {"asked_total": 2 * times, "imported_total": 4 * times})
        self.assertEqual(samples(self.segment), {"asked_total": 4, "imported_total": 8})

    def test_without_it_prom_client_is_prom_client(self):
        self.install("prom-client", node.PEERS / "prom-client")
        self.assertEqual(self.run_program(), {"asked_total": 2, "imported_total": 4})
        self.assertFalse(self.segment.exists())

    def test_a_copy_of_prom_client_within_middleware_is_replaced_too(self):
        self.install("prom-client", node.PEERS / "prom-client")
        self.install("@shmetrics", node.MODULES / "@shmetrics")
        self.write("inner/node_modules/prom-client/index.js", "throw new Error('the copy was loaded');")
        self.write("inner/index.js", REQUIRED % 3)
        self.write("program.mjs", IMPORTED % "./inner/index.js")
        self.assertEqual(self.run_program("-r", "@shmetrics/prom-client/register"),
                         {"asked_total": 3, "imported_total": 4})

    def test_under_an_alias_of_npm_the_real_one_is_prom_client_original(self):
        target = self.app / "node_modules" / "prom-client"
        target.parent.mkdir(parents=True)
        subprocess.run(["cp", "-r", node.MODULES / "@shmetrics" / "prom-client", target], check=True)
        self.install("prom-client-original", node.PEERS / "prom-client")
        self.assertEqual(self.run_program(), {"asked_total": 2, "imported_total": 4})
        self.assertEqual(samples(self.segment), {"asked_total": 2, "imported_total": 4})


if __name__ == "__main__":
    unittest.main()

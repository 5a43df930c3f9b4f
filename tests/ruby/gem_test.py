"""The gem: built from the checkout, installed with its extension compiled, and what it installs counts.

usage: gem_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import os
import re
import shutil
import subprocess
import unittest

import rubies

rubies.skip_without("gem", "make", "gcc")
from segments import PROGRAMS, new_directory, samples  # noqa: E402


class RubyGem(unittest.TestCase):
    def does(self, command, **more):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, **more)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-4000:])

    def test_what_gem_installs_counts(self):
        folder, build = new_directory(), PROGRAMS.parent
        source = folder / "ruby"
        shutil.copytree(rubies.ROOT / "client" / "ruby", source)
        libraries = f"{build / 'client'}:{build / 'collector'}"
        headers = ":".join(str(rubies.ROOT / part / "include") for part in ("client/c", "collector/c"))
        environment = {**os.environ, "C_INCLUDE_PATH": headers, "LIBRARY_PATH": libraries,
                       "LD_LIBRARY_PATH": libraries, "GEM_HOME": str(folder / "gems"),
                       "SHMETRICS_SEGMENT": str(folder / "gem.seg")}
        said = subprocess.run([PROGRAMS / "shmetrics", "--version"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"\d+\.\d+\.\d+", said).group()
        self.does(["gem", "build", "shmetrics.gemspec"], cwd=source, env=environment)
        self.does(["gem", "install", "--local", "--no-document", source / f"shmetrics-{version}.gem"], cwd=folder,
                  env=environment)
        self.does(["ruby", "-e", "require 'shmetrics'; Shmetrics::Segment.open.declare('counter', 'jobs_total', "
                   "'Jobs', [], [], 0, 0).add({}, 2)"], cwd=folder, env=environment)
        self.assertEqual(samples(folder / "gem.seg")["jobs_total"], 2)


if __name__ == "__main__":
    unittest.main()

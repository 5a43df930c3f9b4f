"""docs/testing.md is right: its files for pytest pass, and fail for an application that counts wrongly.

usage: testing_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import importlib.util
import pathlib
import re
import subprocess
import sys
import unittest

import segments

PAGE = pathlib.Path(__file__).parents[2] / "docs/testing.md"
JOBS = """
from shmetrics import Counter

JOBS = Counter("app_jobs", "Jobs done", ["queue"])


def run(queue):
    if queue == "fax":
        raise ValueError(queue)
    JOBS.labels(queue).inc({amount})
"""


class PythonTesting(unittest.TestCase):
    longMessage = False

    def outcome(self, amount):
        folder = segments.new_directory()
        (folder / "jobs.py").write_text(JOBS.format(amount=amount))
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            (folder / re.search(r'"""(\w+\.py)', block).group(1)).write_text(block)
        self.assertEqual({"jobs.py", "conftest.py", "test_jobs.py"}, {file.name for file in folder.iterdir()})
        environment = {name: value for name, value in segments.ENVIRONMENT.items() if name != "SHMETRICS_SEGMENT"}
        result = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_jobs.py"],
                                cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return result.stdout.strip().splitlines()[-1]

    @unittest.skipIf(importlib.util.find_spec("pytest") is None, "NOT TESTED: no pytest here")
    def test_the_files_of_the_page_pass_and_fail_where_the_count_is_wrong(self):
        self.assertRegex(self.outcome(amount=1), "3 passed")
        self.assertRegex(self.outcome(amount=2), "2 failed, 1 passed")


if __name__ == "__main__":
    unittest.main()

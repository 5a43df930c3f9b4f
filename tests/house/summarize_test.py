"""What summarize.py says of a run: counts, reasons of what was skipped, and why a test failed."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SUMMARIZE = pathlib.Path(__file__).with_name("summarize.py")
PASSED = '<testcase name="A.Holds" status="run" time="0.5"/>'
SKIPPED = ('<testcase name="A.NeedsRoot" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
           "<system-out>skipped: needs root</system-out></testcase>")
FAILED = ('<testcase name="A.Fails" status="fail"><system-out>a_test.cpp:7: Failure\n  Which is: ' + "1" * 999 + "\n"
          "</system-out></testcase>")
NOT_STARTED = '<testcase name="A.IsGone" status="notrun"><skipped message="Unable to find executable"/></testcase>'


def summary(cases, stages="dev-tests\tok\n"):
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        (directory / "dev.xml").write_text(f"<testsuite>{''.join(cases)}</testsuite>")
        (directory / "stages.tsv").write_text(stages)
        ended = subprocess.run([sys.executable, SUMMARIZE, folder], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout.splitlines()


class Summarize(unittest.TestCase):
    def test_what_passed_and_was_skipped_is_counted_with_the_reason(self):
        status, lines = summary([PASSED, SKIPPED])
        self.assertEqual(status, 0)
        self.assertIn("skipped: dev: A.NeedsRoot: needs root", lines)
        self.assertEqual(lines[-1], "1 passed, 0 failed, 1 skipped")

    def test_a_failed_test_is_named_with_the_end_of_its_output(self):
        status, lines = summary([PASSED, FAILED])
        self.assertEqual(status, 1)
        begin = lines.index("failed: dev: A.Fails")
        self.assertEqual(lines[begin + 1 : begin + 3], ["  | a_test.cpp:7: Failure", "  |   Which is: " + "1" * 188])
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")

    def test_a_test_that_could_not_be_started_failed(self):
        status, lines = summary([PASSED, NOT_STARTED])
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")

    def test_a_run_of_no_test_fails(self):
        self.assertEqual(summary([], "")[0], 1)
        self.assertEqual(summary([SKIPPED], "")[0], 1)

    def test_a_stage_that_failed_is_a_failure(self):
        status, lines = summary([PASSED], "tidy\tfailed\n")
        self.assertEqual(status, 1)
        self.assertIn("failed: stage tidy", lines)

    def test_a_stage_of_tests_is_a_failure_if_none_of_its_own_tests_tells_it(self):
        lines = summary([FAILED], "dev-tests\tfailed\nmusl-tests\tfailed\narm64-tests\tfailed\n")[1]
        self.assertEqual(["failed: dev: A.Fails", "failed: stage musl-tests", "failed: stage arm64-tests"],
                         [line for line in lines if line.startswith("failed:")])


if __name__ == "__main__":
    unittest.main()

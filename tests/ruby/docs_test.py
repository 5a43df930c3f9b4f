"""docs/ruby.md: its program is the example, and runs; and how programs of Ruby end.

usage: docs_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import os
import re
import signal
import subprocess
import unittest

import rubies

rubies.skip_without("puma")
from segments import deaths_in, free_port, get, new_directory, samples, samples_of  # noqa: E402

EXAMPLE = rubies.ROOT / "examples" / "puma_app.ru"


class RubyDocs(unittest.TestCase):
    def test_the_program_of_the_page_is_the_example(self):
        page = (rubies.ROOT / "docs" / "ruby.md").read_text()
        self.assertEqual(re.findall(r"^```ruby\n(.*?)^```", page, re.MULTILINE | re.DOTALL), [EXAMPLE.read_text()])

    def test_the_example_answers_for_all_its_workers(self):
        segment, port = new_directory() / "app.seg", free_port()
        server = subprocess.Popen(["puma", "-w", "4", "--preload", "-b", f"tcp://127.0.0.1:{port}", EXAMPLE],
                                  env=rubies.environment(segment), stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            self.assertEqual([get(port, "/hello") for _ in range(20)], ["hello\n"] * 20)
            found = samples_of(get(port, "/metrics"))
            self.assertEqual(found['app_greetings_total{language="en"}'], 20)
            self.assertEqual(found['http_server_requests_total{code="200",method="get",path="/hello"}'], 20)
            self.assertEqual(
                found['http_server_request_duration_seconds_count{method="get",path="/hello"}'], 20)
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


class RubyWithoutSegment(unittest.TestCase):
    def test_the_gem_of_debian_keeps_its_files_and_that_is_said(self):
        said = rubies.run(new_directory() / "none" / "a.seg", """
            $stderr = $stdout
            begin
              require 'shmetrics/client_mmap'
            rescue LoadError
              puts 'keeps its files, if it were here'
              exit
            end
            counter = Prometheus::Client.registry.counter(:hits_total, 'Hits')
            counter.increment({})
            abort 'does not count' unless counter.get({}) == 1""", SHMETRICS_GEM="mmap")
        self.assertIn("keeps its files", said)


class RubyEnds(unittest.TestCase):
    def deaths_after(self, program):
        segment = new_directory() / "test.seg"
        source = ("require 'shmetrics'; Shmetrics::Segment.open.declare('counter', 'a_total', 'A', [], [], 0, 0)"
                  f".add({{}}, 1); {program}")
        subprocess.run(["ruby", "-e", source], env=rubies.environment(segment), stderr=subprocess.DEVNULL, timeout=60)
        self.assertEqual(samples(segment)["a_total"], 1)
        return deaths_in(segment)

    def test_a_process_that_leaves_in_order_is_no_death(self):
        for program in ("", "exit(3)", "exit!", "Process.exit!(2)", "Kernel.exit!", "raise 'expected'", "abort",
                        "Process.kill(:TERM, $$); sleep", "Thread.new { exit }.join", "system('true'); `true`",
                        "Process.wait(fork { exit! })", "trap(:TERM) { exit!(0) }; Process.kill(:TERM, $$); sleep",
                        "Process.daemon(true)", "exec('true')", "Process.exec({}, 'true', close_others: true)",
                        "Kernel.exec('true')", "Ractor.new { exec('true') }.take", "Ractor.new { exit! }.take"):
            with self.subTest(program):
                self.assertEqual(self.deaths_after(program), 0)

    def test_a_process_whose_exec_fails_is_a_worker_as_before(self):
        program = "begin; exec('/none'); rescue SystemCallError; Process.kill(:KILL, $$); end"
        self.assertEqual(self.deaths_after(program), 1)

    def test_a_kill_is_a_death(self):
        self.assertEqual(self.deaths_after("Process.kill(:KILL, $$)"), 1)


if __name__ == "__main__":
    unittest.main()

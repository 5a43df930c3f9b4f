"""Drives the program `shmetrics`: subcommands, formats, exit codes, what goes to stdout and what to stderr."""
import json
import os
import pathlib
import re
import shutil
import unittest

import programs
from programs import Programs, flags_of, run

SUBCOMMANDS = ("dump", "check", "doctor", "top", "diff")
FLAGS = {"dump": {"help", "format", "family", "workers"}, "check": {"help"}, "doctor": {"help"},
         "top": {"help", "interval", "once"}, "diff": {"help"}}

# Exit code 2 and one line on stderr; SEG is a sound segment.
WRONG_LINES = [
    [], ["frobnicate"], ["--frobnicate"], ["dum"],
    ["dump", "--nonsense"], ["dump", "--format"], ["dump", "--format", "xml"], ["dump", "--form", "text"],
    ["dump", "SEG", "SEG"], ["dump", "SEG", "--workers", "--format", "text"], ["dump", "SEG", "--family"],
    ["check", "SEG", "SEG"], ["check", "--format", "text"],
    ["doctor", "SEG", "SEG"], ["doctor", "--format", "text"],
    ["top", "--interval", "SEG"], ["top", "--interval", "0s"], ["top", "--interval=-1s"], ["top", "SEG", "SEG"],
    ["diff"], ["diff", "SEG"], ["diff", "SEG", "SEG", "SEG"],
]

# What is asked of -> exit code. SEG sound and live, with updates that were refused, COPY of it, OTHER has counted more,
# DAMAGED, NONE missing, TEXT no segment.
EXITS = [
    (["dump", "SEG"], 0), (["dump", "COPY"], 0), (["dump", "NONE"], 1), (["dump", "TEXT"], 1), (["dump", "/"], 1),
    (["dump", "SEG", "--workers"], 0), (["dump", "SEG", "--family", "nothing_*"], 0),
    (["dump", "SEG", "--format=table"], 0), (["dump", "SEG", "--format", "text"], 0),
    (["dump", "--format=json", "SEG"], 0), (["dump", "--format=openmetrics", "SEG"], 0),
    (["check", "SEG"], 0), (["check", "COPY"], 0), (["check", "DAMAGED"], 1), (["check", "NONE"], 2),
    (["check", "TEXT"], 2),
    (["doctor", "SEG"], 1), (["doctor", "COPY"], 1), (["doctor", "DAMAGED"], 1), (["doctor", "NONE"], 2),
    (["doctor", "TEXT"], 2),
    (["top", "SEG", "--once", "--interval", "10ms"], 0), (["top", "SEG", "--interval=10ms"], 0),
    (["top", "NONE", "--once", "--interval", "10ms"], 1), (["top", "TEXT", "--once"], 1),
    (["diff", "COPY", "COPY"], 0), (["diff", "COPY", "OTHER"], 1), (["diff", "COPY", "NONE"], 2),
    (["diff", "TEXT", "COPY"], 2),
]


def keys_of(value):
    return set(value) if isinstance(value, dict) else None


class Tool(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = programs.folder()
        cls.addClassCleanup(directory.cleanup)
        cls.places = {name: f"{directory.name}/{name}" for name in ("SEG", "COPY", "OTHER", "DAMAGED", "NONE", "TEXT")}
        places = cls.places
        alive = programs.worker(places["SEG"])
        alive.__enter__()
        cls.addClassCleanup(alive.__exit__, None, None, None)
        for name in ("COPY", "DAMAGED"):
            shutil.copyfile(places["SEG"], places[name])
        with programs.worker(places["OTHER"], "5"):
            pass
        pathlib.Path(places["TEXT"]).write_text("no segment at all\n" * 1000)
        damaged = bytearray(pathlib.Path(places["DAMAGED"]).read_bytes())
        at = damaged.index(b"app_jobs_total")
        damaged[at] ^= 1  # the record's checksum tells
        pathlib.Path(places["DAMAGED"]).write_bytes(damaged)

    def run_tool(self, arguments, **options):
        return run(Programs.shmetrics, *(self.places.get(word, word) for word in arguments), **options)

    def test_help_and_version_go_to_stdout(self):
        for arguments in (["--help"], ["-h"], ["--version"], *([name, "--help"] for name in SUBCOMMANDS),
                          *([name, "-h"] for name in SUBCOMMANDS)):
            result = self.run_tool(arguments)
            self.assertEqual((0, ""), (result.returncode, result.stderr), arguments)
            self.assertNotEqual("", result.stdout)
        self.assertRegex(self.run_tool(["--version"]).stdout, r"\Ashmetrics \d+\.\d+\.\d+\n\Z")

    def test_every_subcommand_and_flag_of_the_help_is_driven_here(self):
        listed = self.run_tool(["--help"]).stdout.split("Subcommands:\n")[1].split("\n\n")[0]
        self.assertEqual(set(SUBCOMMANDS), set(re.findall(r"^  (\w+)", listed, re.MULTILINE)))
        for name in SUBCOMMANDS:
            self.assertEqual(FLAGS[name], {flag for _, flag in flags_of(self.run_tool([name, "--help"]).stdout)})

    def test_a_wrong_command_line_is_2_and_one_line_on_stderr(self):
        for arguments in WRONG_LINES:
            with self.subTest(arguments):
                result = self.run_tool(arguments)
                self.assertEqual((2, ""), (result.returncode, result.stdout))
                self.assertRegex(result.stderr, r"\Ashmetrics: [^\n]+\n\Z")

    def test_exit_codes_and_one_line_on_stderr_where_there_is_no_answer(self):
        for arguments, expected in EXITS:
            with self.subTest(arguments):
                result = self.run_tool(arguments)
                self.assertEqual(expected, result.returncode, result.stderr)
                # What doctor finds is its answer, also that there is no segment.
                answers = expected == 0 or arguments[0] == "doctor" or (
                    arguments[0] in ("check", "diff") and expected == 1)
                if answers:
                    self.assertEqual("", result.stderr)
                else:
                    self.assertEqual("", result.stdout)
                    self.assertRegex(result.stderr, r"\Ashmetrics: [^\n]+\n\Z")

    def test_the_path_is_by_default_the_clients(self):
        environment = programs.clean_environment(SHMETRICS_SEGMENT=self.places["SEG"])
        for arguments in (["dump"], ["check"], ["top", "--once", "--interval=10ms"]):
            result = self.run_tool(arguments, env=environment)
            self.assertEqual((0, ""), (result.returncode, result.stderr), arguments)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to run as another user")
    def test_a_file_of_another_user_is_named_with_its_owner(self):
        directory = pathlib.Path(self.places["SEG"]).parent
        directory.chmod(0o755)
        program = shutil.copy(Programs.shmetrics, directory / "shmetrics")  # where that user may run it
        for command, code in (("dump", 1), ("check", 2)):
            ended = run(program, command, self.places["SEG"], user=65534, group=65534, extra_groups=[], cwd="/")
            self.assertEqual((code, ""), (ended.returncode, ended.stdout))
            self.assertRegex(ended.stderr, r"\Ashmetrics: no permission for .* belongs to uid 0, mode 0600, .*\n\Z")

    def test_json_has_the_keys_of_the_contract(self):
        whole = json.loads(self.run_tool(["dump", "SEG", "--format", "json"]).stdout)
        self.assertEqual({"segment", "workers", "families"}, set(whole))
        self.assertEqual({"path", "id", "layout_version", "created", "state", "cells", "directory_bytes"},
                         set(whole["segment"]))
        self.assertEqual([{"used", "limit"}] * 2,
                         [set(whole["segment"][part]) for part in ("cells", "directory_bytes")])
        self.assertRegex(whole["segment"]["created"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")
        for worker in whole["workers"]:
            self.assertEqual({"worker", "state", "pid", "program", "started", "adopted", "deaths", "slots"},
                             set(worker))
        for family in whole["families"]:
            self.assertEqual({"name", "type", "help", "unit", "labels", "mode", "series"}, set(family), family)
            for series in family["series"]:
                wanted = {"labels", "value"} if "value" in series else {"labels", "buckets", "sum", "count"}
                if family["type"] == "summary":
                    wanted -= {"buckets"}
                self.assertEqual(wanted, set(series), family["name"])
        jobs = next(family for family in whole["families"] if family["name"] == "app_jobs_total")
        self.assertIn({"labels": {"queue": "mail"}, "value": 3}, jobs["series"])

    def test_diff_prints_a_line_per_differing_series(self):
        lines = self.run_tool(["diff", "COPY", "OTHER"]).stdout.splitlines()
        self.assertIn('app_jobs_total{queue="mail"} 3 5 2', [re.sub(r"\s+", " ", line).replace("+", "")
                                                            for line in lines])
        self.assertEqual("", self.run_tool(["diff", "COPY", "COPY"]).stdout)

    def test_what_cannot_be_written_is_a_failure_and_a_closed_pipe_is_none(self):
        with open("/dev/full", "w") as full:
            self.assertEqual(1, self.run_tool(["dump", "SEG"], stdout=full).returncode)
            self.assertEqual(2, self.run_tool(["check", "SEG"], stdout=full).returncode)
        command = f"'{Programs.shmetrics}' dump '{self.places['SEG']}' | head -n 1; echo ${{PIPESTATUS[0]}}"
        result = run("/bin/bash", "-c", command)
        self.assertEqual(("0", ""), (result.stdout.splitlines()[-1], result.stderr))

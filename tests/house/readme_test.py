"""Holds README.md and docs against the repository: snippets, commands, flags and links are those that exist.

usage: readme_test.py REPOSITORY DIRECTORY_OF_PROGRAMS
"""
import pathlib
import re
import shlex
import subprocess
import unittest

import typed_readme
from sources import paths, repository_files

MOST_LINES = 180
OURS = {"shmetrics", "shmetrics-exporter"}
SCRIPTS = {"tools/demo.sh", "tests/run.sh", "tools/install-dependencies.sh"}

root = programs = pathlib.Path(".")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text):
    """The commands of all bash blocks: continued lines joined, comments, assignments and a final & taken away."""
    for line in "\n".join(blocks(text, "bash")).replace("\\\n", " ").splitlines():
        for words in split_at_pipes(shlex.split(line, comments=True)):
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words = words[1:]
            if words and words != ["export"]:
                yield words


def split_at_pipes(words):
    command = []
    for word in words + ["|"]:
        if word in ("|", "&&", "&"):
            yield command
            command = []
        else:
            command.append(word)


def help_of(command):
    """--help of a program, or of its subcommand if the next word names one."""
    name = pathlib.Path(command[0]).name
    path = root / command[0] if command[0] in SCRIPTS else programs / name
    subcommand = command[1:2] if name == "shmetrics" and command[1:2] and command[1][0] != "-" else []
    result = subprocess.run([path, *subcommand, "--help"], capture_output=True, text=True, timeout=20, check=False)
    return result.stdout if result.returncode == 0 else f"(--help of {path} exits {result.returncode})"


class Readme(unittest.TestCase):
    def setUp(self):
        self.readme = (root / "README.md").read_text()

    def test_is_short(self):
        self.assertLess(len(self.readme.splitlines()), MOST_LINES)

    def test_snippets_are_the_examples(self):
        example = (root / "examples/smallest.cpp").read_text().split("// [smallest]\n")[1]
        self.assertIn(example, blocks(self.readme, "cpp"))
        self.assertIn((root / "examples/smallest.c").read_text(), blocks(self.readme, "c"))
        self.assertIn((root / "examples/smallest.py").read_text(), blocks(self.readme, "python"))
        self.assertIn((root / "examples/smallest.js").read_text(), blocks(self.readme, "js"))
        served = blocks((root / "docs/python.md").read_text(), "python")
        self.assertEqual([(root / "examples/gunicorn_app.py").read_text()], served)

    def test_every_command_is_typed_by_a_test(self):
        typed = [typed_readme.ONCE, *typed_readme.SCREENS, typed_readme.AFTER]
        found = typed_readme.sections(self.readme)
        self.assertEqual(["Two commands", *typed], [name for name in found if typed_readme.commands_of(found[name])])
        for name in typed_readme.SCREENS:
            self.assertRegex(found[name], r"# prints: app_jobs_total\S+ 1\n```\s*$", f"{name}: no number is seen")

    def test_flags_are_in_the_help(self):
        for command in commands(self.readme):
            if command[0] not in SCRIPTS and pathlib.Path(command[0]).name not in OURS:
                continue
            text = help_of(command).replace("--[no-]", "--no-")
            for flag in (word.split("=")[0] for word in command[1:] if word.startswith("--")):
                known = flag in text or flag.replace("--", "--no-", 1) in text
                self.assertTrue(known, f"{' '.join(command)}: {flag} is not in its --help:\n{text}")

    def test_links_lead_somewhere(self):
        broken = []
        for name in repository_files(root):
            if not re.fullmatch(r"[^/]+\.md|(docs|deploy)/.+\.md", name):
                continue
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (root / name).read_text()):
                if "://" not in target and not (root / name).parent.joinpath(target).exists():
                    broken.append(f"{name}: {target}")
        self.assertFalse(broken, broken)


if __name__ == "__main__":
    root, programs = paths(__doc__, 2)
    unittest.main()

"""Holds docs/ against the sources: the API reference is the headers', and the tests that docs name exist.

usage: docs_test.py REPOSITORY
"""
import pathlib
import re
import unittest

import api_reference
from sources import paths, repository_files

RULES = [f"{letter}{n}" for letter, last in (("A", 23), ("N", 12), ("E", 12), ("T", 8)) for n in range(1, last + 1)]
ANSWERS = ("done", "in part", "not applicable", "the application's")

root = pathlib.Path(".")


def known_tests():
    """Suite.Test of C++, Class.test_x of Python and Ruby."""
    for name in repository_files(root):
        if not name.startswith(("tests/", "examples/")) or not name.endswith((".cpp", ".py", ".rb")):
            continue
        text = (root / name).read_text()
        if name.endswith(".cpp"):
            for suite, test in re.findall(r"^TEST(?:_[FP])?\((\w+),\s*(\w+)\)", text, re.MULTILINE):
                yield f"{suite}.{test}"
        else:
            suite = None
            for kind, word in re.findall(r"^(class|  (?:  )?def) (\w+)", text, re.MULTILINE):
                if kind == "class":
                    suite = word
                elif word.startswith("test_"):
                    yield f"{suite}.{word}"


def named_tests(text):
    return re.findall(r"`([A-Z]\w+\.(?:[A-Z]\w+|test_\w+))`", text)


def rule_lines():
    """(rule, answer, proof) of each line of the conformance tables."""
    for line in (root / "docs/conformance.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[2] not in ("answer", "---"):
            yield cells[0], cells[2], cells[3]


def promise_lines():
    """(promise, proof) of each line of the reliability tables."""
    for line in (root / "docs/reliability.md").read_text().splitlines():
        if not line.startswith("| ") or line.startswith(("| promise ", "| --- ")):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        yield (cells + ["", ""])[:2] if len(cells) == 3 else (line, "")


class Docs(unittest.TestCase):
    longMessage = False

    def test_api_reference_is_that_of_the_headers(self):
        page = (root / "docs/api.md").read_text()
        self.assertTrue(page == api_reference.reference(root), f"docs/api.md is old; run: {api_reference.COMMAND}")

    def test_api_reference_has_every_public_class(self):
        page = (root / "docs/api.md").read_text()
        for name in ("Registry", "Family", "Counter", "FloatCounter", "Gauge", "Histogram", "Summary", "GaugeMode",
                     "Options", "FamilyOptions", "Errc", "Timer", "InFlight", "TemporarySegment", "normalize_route"):
            self.assertIn(f"### `{name}`", page, name)
        self.assertNotIn("detail::", page)

    def test_tests_that_are_named_exist(self):
        known = set(known_tests())
        missing = []
        for name in repository_files(root):
            if re.fullmatch(r"[^/]+\.md|(docs|deploy)/.+\.md", name):
                missing += [f"{name}: {test}" for test in named_tests((root / name).read_text()) if test not in known]
        self.assertFalse(missing, "no such test:\n" + "\n".join(missing))

    def test_the_libraries_show_as_many_names_as_the_page_says(self):
        text = (root / "docs/platforms.md").read_text()
        rows = re.findall(r"^\| `(libshmetrics\w*)\.so\.0`.*?\| (\d+) names", text, re.MULTILINE)
        lists = {"libshmetrics": "shared", "libshmetrics_c": "c", "libshmetrics_reader": "reader"}
        golden = {name: (root / f"tests/golden/exports_{kind}.list").read_text() for name, kind in lists.items()}
        self.assertEqual({name: str(len(names.splitlines())) for name, names in golden.items()}, dict(rows))

    def test_every_row_belongs_to_a_table(self):
        strays = []
        for name in repository_files(root):
            if not re.fullmatch(r"[^/]+\.md|(docs|deploy)/.+\.md", name):
                continue
            lines = re.sub(r"(?ms)^```.*?^```", "", (root / name).read_text()).splitlines() + [""]
            for before, line, after in zip([""] + lines, lines, lines[1:]):
                if line.startswith("|") and not before.startswith("|") and not after.startswith("| ---"):
                    strays.append(f"{name}: {line[:60]}")
        self.assertFalse(strays, "a row without a head:\n" + "\n".join(strays))

    def test_no_promise_is_without_a_test(self):
        promises = list(promise_lines())
        self.assertGreater(len(promises), 30, "docs/reliability.md has lost its tables")
        wrong = [promise for promise, proof in promises if not named_tests(proof)]
        self.assertFalse(wrong, "docs/reliability.md, by which test?\n" + "\n".join(wrong))

    def test_every_rule_has_one_line_and_what_is_done_has_a_test(self):
        lines = list(rule_lines())
        numbered = [rule for rule, _, _ in lines if re.fullmatch(r"[A-Z]\d+", rule)]
        self.assertEqual(RULES, numbered, "docs/conformance.md: a line a rule, in order")
        wrong = []
        for rule, answer, proof in lines:
            if answer not in ANSWERS:
                wrong.append(f"{rule}: {answer!r} is none of {ANSWERS}")
            if answer in ("done", "in part") and not named_tests(proof):
                wrong.append(f"{rule}: {answer}, by which test?")
        self.assertFalse(wrong, "\n".join(wrong))


if __name__ == "__main__":
    (root,) = paths(__doc__, 1)
    unittest.main()

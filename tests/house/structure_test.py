"""Rejects what breaks the structure: includes against the arrows, files that grew too long, strangers at the top level.

usage: structure_test.py REPOSITORY
"""
import pathlib
import re
import unittest

from sources import paths, repository_files

ROOMS = ("shm", "client", "collector", "exporter", "tools")
# What a room may include of the others; the arrows of docs/architecture.md.
ARROWS = {
    "shm": {"shm"},
    "client": {"client", "shm"},
    "client/testing": {"client", "reader"},
    "client/python": {"client/python", "client", "reader"},
    "client/node": {"client/node", "client", "reader"},
    "client/ruby": {"client/ruby", "client", "reader"},
    "client/php": {"client/php", "client", "reader"},
    "collector": {"collector", "shm", "reader"},
    "reader": set(),
    "exporter": {"exporter", "collector"},
    "tools": {"tools", "collector"},
}
# The exporter's own rooms. Those in GROUND are its ground floor: they include nothing of it.
EXPORTER_ARROWS = {
    "ground": {"ground"},
    "request": {"request"},
    "access": {"access", "request", "ground"},
    "scrape": {"scrape", "request", "ground"},
    "http": {"http", "access", "scrape", "request", "ground"},
    "top": {"top", "http", "access", "scrape", "request", "ground"},
}
GROUND = ("exporter/log.", "exporter/build_info.", "exporter/user_namespace.")
MEASURED = ROOMS + ("examples", "tests", "bench")
MOST_LINES = 400
MOST_COLUMNS = 120
TOP_LEVEL = set("""CMakeLists.txt shm collector client exporter tests tools README.md CMakePresets.json CHANGELOG.md
    CONTRIBUTING.md SECURITY.md .gitignore .clang-format .clang-tidy .ci docs examples deploy bench""".split())
TEXT_SUFFIXES = {".cpp", ".hpp", ".h", ".c", ".py", ".rb", ".php", ".sh", ".txt", ".cmake"}

# These have the text of the files that they stand in for.
STAND_INS = "tests/model/litmus/shm/"
# What files begin and end with, and what only closes: it may be the same in many.
FRAME = re.compile(r"#\s*(include|pragma)|(import|from) |(inline )?namespace|using |}\s*// namespace|[]}); ]*$|end$")

root = pathlib.Path(".")


def includes(name):
    """(line number, what is included, whether in quotes) of one file."""
    for number, line in enumerate((root / name).read_text().splitlines(), start=1):
        found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if found:
            yield number, found.group(2), found.group(1) == '"'


def room_of(path):
    """The room of a path as it stands in an include; a public header is its library's, wherever it is found from."""
    if path in ("shmetrics/reader.h", "shmetrics/reader.hpp"):
        return "reader"
    for room in ("client/testing", "client/python", "client/node", "client/ruby", "client/php"):
        if path.startswith(room + "/"):
            return room
    first = path.split("/")[0]
    return "client" if first == "shmetrics" else first


def exporter_room_of(path):
    """The room within exporter/ of a path that begins with it."""
    if path.startswith(GROUND):
        return "ground"
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else "top"


def reached_from(name):
    """Each header that a file sees, with the one that brings it."""
    reached, open_ones = {}, [name]
    while open_ones:
        current = open_ones.pop()
        for _, target, quoted in includes(current):
            if quoted and target not in reached and (root / target).is_file():
                reached[target] = current
                open_ones.append(target)
    return reached


class Structure(unittest.TestCase):
    longMessage = False

    def setUp(self):
        self.files = repository_files(root)

    def code(self, *rooms):
        suffixes = (".cpp", ".hpp", ".h", ".c")
        return [name for name in self.files if name.endswith(suffixes) and name.split("/")[0] in rooms]

    def test_includes_go_along_the_arrows(self):
        wrong = []
        for name in self.code(*ROOMS):
            room = room_of(name)
            for number, target, _ in includes(name):
                if room_of(target) in ARROWS and room_of(target) not in ARROWS[room]:
                    wrong.append(f"{name}:{number}: {room} must not include {target}")
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_includes_within_the_exporter_go_along_its_arrows(self):
        wrong = []
        for name in self.code("exporter"):
            room = exporter_room_of(name)
            for number, target, _ in includes(name):
                if target.startswith("exporter/") and exporter_room_of(target) not in EXPORTER_ARROWS[room]:
                    wrong.append(f"{name}:{number}: {room} must not include {target}")
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_exporter_and_tools_see_nothing_of_shm_through_headers_either(self):
        wrong = []
        for name in self.code("exporter", "tools"):
            wrong += [f"{name} sees {target}, which {by} includes" for target, by in reached_from(name).items()
                      if room_of(target) == "shm"]
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_includes_in_quotes_are_written_from_the_root(self):
        wrong = []
        for name in self.code(*ROOMS):
            for number, target, quoted in includes(name):
                if quoted and room_of(target) not in ARROWS:
                    wrong.append(f"{name}:{number}: {target}")
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_public_header_includes_the_standard_library_alone(self):
        wrong = []
        for name in self.files:
            if name.startswith("client/include/"):
                wrong += [f"{name}:{number}: {target}" for number, target, quoted in includes(name)
                          if quoted or not target.startswith("shmetrics/") and re.search(r"/|\.h$", target)]
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_files_and_lines_are_short(self):
        wrong = []
        for name in self.files:
            if name.split("/")[0] not in MEASURED or pathlib.Path(name).suffix not in TEXT_SUFFIXES:
                continue
            lines = (root / name).read_text().splitlines()
            if len(lines) >= MOST_LINES:
                wrong.append(f"{name}: {len(lines)} lines, {MOST_LINES} are too many")
            wrong += [f"{name}:{number}: {len(line)} columns" for number, line in enumerate(lines, start=1)
                      if len(line) > MOST_COLUMNS]
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_inner_headers_say_threads_failure_and_lifetime(self):
        wrong = []
        for name in self.code(*ROOMS):
            if name.endswith(".hpp") and "/include/" not in name:
                contract = (root / name).read_text().split("#pragma once")[0]
                wrong += [f"{name}: says nothing of its {word}" for word in ("Threads", "Failure", "Lifetime")
                          if not re.search(rf"\b{word}:\s", contract)]
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_no_six_lines_stand_twice(self):
        first_place, wrong = {}, []
        for name in self.files:
            if name.split("/")[0] not in ROOMS + ("tests", "bench") or name.startswith(STAND_INS):
                continue
            if pathlib.Path(name).suffix not in TEXT_SUFFIXES:
                continue
            lines = [(number, line.strip()) for number, line in enumerate((root / name).read_text().splitlines(), 1)]
            lines = [(number, line) for number, line in lines if not FRAME.match(line)]
            for six in zip(*(lines[start:] for start in range(6))):
                place = f"{name}:{six[0][0]}"
                other = first_place.setdefault(tuple(line for _, line in six), place)
                if other != place:
                    wrong.append(f"{other} and {place}: {six[0][1]}")
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_top_level_has_no_strangers(self):
        strangers = {name.split("/")[0] for name in self.files} - TOP_LEVEL
        self.assertFalse(strangers, f"not at the top level: {sorted(strangers)}")

    def test_no_room_for_leftovers(self):
        words = {"util", "utils", "common", "helper", "helpers", "misc"}
        wrong = [name for name in self.files if words & set(re.split(r"[/_.]", name))]
        self.assertFalse(wrong, f"a room or file for leftovers: {wrong}")


if __name__ == "__main__":
    (root,) = paths(__doc__, 1)
    unittest.main()

"""A release has one version, that of CMakeLists.txt: whatever else carries one says the same.

usage: release_test.py REPOSITORY
"""
import pathlib
import re
import unittest

from sources import paths, repository_files

# What each file has instead of `VERSION` is the version, in the form of its language.
PLACES = {
    "client/python/shmetrics/__init__.py": r'^__version__ = "(.*)"$',
    "client/ruby/shmetrics.gemspec": r"^  gem\.version = '(.*)'$",
}
# The package for Node stands in for prom-client 15, so its major version is that one's.
NODE_PACKAGE, NODE_MAJOR = "client/node/package.json", "15"
TARBALL = re.compile(r"shmetrics-prom-client-(\d[\w.]*?)\.tgz")
GEM = re.compile(r"shmetrics-(\d[\w.]*?)\.gem")

root = pathlib.Path(".")


def first(name, pattern):
    found = re.search(pattern, (root / name).read_text(), re.MULTILINE)
    return found and found.group(1)


class Versions(unittest.TestCase):
    def setUp(self):
        self.version = first("CMakeLists.txt", r"^project\(shmetrics VERSION (\d+\.\d+\.\d+) ")
        self.of_node = NODE_MAJOR + self.version[self.version.index("."):]

    def test_each_place_has_that_of_cmake(self):
        self.assertEqual({name: self.version for name in PLACES},
                         {name: first(name, pattern) for name, pattern in PLACES.items()})

    def test_the_package_for_node_has_it_after_the_major_version_of_its_peer(self):
        self.assertEqual(self.of_node, first(NODE_PACKAGE, r'^  "version": "(.*)",$'))

    def test_pages_name_the_files_that_are_made(self):
        pages = [root / name for name in repository_files(root) if name.endswith(".md")]
        for pattern, version in ((TARBALL, self.of_node), (GEM, self.version)):
            named = [(page.name, found) for page in pages for found in pattern.findall(page.read_text())]
            self.assertEqual({version}, {found for _, found in named}, named)


if __name__ == "__main__":
    (root,) = paths(__doc__, 1)
    unittest.main()

"""docs/php.md: its program is the example, and runs in php-fpm; and so does what it says of the functions.

usage: docs_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import re
import unittest

import phps

phps.skip_without("php", "php-fpm", "nginx")
from segments import PACKAGE, get, new_directory, samples_of  # noqa: E402

EXAMPLE = (phps.ROOT / "examples" / "php_app.php").read_text()
PROGRAM, FUNCTIONS = re.findall(r"^```php\n(.*?)^```", (phps.ROOT / "docs" / "php.md").read_text(),
                                re.MULTILINE | re.DOTALL)


class PhpDocs(unittest.TestCase):
    def test_the_example_of_the_page_answers_for_all_its_workers(self):
        self.assertEqual(PROGRAM, EXAMPLE)
        fpm = phps.Fpm({"www": "pm = static\npm.max_children = 3"}, include_path=PACKAGE)
        self.addCleanup(fpm.close)
        fpm.up()
        (fpm.folder / "vendor").mkdir()
        (fpm.folder / "vendor" / "autoload.php").write_text(f"<?php require '{phps.HERE}/autoload.php';")
        fpm.app.write_text(EXAMPLE)
        self.assertEqual([get(fpm.port, "/") for _ in range(20)], ["hello\n"] * 20, fpm.said())
        for _ in range(3):
            shown = samples_of(get(fpm.port, "/metrics"))
            self.assertEqual(shown['app_greetings_total{language="en"}'], 20)

    def test_the_functions_of_the_page_count(self):
        found = samples_of(phps.run(new_directory() / "test.seg", FUNCTIONS))
        for name, value in (('app_requests_total{code="404"}', 2), ("app_queue", 7), ("app_bytes_sum", 512)):
            self.assertEqual(found[name], value)


if __name__ == "__main__":
    unittest.main()

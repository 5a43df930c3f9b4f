"""What a fault of memory would meet in the exporter and in the tools: read from the programs themselves.

usage: hardening_test.py MEASURES PLAIN PROGRAM...

MEASURES are those that this compiler takes, as tools/hardening.cmake lists them; PLAIN is a program that was built
without them, so that each measure is seen to be found missing.
"""
import pathlib
import re
import subprocess
import sys
import unittest


def readelf(program, *what):
    return subprocess.run(["readelf", "-W", *what, program], check=True, capture_output=True, text=True).stdout


def imports(program, pattern):
    return re.search(r" UND +\w*" + pattern, readelf(program, "--dyn-syms")) is not None


def has_full_relro(program):
    return "GNU_RELRO" in readelf(program, "-l") and re.search(r"\(FLAGS_1\).*NOW", readelf(program, "-d")) is not None


def starts_with_a_landing(program):
    """Functions begin with endbr64, which alone an indirect call may reach."""
    main = subprocess.run(["objdump", "--disassemble=main", program], check=True, capture_output=True, text=True).stdout
    return re.search(r"<main>:\n.*endbr64", main) is not None


def touches_each_page_of_its_stack(program):
    """A large frame grows by pages (sub $0x1000,%rsp), so that none steps over the guard behind the stack."""
    return b"\x48\x81\xec\x00\x10\x00\x00" in pathlib.Path(program).read_bytes()


def has_assertions(program):
    """What they say when they fail, whichever function says it."""
    return re.search(rb"< this->size\(\)|!this->empty\(\)", pathlib.Path(program).read_bytes()) is not None


MEASURES = {
    "STACK_PROTECTOR": lambda program: imports(program, "__stack_chk_fail"),
    "FORTIFY": lambda program: imports(program, r"\w+_chk\b"),
    "ASSERTIONS": has_assertions,
    "STACK_CLASH": touches_each_page_of_its_stack,
    "CONTROL_FLOW": starts_with_a_landing,
    "FULL_RELRO": has_full_relro,
}


class Hardening(unittest.TestCase):
    def test_each_measure_is_in_each_program(self):
        for program in programs:
            for name in measures:
                with self.subTest(program=program, measure=name):
                    self.assertTrue(MEASURES[name](program))

    def test_a_program_without_them_is_found_out(self):
        for name in measures:
            with self.subTest(measure=name):
                self.assertFalse(MEASURES[name](plain))

    def test_programs_are_at_addresses_of_chance_and_their_stacks_are_not_run(self):
        for program in programs:
            with self.subTest(program=program):
                self.assertRegex(readelf(program, "-h"), r"Type: +DYN")
                self.assertRegex(readelf(program, "-l"), r"GNU_STACK .* RW +0x")


if __name__ == "__main__":
    plain, programs = sys.argv[2], sys.argv[3:]
    measures = [name for name in sys.argv[1].split(",") if name in MEASURES]
    if "X86-64" not in readelf(plain, "-h") and "STACK_CLASH" in measures:
        measures.remove("STACK_CLASH")  # pages are larger elsewhere, and few frames are
    if not programs:
        sys.exit("no program to look at")
    unittest.main(argv=sys.argv[:1])

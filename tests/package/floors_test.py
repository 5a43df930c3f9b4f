"""The table of docs/platforms.md says truly what each binary needs: its libraries, and the oldest glibc and libstdc++.

usage: floors_test.py REPOSITORY BUILD_DIRECTORY; exits 77 where the C library is another one than the table's
"""
import os
import pathlib
import re
import subprocess
import sys

TABLE = re.compile(r"^\| `([\w.-]+)`[^|]*\|[^|]*\|[^|]*\| ([\d.]+) \| ([\d.]+|-) \| ([^|]+) \|$", re.MULTILINE)
GLIBC_OF_THE_TABLE = "glibc 2.36"
PLACES = ("client", "collector", "bin", "python/shmetrics",
          "node/node_modules/@shmetrics/prom-client/prebuilds/linux-x64")
# Part of every system with glibc; the others are named in the table.
OF_GLIBC = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def newest(symbols, prefix):
    versions = re.findall(rf"{prefix}_(\d+(?:\.\d+)+)", symbols)
    return max(versions, key=lambda version: [int(part) for part in version.split(".")], default="-")


def main(repository, build):
    glibc = os.confstr("CS_GNU_LIBC_VERSION")
    if glibc != GLIBC_OF_THE_TABLE:
        print(f"skipped: the table is for {GLIBC_OF_THE_TABLE}, this is {glibc}")
        return 77
    rows = TABLE.findall((repository / "docs" / "platforms.md").read_text())
    wrong = []
    for name, said_glibc, said_cxx, said_needed in rows:
        found = [build / place / name for place in PLACES if (build / place / name).exists()]
        if not found:
            wrong.append(f"{name} is not built")
            continue
        symbols = output("objdump", "-T", found[0])
        needed = set(re.findall(r"NEEDED +(\S+)", output("objdump", "-p", found[0]))) - OF_GLIBC
        said = {word.strip(" `") for word in said_needed.split(",")} - {"libc"}
        is_named = {library: any(library == word or library.startswith(word + ".so") for word in said)
                    for library in needed}
        wrong += [f"{name} needs {library}" for library, is_said in is_named.items() if not is_said]
        wrong += [f"{name} does not need {word}" for word in said
                  if not any(library == word or library.startswith(word + ".so") for library in needed)]
        for what, prefix, said_version in (("glibc", "GLIBC", said_glibc), ("libstdc++", "GLIBCXX", said_cxx)):
            if newest(symbols, prefix) != said_version:
                wrong.append(f"{name} needs {what} {newest(symbols, prefix)}, docs/platforms.md says {said_version}")
        if "not found" in output("ldd", found[0]):
            wrong.append(f"{name}: ldd does not find all of it")
    print("\n".join(wrong) or f"{len(rows)} binaries are as docs/platforms.md says")
    return 1 if wrong or len(rows) < 5 else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))

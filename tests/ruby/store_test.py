"""store_test.rb under client_ruby or its stand-in, and mmap_test.rb under Debian's prometheus-client-mmap.

usage: store_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import subprocess
import sys

import rubies

rubies.skip_without("ruby")
from segments import SEGMENT  # noqa: E402

codes = []
for name, gem in (("store_test.rb", ""), ("mmap_test.rb", "mmap")):
    program = rubies.HERE / name
    codes.append(subprocess.run(["ruby", "-W:no-deprecated", program], timeout=300,
                                env=rubies.environment(SEGMENT, SHMETRICS_GEM=gem)).returncode)
sys.exit(max(map(abs, codes)))

"""mmap_test.rb under Debian's prometheus-client-mmap.

usage: mmap_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import sys

import rubies

rubies.skip_without("ruby")
sys.exit(rubies.run_tests("mmap_test.rb", SHMETRICS_GEM="mmap"))

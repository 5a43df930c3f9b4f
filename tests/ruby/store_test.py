"""store_test.rb and metrics_test.rb under client_ruby or its stand-in.

usage: store_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import sys

import rubies

rubies.skip_without("ruby")
sys.exit(rubies.run_tests("store_test.rb") or rubies.run_tests("metrics_test.rb"))

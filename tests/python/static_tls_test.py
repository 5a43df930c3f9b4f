"""The package is imported, and counts, in a process whose static TLS other libraries have used up to the last byte.

usage: static_tls_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS HOG
"""
import ctypes
import pathlib
import shutil
import sys
import threading
import unittest

import segments

HOG = pathlib.Path(sys.argv.pop(1))


def use_up_static_tls():
    """Loads copies of the hog until the loader has no room for another; returns how many."""
    directory = segments.new_directory()
    for count in range(1000):
        copy = directory / f"hog{count}.so"
        shutil.copy(HOG, copy)
        try:
            ctypes.CDLL(str(copy))
        except OSError as error:
            assert "static TLS" in str(error), error
            return count
    raise AssertionError("static TLS has no end")


class StaticTls(unittest.TestCase):
    def test_a_module_that_is_dlopened_takes_none(self):
        hogs = use_up_static_tls()
        print(f"{hogs * 64} bytes of static TLS were free")
        from shmetrics import Counter, Histogram
        jobs = Counter("jobs", "Jobs")
        seconds = Histogram("job_seconds", "Seconds")
        work = [threading.Thread(target=lambda: (jobs.inc(), seconds.observe(1))) for _ in range(3)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        jobs.inc()
        found = segments.samples(prefix="job")
        self.assertEqual((found["jobs_total"], found["job_seconds_count"]), (4, 3))


if __name__ == "__main__":
    unittest.main()

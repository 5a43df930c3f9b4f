"""A worker that does what it is told, a line at a time, and answers each with a line."""
import sys

import shmetrics

told = {name: getattr(shmetrics, name) for name in shmetrics.__all__}
for line in sys.stdin:
    exec(line, told)
    print("done", flush=True)

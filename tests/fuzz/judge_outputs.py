"""Lets promtool, the parsers of python3-prometheus-client and client_golang's decoder judge what was written: by the
fuzz targets while they replayed their corpora, by exporters in tests. What was judged is removed, what was refused is
kept as NAME.refused.

usage: judge_outputs.py DIRECTORY [DECODER]   with *.txt (format 0.0.4), *.om (OpenMetrics) and *.pb (protobuf), which
                                              DECODER, built from tests/protobuf/to_text.go, makes text

Exits 1 when one is refused, and 77, which ctest takes for skipped, when there is none.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

PROMTOOL = "/usr/bin/promtool"
STYLE = 3  # its exit code when names could be better, which is no matter of the format


def refused_by_parser(path, decoder):
    """What the parser says against a file, or nothing."""
    try:
        text = path.read_bytes()
        if path.suffix == ".pb":
            text = subprocess.run([decoder], input=text, capture_output=True, check=True).stdout
        for family in (parse_openmetrics if path.suffix == ".om" else parse_text)(text.decode("utf-8")):
            for sample in family.samples:
                float(sample.value)
    except Exception as problem:  # whatever a foreign parser throws is an objection
        return repr(problem)
    return None


def refused_by_promtool(path):
    if path.suffix != ".txt":
        return None
    with path.open("rb") as text:
        judged = subprocess.run([PROMTOOL, "check", "metrics"], stdin=text, capture_output=True, text=True)
    return None if judged.returncode in (0, STYLE) else judged.stderr.strip()


def main(directory, decoder=None):
    suffixes = ("*.txt", "*.om", "*.pb") if decoder and os.path.exists(decoder) else ("*.txt", "*.om")
    paths = sorted(path for suffix in suffixes for path in directory.glob(suffix))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        promtools = list(pool.map(refused_by_promtool, paths)) if os.path.exists(PROMTOOL) else [None] * len(paths)
    refused = 0
    for path, promtool in zip(paths, promtools):
        objection = refused_by_parser(path, decoder) or promtool
        if objection:
            refused += 1
            print(f"{path}.refused: {objection}")
            path.rename(f"{path}.refused")
        else:
            path.unlink()
    judges = "promtool and python3-prometheus-client" if os.path.exists(PROMTOOL) else "python3-prometheus-client"
    print(f"{len(paths)} outputs judged by {judges}, {refused} refused")
    return 1 if refused else 0 if paths else 77


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]), *sys.argv[2:]))

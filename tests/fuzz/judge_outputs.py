"""Lets the parsers of python3-prometheus-client judge what the fuzz targets wrote while they replayed their corpora.

usage: judge_outputs.py DIRECTORY   with *.txt (format 0.0.4) and *.om (OpenMetrics 1.0.0)
"""
import pathlib
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text


def objection(path, parse):
    """What the parser says against a file, or nothing."""
    try:
        for family in parse(path.read_bytes().decode("utf-8")):
            for sample in family.samples:
                float(sample.value)
    except Exception as problem:  # whatever a foreign parser throws is an objection
        return f"{path}: {problem!r}"
    return None


def main(directory):
    judged, objections = 0, []
    for suffix, parse in ((".txt", parse_text), (".om", parse_openmetrics)):
        for path in sorted(directory.glob("*" + suffix)):
            judged += 1
            if said := objection(path, parse):
                objections.append(said)
    print(f"{judged} outputs judged by python3-prometheus-client, {len(objections)} refused")
    for said in objections[:20]:
        print(said)
    return 1 if objections or judged == 0 else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))

"""Reads Prometheus text from standard input by the parser of python3-prometheus-client, and prints what that found:
a line a sample, `name value label=hex,label=hex`, label values in hexadecimal. Exits 1 with the reason if it refuses.
"""
import sys

from prometheus_client.parser import text_string_to_metric_families


def main():
    text = sys.stdin.buffer.read().decode("utf-8")
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value.encode('utf-8').hex()}" for name, value in sample.labels.items())
            print(f"{sample.name} {sample.value!r} {labels}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, IndexError, KeyError) as error:
        sys.exit(f"refused: {error!r}")

"""What collect() gives: the classes of prometheus_client, without it."""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import shmetrics._core as _core


class Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float
    timestamp: None = None
    exemplar: None = None


class Metric:
    def __init__(self, name: str, documentation: str, typ: str, unit: str = "") -> None:
        self.name = name
        self.documentation = documentation
        self.type = typ
        self.unit = unit
        self.samples: list[Sample] = []

    def __repr__(self) -> str:
        return f"Metric({self.name}, {self.documentation}, {self.type}, {self.unit}, {self.samples})"


# prometheus_client counts `_total` and `_info` to the sample, not to the family; and it writes a bound of 1 as 1.0.
_SUFFIXES = {"counter": "_total", "info": "_info"}


def bound_there(le: str) -> str:
    return le + ".0" if le.lstrip("-").isdigit() else le


def bound_here(le: str) -> str:
    return le.removesuffix(".0")


def collect(handle: object) -> Iterator[Metric]:
    last, metric = "", None
    for family, kind, documentation, unit, name, labels, value in _core.samples(handle):
        if metric is None or family != last:
            if metric is not None:
                yield metric
            last = family
            metric = Metric(family.removesuffix(_SUFFIXES.get(kind, "")), documentation, kind, unit)
        if name.endswith("_bucket") and kind == "histogram":
            labels["le"] = bound_there(labels["le"])
        metric.samples.append(Sample(name, labels, value))
    if metric is not None:
        yield metric

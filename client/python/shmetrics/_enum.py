"""One of some states: a gauge of ones and zeros, with the family's name for the label of the state."""
from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from . import Gauge, Registry


class Enum:
    """By default the state that any living worker has set last. With `multiprocess_mode="livesum"` it shows how many
    workers are in which state. Nothing is shown before the first state()."""

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (), namespace: str = "",
                 subsystem: str = "", unit: str = "", registry: Registry | None = None, *, states: Sequence[str] = (),
                 multiprocess_mode: str = "livemostrecent", series_limit: int = 0, naming: str = "strict") -> None:
        full = "_".join(part for part in (namespace, subsystem, name) if part)
        if unit:
            raise ValueError(f"{full}: a state has no unit")
        if not states:
            raise ValueError(f"{full}: give the states")
        self._labelnames = tuple(labelnames)
        if full in self._labelnames:
            raise ValueError(f"{full}: its name is the label of the state")
        self._states = tuple(states)
        self._labelvalues: tuple[object, ...] = ()
        self._gauge = Gauge(full, documentation, (*self._labelnames, full), registry=registry, naming=naming,
                            multiprocess_mode=multiprocess_mode, series_limit=series_limit)

    def labels(self, *values: object, **named: object) -> Enum:
        if len(values) + len(named) != len(self._labelnames) or (values and named) or self._labelvalues:
            raise ValueError(f"labels() takes {len(self._labelnames)} values, by position or by name")
        if not set(named) <= set(self._labelnames):
            raise ValueError(f"labels() takes {', '.join(self._labelnames)}")
        series = copy.copy(self)
        series._labelvalues = values or tuple(named[name] for name in self._labelnames)
        return series

    def state(self, state: str) -> None:
        """Sets it; ValueError where it is none of the states."""
        if state not in self._states:
            raise ValueError(f"no state {state!r}: use one of {', '.join(self._states)}")
        for other in self._states:  # never two ones at a time
            if other != state:
                self._gauge.labels(*self._labelvalues, other).set(0)
        self._gauge.labels(*self._labelvalues, state).set(1)

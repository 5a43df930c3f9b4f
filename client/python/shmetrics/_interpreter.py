"""python_info and python_gc_*, for who asks for them: of all workers, where prometheus_client shows those of one."""
from __future__ import annotations

import gc
from collections.abc import Mapping

from . import Counter, Info, Registry

_watched: set[str] = set()


def watch_interpreter(registry: Registry | None = None) -> None:
    """Shows python_info, and counts from now on what the collector of garbage does. Call it before the fork, or in each
    worker. A second call does nothing."""
    import platform
    where = "" if registry is None else registry.path
    if where in _watched:
        return
    _watched.add(where)
    major, minor, patchlevel = platform.python_version_tuple()
    Info("python_info", "Python platform information", registry=registry).info({
        "implementation": platform.python_implementation(), "major": major, "minor": minor, "patchlevel": patchlevel,
        "version": platform.python_version()})

    def counters(name: str, documentation: str) -> list[Counter]:
        family = Counter(f"python_gc_{name}", documentation, ["generation"], registry=registry)
        return [family.labels(generation) for generation in range(3)]
    collections = counters("collections", "Number of times this generation was collected")
    collected = counters("objects_collected", "Objects collected during gc")
    uncollectable = counters("objects_uncollectable", "Uncollectable objects found during GC")

    def count(phase: str, info: Mapping[str, int]) -> None:
        if phase == "stop":
            generation = info["generation"]
            collections[generation].inc()
            collected[generation].inc(info["collected"])
            uncollectable[generation].inc(info["uncollectable"])
    gc.callbacks.append(count)

"""Puts this package in the place of prometheus_client, for programs and middleware that import that by name.

`import shmetrics.as_prometheus_client` before anything else does, or `python -m shmetrics.as_prometheus_client COMMAND
...`, where COMMAND is a program written in Python, such as gunicorn. Names are as prometheus_client allows them. What
this package does not have (a collector of one's own) is prometheus_client's, where that is installed, and shown
by the process that has it alone.
"""
from __future__ import annotations

import functools
import importlib
import itertools
import os
import runpy
import shutil
import sys
import types
from typing import Any

import shmetrics
from shmetrics._exposition import Reader
from shmetrics._program import name_program

_NAME = "prometheus_client"


def _real() -> types.ModuleType | None:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # or it would write files of its own
    os.environ.pop("prometheus_multiproc_dir", None)
    try:
        return importlib.import_module(_NAME)
    except ImportError:
        return None


def _stand_in(ours: Any, real: Any) -> Any:
    """`ours` as a class that takes a registry of prometheus_client's; without any, the metric is local and `real`."""
    class StandIn(ours):  # type: ignore[misc]
        __slots__ = ()

        def __new__(cls, *args: Any, registry: Any = shmetrics.REGISTRY, **named: Any) -> Any:
            if registry is None and real is not None:
                return real(*args, registry=None, **named)
            return super().__new__(cls)

        def __init__(self, *args: Any, registry: Any = shmetrics.REGISTRY, **named: Any) -> None:
            if ours is not shmetrics.Info:
                named.setdefault("naming", "lenient")
            super().__init__(*args, registry=registry if isinstance(registry, Reader) else None, **named)
    StandIn.__name__ = StandIn.__qualname__ = ours.__name__
    return StandIn


def _no_collector(registry: object, path: object = None) -> None:
    """multiprocess.MultiProcessCollector: every registry shows all workers already."""


def _not_dead(pid: int, path: object = None) -> None:
    """multiprocess.mark_process_dead: the kernel says who lives."""


def _for_all(function: Any) -> Any:
    """With whatever registry: the segment is what it serves."""
    @functools.wraps(function)
    def serve(*args: Any, **named: Any) -> Any:
        def known(value: Any) -> Any:
            return value if isinstance(value, (Reader, int, str)) else None
        return function(*map(known, args), **{name: known(value) for name, value in named.items()})
    return serve


class _Own:
    """What a registry of prometheus_client's has by itself."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def collect(self) -> Any:
        return type(self._registry).collect(self._registry)


def _read_back(registry: Any) -> None:
    """Lets prometheus_client's default registry, which tests ask, also show what all workers have counted."""
    own = _Own(registry)

    def get_sample_value(name: str, labels: Any = None) -> Any:
        value = shmetrics.REGISTRY.get_sample_value(name, labels)
        return value if value is not None else type(registry).get_sample_value(own, name, labels)
    registry.collect = lambda: itertools.chain(shmetrics.REGISTRY.collect(), own.collect())
    registry.get_sample_value = get_sample_value


def _generate_latest(real: types.ModuleType | None) -> Any:
    theirs = real.exposition.generate_latest if real is not None else None

    def generate_latest(registry: Any = shmetrics.REGISTRY) -> bytes:
        if isinstance(registry, Reader) or theirs is None:
            return shmetrics.generate_latest(registry if isinstance(registry, Reader) else None)
        return shmetrics.generate_latest() + bytes(theirs(_Own(registry)))  # and what this process alone has
    return generate_latest


def install() -> types.ModuleType:
    """Does it, once; returns the module that `import prometheus_client` gives from now on."""
    module = sys.modules.get(_NAME)
    if module is not None and hasattr(module, "is_shmetrics"):
        return module
    real = _real()
    module = real if real is not None else types.ModuleType(_NAME)
    names: dict[str, Any] = {ours.__name__: _stand_in(ours, getattr(real, ours.__name__, None)) for ours in (
        shmetrics.Counter, shmetrics.Gauge, shmetrics.Histogram, shmetrics.Summary, shmetrics.Info, shmetrics.Enum)}
    names.update(generate_latest=_generate_latest(real), CONTENT_TYPE_LATEST=shmetrics.CONTENT_TYPE_LATEST,
                 make_wsgi_app=_for_all(shmetrics.make_wsgi_app), make_asgi_app=_for_all(shmetrics.make_asgi_app),
                 start_http_server=_for_all(shmetrics.start_http_server),
                 start_wsgi_server=_for_all(shmetrics.start_http_server))
    for part in ("exposition", "metrics", "multiprocess", "registry", "core", "asgi"):
        if real is None:
            sys.modules[f"{_NAME}.{part}"] = types.ModuleType(f"{_NAME}.{part}")
            setattr(module, part, sys.modules[f"{_NAME}.{part}"])
        else:
            importlib.import_module(f"{_NAME}.{part}")
    if real is None:
        names.update(REGISTRY=shmetrics.REGISTRY, CollectorRegistry=shmetrics._DefaultRegistry)
        module.registry.REGISTRY, module.registry.CollectorRegistry = shmetrics.REGISTRY, shmetrics._DefaultRegistry
    else:
        # Of one worker of many these say nothing.
        for own in ("PROCESS_COLLECTOR", "PLATFORM_COLLECTOR", "GC_COLLECTOR"):
            if own in vars(real):
                real.REGISTRY.unregister(getattr(real, own))
        _read_back(real.REGISTRY)
    module.multiprocess.MultiProcessCollector = _no_collector
    module.multiprocess.mark_process_dead = _not_dead
    for place in (module, module.exposition, module.metrics, module.core, module.asgi):
        for name, value in names.items():
            if place is module or real is None or name in vars(place):
                setattr(place, name, value)
    module.is_shmetrics = True  # type: ignore[attr-defined]
    sys.modules[_NAME] = module
    return module


install()

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m shmetrics.as_prometheus_client COMMAND [ARGUMENT ...]")
    program = shutil.which(sys.argv[1])
    if program is None:
        sys.exit(f"no command {sys.argv[1]}")
    del sys.argv[0]
    name_program(os.path.basename(program))
    runpy.run_path(program, run_name="__main__")

"""Metrics of prefork workers in shared memory, by the names of prometheus_client. docs/python.md says what differs.

Everything may be called from any thread and any signal handler, and works over fork: declare before it or after it. An
update of a known series makes no system call, waits for nobody and never raises for what the machine lacks.
"""
from __future__ import annotations

import grp
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Union

try:
    import shmetrics._core as _core
except ModuleNotFoundError as error:
    raise ImportError("shmetrics._core is not built: build the target shmetrics_python, or `pip install "
                      "./client/python`") from error
except ImportError as error:
    raise ImportError(f"shmetrics._core cannot be loaded here: {error}. It was built for another machine, or this is "
                      "an isolated subinterpreter (docs/python.md, Limits)") from error
from . import _ends, _program  # noqa: F401
from ._elsewhere import (LASTING, SET, delete_from_gateway, elsewhere, push_to_gateway, pushadd_to_gateway,
                         write_to_textfile)
from ._exposition import (CONTENT_TYPE_LATEST, Reader, generate_latest, make_asgi_app, make_wsgi_app,
                          start_http_server)
from ._scopes import ExceptionCounter, InprogressTracker, Timer

__all__ = ["CONTENT_TYPE_LATEST", "Counter", "Enum", "Gauge", "Histogram", "Info", "NativeBuckets", "REGISTRY",
           "Registry", "Summary", "delete_from_gateway", "generate_latest", "make_asgi_app", "make_wsgi_app",
           "push_to_gateway", "pushadd_to_gateway", "start_http_server", "watch_interpreter", "write_to_textfile"]

__version__ = "0.1.0"

# In the order of enum shmetrics_gauge_mode.
_MODES = ("livesum", "livemin", "livemax", "liveall", "livemostrecent", "sum", "min", "max", "mostrecent", "all",
          "shared")

# In the order of enum shmetrics_naming. Lenient: names as prometheus_client allows them.
_NAMINGS = ("strict", "lenient")


class Registry(Reader):
    """A segment: the file at `path`, else $SHMETRICS_SEGMENT, else /dev/shm/shmetrics-UID.seg (of root: shmetrics.seg).

    What is 0 has its default; all but `fresh` and `group` counts when this process creates the file. Raises OSError
    when the segment cannot be opened. Without a registry, metrics are declared in the segment of default options, and a
    warning says when there is none.
    """

    __slots__ = ()

    def __init__(self, path: Union[str, "os.PathLike[str]"] = "", *, fresh: bool = False, workers: int = 0,
                 slots: int = 0, cells: int = 0, directory_bytes: int = 0, mode: int = 0, group: int | str = -1,
                 series_per_family: int = 0) -> None:
        if isinstance(group, str):
            try:
                group = grp.getgrnam(group).gr_gid
            except KeyError:
                raise ValueError(f"no group {group!r} on this machine: give the name or the id of one") from None
        self._handle = _core.open(path, fresh, workers, slots, cells, directory_bytes, mode, group, series_per_family)

    register = unregister = elsewhere("collectors", SET)

    @property
    def path(self) -> str:
        """The file in use."""
        return _core.path(self._handle)


class _DefaultRegistry(Registry):
    """The segment of default options, opened when it is first needed."""

    __slots__ = ()

    def __init__(self) -> None:
        self._handle = None


REGISTRY = _DefaultRegistry()


def _full_name(name: str, namespace: str, subsystem: str, unit: str, suffix: str) -> str:
    full = "_".join(part for part in (namespace, subsystem, name) if part).removesuffix(suffix)
    if unit and not full.endswith("_" + unit):
        full += "_" + unit
    return full + suffix


def _naming(name: str) -> int:
    if name not in _NAMINGS:
        raise ValueError(f"no naming {name!r}: use one of {', '.join(_NAMINGS)}")
    return _NAMINGS.index(name)


def _handle(registry: Registry | None) -> object:
    return None if registry is None else registry._handle


class Counter(_core.Counter):
    """A count that only grows, also by fractions. Its name gets `_total` where that is missing. With `exemplars`, it
    shows the newest one that inc() was given; without, they are dropped and counted."""

    __slots__ = ()
    clear = remove = reset = elsewhere("Counter that forgets", LASTING)

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (), namespace: str = "",
                 subsystem: str = "", unit: str = "", registry: Registry | None = None, *,
                 series_limit: int = 0, naming: str = "strict", exemplars: bool = False) -> None:
        self._declare("counter", _handle(registry), _full_name(name, namespace, subsystem, unit, "_total"),
                      documentation, tuple(labelnames), unit, series_limit, 0, (), _naming(naming), exemplars)

    def count_exceptions(self, exception: type[BaseException] | tuple[type[BaseException], ...] = Exception
                         ) -> ExceptionCounter:
        """`with` or decorator: counts the exceptions of this type that leave it."""
        return ExceptionCounter(self, exception)


class Gauge(_core.Gauge):
    """A value that goes up and down; `multiprocess_mode` says what many workers' values become: docs/merge-rules.md."""

    __slots__ = ()
    set_function = elsewhere("Gauge.set_function()", SET)
    clear = elsewhere("Gauge.clear()", "remove() takes the label values of one series")

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (), namespace: str = "",
                 subsystem: str = "", unit: str = "", registry: Registry | None = None, *,
                 multiprocess_mode: str = "all", series_limit: int = 0, naming: str = "strict") -> None:
        if multiprocess_mode not in _MODES:
            raise ValueError(f"no multiprocess mode {multiprocess_mode!r}: use one of {', '.join(_MODES)}")
        self._declare("gauge", _handle(registry), _full_name(name, namespace, subsystem, unit, ""), documentation,
                      tuple(labelnames), unit, series_limit, _MODES.index(multiprocess_mode), (),
                      _naming(naming))

    def remove(self, *labelvalues: object) -> None:
        """This process shows no value for these label values any more, until it sets one. Others show theirs."""
        self._remove(*labelvalues)

    def track_inprogress(self) -> InprogressTracker:
        """`with` or decorator: 1 more for as long as it runs."""
        return InprogressTracker(self)

    def time(self) -> Timer[Gauge]:
        """`with` or decorator: set to the seconds that it took."""
        return Timer(self, "set")


class Summary(_core.Summary):
    """The sum and the number of observations."""

    __slots__ = ()
    clear = remove = reset = elsewhere("Summary that forgets", LASTING)

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (), namespace: str = "",
                 subsystem: str = "", unit: str = "", registry: Registry | None = None, *,
                 series_limit: int = 0, naming: str = "strict") -> None:
        self._declare("summary", _handle(registry), _full_name(name, namespace, subsystem, unit, ""), documentation,
                      tuple(labelnames), unit, series_limit, 0, (), _naming(naming))

    def time(self) -> Timer[Summary]:
        """`with` or decorator: observes the seconds that it took."""
        return Timer(self, "observe")


class NativeBuckets(NamedTuple):
    """Buckets that grow by a factor, from `low` to `high`, both above 0: docs/native-histograms.md."""

    low: float
    high: float
    factor: float = 1.1


class Histogram(_core.Histogram):
    """Observations in buckets: 1 to 64 finite upper bounds, increasing; +Inf comes on top, named or not. Or `native`
    ones; then values below 0 are refused and counted."""

    __slots__ = ()
    clear = remove = reset = elsewhere("Histogram that forgets", LASTING)

    DEFAULT_BUCKETS = (.005, .01, .025, .05, .075, .1, .25, .5, .75, 1.0, 2.5, 5.0, 7.5, 10.0, float("inf"))

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (), namespace: str = "",
                 subsystem: str = "", unit: str = "", registry: Registry | None = None, *,
                 buckets: Sequence[float | str] = DEFAULT_BUCKETS, native: NativeBuckets | None = None,
                 series_limit: int = 0, naming: str = "strict", exemplars: bool = False) -> None:
        if native is not None and buckets is not self.DEFAULT_BUCKETS:
            raise ValueError("buckets and native: give one of them")
        bounds = tuple(float(bound) for bound in native or buckets)
        if native is None and bounds[-1:] == (float("inf"),):
            bounds = bounds[:-1]
        self._declare("native" if native else "histogram", _handle(registry),
                      _full_name(name, namespace, subsystem, unit, ""), documentation, tuple(labelnames), unit,
                      series_limit, 0, bounds, _naming(naming), exemplars)

    def time(self) -> Timer[Histogram]:
        """`with` or decorator: observes the seconds that it took."""
        return Timer(self, "observe")


class Info:
    """A constant 1 whose labels tell something about the program. Its name gets `_info` where that is missing."""

    def __init__(self, name: str, documentation: str, *, namespace: str = "", subsystem: str = "",
                 registry: Registry | None = None) -> None:
        self._name = _full_name(name, namespace, subsystem, "", "_info")
        self._documentation = documentation
        self._registry = registry

    def info(self, val: Mapping[str, object]) -> None:
        """Call it once: what was told is shown while a worker lives that told it, or was forked from one that did.
        Values of any type: str() of each."""
        _core.info(_handle(self._registry), self._name, self._documentation, tuple(val), tuple(map(str, val.values())))


from ._enum import Enum  # noqa: E402
from ._interpreter import watch_interpreter  # noqa: E402

"""What begins and ends: each a `with` statement and a decorator."""
from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Generic, Protocol, TypeVar, cast

import shmetrics._core as _core

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Self = TypeVar("_Self", bound="_Scope")


class _Labelled(Protocol):
    def labels(self: _Metric, *values: object, **named_values: object) -> _Metric: ...


_Metric = TypeVar("_Metric", bound=_Labelled)


class _Scope:
    def _again(self: _Self) -> _Self:
        return self

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        raise NotImplementedError

    def __call__(self, function: _Function) -> _Function:
        """Around each call, to its end: of a coroutine until it returns, of a generator from the first step to the
        last. Making either is not the work that is meant."""
        return cast(_Function, functools.wraps(function)(self._around(function)))

    # A scope for each call: calls may be nested, in several threads, and interleaved in one event loop.
    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            with self._again():
                return function(*args, **named)

        async def coroutine(*args: Any, **named: Any) -> Any:
            with self._again():
                return await function(*args, **named)

        def generator(*args: Any, **named: Any) -> Generator[Any, Any, Any]:
            with self._again():
                return (yield from function(*args, **named))

        async def async_generator(*args: Any, **named: Any) -> AsyncGenerator[Any, Any]:
            with self._again():
                inner = function(*args, **named)
                try:
                    item = await inner.__anext__()
                    while True:
                        try:
                            sent = yield item
                        except GeneratorExit:
                            await inner.aclose()
                            raise
                        except BaseException as error:
                            item = await inner.athrow(error)
                        else:
                            item = await inner.asend(sent)
                except StopAsyncIteration:
                    return

        ways: tuple[tuple[Callable[[Any], bool], Callable[..., Any]], ...] = (
            (inspect.iscoroutinefunction, coroutine), (inspect.isgeneratorfunction, generator),
            (inspect.isasyncgenfunction, async_generator))
        for kind, way in ways:
            if kind(function) or kind(getattr(function, "__call__", None)):  # an object may be called too
                return way
        return call


class ExceptionCounter(_Scope):
    def __init__(self, counter: _core.Counter,
                 exception: type[BaseException] | tuple[type[BaseException], ...]) -> None:
        self._counter = counter
        self._exception = exception

    def __enter__(self) -> ExceptionCounter:
        self._counter.inc(0)  # without label values it raises: here, and not in the place of what it is to count
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._exception):
            self._counter.inc()


class InprogressTracker(_Scope):
    def __init__(self, gauge: _core.Gauge) -> None:
        self._gauge = gauge

    def _again(self) -> InprogressTracker:
        return InprogressTracker(self._gauge)

    def __enter__(self) -> InprogressTracker:
        self._is_counted = self._gauge._enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._is_counted:
            self._gauge.dec()


class Timer(_Scope, Generic[_Metric]):
    def __init__(self, metric: _Metric, verb: str) -> None:
        self._metric = metric
        self._verb = verb

    def _again(self) -> Timer[_Metric]:
        return Timer(self._metric, self._verb)

    def labels(self, *values: object, **named_values: object) -> None:
        """For what is known only within: the series that will get the time."""
        self._metric = self._metric.labels(*values, **named_values)

    def __enter__(self) -> Timer[_Metric]:
        self._start = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        getattr(self._metric, self._verb)(time.perf_counter() - self._start)

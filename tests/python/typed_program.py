"""What mypy --strict has to accept, and, where a line says so, to refuse."""
from pathlib import Path

from shmetrics import Counter, Gauge, Histogram, Info, NativeBuckets, Registry, Summary

registry = Registry(Path("/tmp/typed.seg"), workers=8)
requests: Counter = Counter("typed_requests", "Requests", ["method"], registry=registry).labels("GET")
requests.inc(0.5)
requests.inc("1")  # type: ignore[arg-type]
requests.set(1)  # type: ignore[attr-defined]
depth = Gauge("typed_depth", "Depth", multiprocess_mode="livesum")
depth.set(1)
depth.set()  # type: ignore[call-arg]
Histogram("typed_native", "Native", native=NativeBuckets(1, 2, factor=1.5)).observe(1)
Histogram("typed_list", "List", native=[1, 2])  # type: ignore[arg-type]
Info("typed_build", "Build").info({"version": "1"})
Counter("typed", 1)  # type: ignore[arg-type]


@Histogram("typed_seconds", "Seconds", buckets=[0.1, 1]).time()
def half(number: int) -> float:
    with depth.track_inprogress(), requests.count_exceptions(ValueError), Summary("typed_rest", "Rest").time() as timer:
        timer.labels("late")
        return number / 2


print(half(3) + 1)
half("3")  # type: ignore[arg-type]

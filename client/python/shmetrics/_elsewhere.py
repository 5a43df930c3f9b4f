"""What prometheus_client has and this package cannot have: each says by an exception where to go instead."""
from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn


def elsewhere(name: str, way: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **named: object) -> NoReturn:
        raise NotImplementedError(f"shmetrics has no {name}: {way}")
    refuse.__name__ = refuse.__qualname__ = name
    return refuse


_PUSH = ("let shmetrics-exporter serve the segment; a job that ends leaves its counts there. Or send generate_latest() "
         "by an HTTP client of yours")
push_to_gateway = elsewhere("push_to_gateway()", _PUSH)
pushadd_to_gateway = elsewhere("pushadd_to_gateway()", _PUSH)
delete_from_gateway = elsewhere("delete_from_gateway()", _PUSH)
write_to_textfile = elsewhere("write_to_textfile()", "write what generate_latest() returns")

SET = "nobody can call a worker when the metrics are read; set() a Gauge when its value changes, or by a timer"
LASTING = "what all workers have counted stays; rate() and increase() of Prometheus show what is new"

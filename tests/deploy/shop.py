"""A small application of real processes, each of which does something whenever a test says so."""
import ctypes
import os
import signal
import traceback

PR_SET_PDEATHSIG = 1


class Process:
    """A process that takes one of its steps at each step(), and lives until end(). A step is a function of what the
    steps of one process share."""

    def __init__(self, *steps):
        orders, self.order = os.pipe()
        self.answer, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                shared = {}
                for step in steps:
                    os.read(orders, 1)
                    step(shared)
                    os.write(answers, b"+")
                signal.pause()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(orders)
        os.close(answers)

    def step(self):
        os.write(self.order, b"+")
        if os.read(self.answer, 1) != b"+":
            raise RuntimeError("the process failed, its stderr is above")

    def end(self):
        if self.pid != 0:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.order)
            os.close(self.answer)
        self.pid = 0


def declare(path=None, labels=("item",), **options):
    """A step: it opens the segment, that of the environment by default, and counts nothing."""
    def step(shop):
        import shmetrics
        registry = shmetrics.Registry(path, **options) if path else shmetrics.REGISTRY
        shop["orders"] = shmetrics.Counter("shop_orders", "Orders", labels, registry=registry)
        shop["baskets"] = shmetrics.Gauge("shop_baskets", "Open baskets", ["page"], registry=registry)
    return step


def sell(*values):
    """A step: one order more, and two open baskets."""
    def step(shop):
        shop["orders"].labels(*values).inc()
        shop["baskets"].labels(values[0]).set(2)
    return step


def start(path=None, labels=("item",), **options):
    return both(declare(path, labels, **options), sell(*labels))


def measure(path, kind):
    """A step: it observes a second in a metric of that kind."""
    def step(_):
        import shmetrics
        getattr(shmetrics, kind)("shop_seconds", "Time", registry=shmetrics.Registry(path)).observe(1)
    return step


def become(user):
    def step(_):
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    return step


def fork(inner):
    """A step: a child takes the step `inner`, and lives as long as its parent."""
    def step(shop):
        waits, ready = os.pipe()
        if os.fork() == 0:
            try:
                inner(shop)
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                os.write(ready, b"+")
                signal.pause()
            finally:
                os._exit(1)
        os.close(ready)
        if os.read(waits, 1) != b"+":
            raise RuntimeError("the child failed")
    return step


def both(*steps):
    def step(shop):
        for each in steps:
            each(shop)
    return step

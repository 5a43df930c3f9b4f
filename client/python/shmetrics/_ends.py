"""Ends that are no deaths. multiprocessing and billiard (celery) leave their children by os._exit, which skips the exit
handlers of C. And a server may repeat SIGTERM while Python finalises: so the worker is released as early as Python
allows."""
import atexit
import os
import sys
from types import ModuleType
from typing import Any

from ._core import release_worker


def _release_last(util: ModuleType) -> None:
    util.Finalize(None, release_worker, exitpriority=-1000)


def _release_before_exit(worker: Any) -> None:
    """A pool's worker in billiard runs no finalizer; its pool may send SIGTERM as soon as it has said that it ends."""
    do_exit = worker._do_exit

    def release_and_exit(*args: object) -> None:
        release_worker()
        do_exit(*args)
    worker._do_exit = release_and_exit


def _watch_pools() -> None:
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            _release_last(util)  # this process is such a child already; one that is being forked forgets it
            util.register_after_fork(util, _release_last)
    worker = getattr(sys.modules.get("billiard.pool"), "Worker", None)
    if getattr(getattr(worker, "_do_exit", None), "__module__", __name__) != __name__:  # there, and not ours already
        _release_before_exit(worker)


atexit.register(release_worker)
os.register_at_fork(after_in_child=_watch_pools)
_watch_pools()

"""Ends that are no deaths. multiprocessing and billiard (celery) leave their children by os._exit, which skips the exit
handlers of C, and so does what becomes another program by os.exec*. uvicorn since 0.29 sends itself the signal again
that stopped it, and dies of it. And a server may repeat SIGTERM while Python finalises: so the worker is released as
early as Python allows."""
import atexit
import functools
import os
import sys
from types import ModuleType
from typing import Any

from ._core import release_worker, resume_worker


def _release_last(util: ModuleType) -> None:
    util.Finalize(None, release_worker, exitpriority=-1000)


def _release_before_exit(worker: Any) -> None:
    """A pool's worker in billiard runs no finalizer; its pool may send SIGTERM as soon as it has said that it ends."""
    do_exit = worker._do_exit

    def release_and_exit(*args: object) -> None:
        release_worker()
        do_exit(*args)
    worker._do_exit = release_and_exit


def _release_before_signal(server: Any) -> None:
    """Only where uvicorn was stopped by a signal: one that serves in a thread of a program may end before it."""
    shutdown = server.shutdown

    async def shutdown_and_release(self: Any, *args: Any, **named: Any) -> None:
        await shutdown(self, *args, **named)
        if getattr(self, "_captured_signals", None):
            release_worker()
    server.shutdown = shutdown_and_release


def _release_before_exec(name: str) -> None:
    execute = getattr(os, name)

    @functools.wraps(execute)
    def release_and_execute(*args: Any, **named: Any) -> None:
        release_worker()
        try:
            execute(*args, **named)
        finally:
            resume_worker()  # it has failed, and the process goes on
    setattr(os, name, release_and_execute)


def _is_ours_to_wrap(function: object) -> bool:  # it is there, and not wrapped already
    return getattr(function, "__module__", __name__) != __name__


def _watch_ends() -> None:
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            _release_last(util)  # this process is such a child already; one that is being forked forgets it
            util.register_after_fork(util, _release_last)
    worker = getattr(sys.modules.get("billiard.pool"), "Worker", None)
    if _is_ours_to_wrap(getattr(worker, "_do_exit", None)):
        _release_before_exit(worker)
    server = getattr(sys.modules.get("uvicorn.server"), "Server", None)
    if _is_ours_to_wrap(getattr(server, "shutdown", None)):
        _release_before_signal(server)


for _name in ("execv", "execve"):  # the others call these
    _release_before_exec(_name)
atexit.register(release_worker)
os.register_at_fork(after_in_child=_watch_ends)
_watch_ends()

"""Children of multiprocessing and billiard that count, however they are started; of each kind one may be killed."""
import multiprocessing
import os
import signal
import sys

import billiard

from shmetrics import Counter

POOLED = Counter("pooled", "Pooled", ["x"])


def count(n):
    POOLED.labels("a").inc(n)


def count_and_die():
    count(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    ways = [multiprocessing.get_context(method) for method in ("fork", "spawn", "forkserver")]
    ways.append(billiard.get_context("fork"))
    for way in ways:
        if way is ways[-1]:  # its pool's close() takes half a minute, and its terminate() may wait for ever
            children = [way.Process(target=count, args=(n,)) for n in (1, 2, 3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
        else:
            with way.Pool(2, maxtasksperchild=1) as pool:
                pool.map(count, [1, 2, 3], chunksize=1)
                pool.close()
                pool.join()
        if "kill" in sys.argv:
            child = way.Process(target=count_and_die)
            child.start()
            child.join()

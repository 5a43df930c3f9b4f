"""Processes of multiprocessing that count, however they are started."""
import multiprocessing

from shmetrics import Counter

POOLED = Counter("pooled", "Pooled", ["x"])


def count(n):
    POOLED.labels("a").inc(n)


if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            pool.map(count, [1, 2, 3])
            pool.close()
            pool.join()

"""Scopes around coroutines and generators measure the work, not the making of the object that will do it."""
import asyncio
import functools
import inspect
import time
import unittest

from segments import samples

from shmetrics import Counter, Gauge, Histogram

STEP = 0.02


class PythonAsync(unittest.TestCase):
    def setUp(self):
        name = self.id().rsplit(".", 1)[1]
        self.seconds = Histogram(name + "_seconds", "Seconds")
        self.inside = Gauge(name + "_inside", "Inside", multiprocess_mode="livesum")
        self.failed = Counter(name + "_failed", "Failed")
        self.prefix = name

    def shown(self, what):
        return samples(prefix=self.prefix)[f"{self.prefix}_{what}"]

    def scoped(self, function):
        return self.seconds.time()(self.inside.track_inprogress()(self.failed.count_exceptions(KeyError)(function)))

    def assert_measured(self, calls, seconds, failures=0):
        self.assertEqual((calls, 0, failures),
                         (self.shown("seconds_count"), self.shown("inside"), self.shown("failed_total")))
        self.assertGreaterEqual(self.shown("seconds_sum"), seconds)

    def test_coroutines_are_measured_until_they_return_also_side_by_side(self):
        @self.scoped
        async def work(fails=False):
            """Work."""
            await asyncio.sleep(STEP)
            shown.append(self.shown("inside"))
            if fails:
                raise KeyError
            return 7
        shown = []

        async def main():
            return await asyncio.gather(work(), work(), work(fails=True), return_exceptions=True)
        results = asyncio.run(main())
        self.assertEqual([7, 7, KeyError], results[:2] + [type(results[2])])
        self.assertEqual(3, max(shown), "all three are inside at once")
        self.assert_measured(3, 3 * STEP, failures=1)
        self.assertTrue(inspect.iscoroutinefunction(work))
        self.assertEqual(("work", "Work."), (work.__name__, work.__doc__))

    def test_a_cancelled_coroutine_ends_its_scope(self):
        @self.scoped
        async def work():
            await asyncio.sleep(60)

        async def main():
            task = asyncio.create_task(work())
            await asyncio.sleep(STEP)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        asyncio.run(main())
        self.assert_measured(1, STEP)

    def test_what_is_never_awaited_is_not_counted(self):
        @self.scoped
        async def work():
            pass
        work().close()
        self.assertEqual(0, self.shown("seconds_count"))

    def test_generators_are_measured_from_the_first_step_to_the_last_and_pass_on_what_is_sent(self):
        @self.scoped
        def steps():
            got = yield 1
            time.sleep(STEP)
            try:
                yield got
            except OSError:
                yield "mended"
            return "done"

        def whole():
            self.assertEqual("done", (yield from steps()))
        made = whole()
        self.assertEqual(1, next(made))
        self.assertEqual(1, self.shown("inside"))
        self.assertEqual(5, made.send(5))
        self.assertEqual("mended", made.throw(OSError()))
        self.assertEqual([], list(made))
        self.assert_measured(1, STEP)
        left = steps()
        next(left)
        left.close()
        self.assert_measured(2, STEP)

    def test_async_generators_too(self):
        closed = []

        @self.scoped
        async def steps(fails=False):
            try:
                got = yield 1
                await asyncio.sleep(STEP)
                try:
                    yield got
                except OSError:
                    yield "mended"
                if fails:
                    raise KeyError
            finally:
                closed.append(True)

        async def main():
            made = steps()
            self.assertEqual(1, await made.__anext__())
            self.assertEqual(1, self.shown("inside"))
            self.assertEqual(5, await made.asend(5))
            self.assertEqual("mended", await made.athrow(OSError()))
            self.assertEqual([], [item async for item in made])
            self.assertEqual([1, None], [item async for item in steps()])
            with self.assertRaises(KeyError):
                [item async for item in steps(fails=True)]
            left = steps()
            await left.__anext__()
            await left.aclose()
        asyncio.run(main())
        self.assertEqual(4, len(closed), "closed with its scope, not when it is collected")
        self.assert_measured(4, 3 * STEP, failures=1)

    def test_partial_functions_and_objects_that_are_called_are_seen_through(self):
        class Handler:
            async def __call__(self):
                await asyncio.sleep(STEP)

        async def work(seconds):
            await asyncio.sleep(seconds)
        called = self.seconds.time()(functools.partial(work, STEP)), self.seconds.time()(Handler())
        for each in called:
            asyncio.run(each())
        self.assert_measured(2, 2 * STEP)


if __name__ == "__main__":
    unittest.main()

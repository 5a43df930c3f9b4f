"""Plays the stories of docs/troubleshooting.md, "When an alert fires", with real workers, exporters and a Prometheus.

Each row of the table on that page is played: what the scrape shows, which alerts fire and after how long, what
`shmetrics doctor` says. The Prometheus runs with the shipped alerts, in which an hour is a minute. It must come to the
alerts of the row, not earlier than the row says, and to no others. Then promtool judges the alerts as they are shipped,
fed with what the exporter said before and after.

usage: stories_test.py DIRECTORY_OF_PROGRAMS DIRECTORY_OF_THE_PACKAGE
"""
import contextlib
import os
import pathlib
import pwd
import re
import sys
import tempfile
import time
import unittest

import yaml

import deployment
import shop
from deployment import DEPLOY, ROOT, RunningExporter, RunningPrometheus, as_user, fetch, run

FASTER = 60  # an hour is a minute
KNOWN_SECONDS = 20  # 15 minutes and more: then no segment is news
WAIT_SECONDS = 120
SETTLE_SECONDS = 3
SHORTER = ((r"\[15m\]", "[15s]"), ("offset 15m", "offset 15s"), (r"15 \* 60", "15"), (r"for: (\d+)m", r"for: \1s"),
           ("for: 1h", "for: 60s"), (r"interval: \w+", "interval: 1s"))
PAGE = "docs/troubleshooting.md"
HEADING = "When an alert fires"
DURATIONS = {"-": 0, "at once": 0, "2 minutes": 120, "an hour": 3600}
NOBODY = pwd.getpwnam("nobody").pw_uid
TMPFS_BYTES = 4 << 20

programs = pathlib.Path(".")


class Row:
    def __init__(self, cells):
        self.story = cells[0]
        self.scrape = re.findall(r"`([^`]+)`", cells[1])
        self.alerts = set(re.findall(r"`(\w+)`", cells[2]))
        self.seconds = DURATIONS[cells[3]]
        self.doctor = re.findall(r"`([^`]+)`", cells[4])


def rows():
    section = (ROOT / PAGE).read_text().split(f"\n## {HEADING}\n")[1].split("\n## ")[0]
    table = section.split("\n\n|")[1]  # the first one; the second is of alerts that have no story
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return [Row([cell.strip() for cell in cells]) for cells in lines[1:]]


class Story:
    """A segment, its workers and an exporter. All is well after begin(), and not after go_wrong()."""

    reader = None  # the user of the exporter and of doctor; None: this one

    def __init__(self, stack, folder):
        self.stack, self.folder = stack, folder
        self.path = folder / "shop.seg"
        folder.mkdir()
        folder.chmod(0o755)
        self.begin()
        self.exporter = stack.enter_context(RunningExporter(programs, self.path, user=self.reader))

    def begin(self):
        self.worker = self.run(shop.start(self.path))

    def go_wrong(self):
        raise NotImplementedError

    def run(self, *steps):
        """A process that has taken the first step."""
        process = shop.Process(*steps)
        self.stack.callback(process.end)
        process.step()
        return process

    def doctor(self):
        return run(*as_user(self.reader), str(programs / "shmetrics"), "doctor", str(self.path)).stdout

    def scrape(self):
        return fetch(self.exporter.port, self.exporter.token)


class ChangedLabels(Story):
    def go_wrong(self):
        self.run(shop.start(self.path, labels=("item", "country")))


class ChangedType(Story):
    def begin(self):
        self.run(shop.measure(self.path, "Summary"))

    def go_wrong(self):
        self.run(shop.measure(self.path, "Histogram"))


class ChildrenDrop(Story):
    def begin(self):
        super().begin()
        self.master = self.run(shop.start(self.path), shop.fork(shop.both(shop.become(NOBODY), shop.sell("book"))))

    def go_wrong(self):
        self.master.step()


class ForksLater(Story):
    def go_wrong(self):
        self.run(shop.both(shop.start(self.path), shop.become(NOBODY), shop.fork(shop.sell("book"))))


class AllKilled(Story):
    def begin(self):
        super().begin()
        self.other = self.run(shop.start(self.path))

    def go_wrong(self):
        self.worker.end()
        self.other.end()


class KilledAndReplaced(AllKilled):
    def go_wrong(self):
        super().go_wrong()
        self.run(shop.start(self.path))
        self.run(shop.start(self.path))


class FullDisk(Story):
    def begin(self):
        mounted = run("mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=0755", "tmpfs", str(self.folder))
        if mounted.returncode != 0:
            raise unittest.SkipTest("no tmpfs can be mounted here: " + mounted.stderr)
        self.stack.callback(run, "umount", "--lazy", str(self.folder))
        self.worker = self.run(shop.start(self.path), shop.both(*(shop.sell(f"item {i}") for i in range(5000))))

    def go_wrong(self):
        with open(self.folder / "ballast", "wb") as ballast:
            room = os.fstatvfs(ballast.fileno())
            os.posix_fallocate(ballast.fileno(), 0, room.f_bavail * room.f_frsize)
        self.worker.step()


class UnreadableForTheExporter(Story):
    reader = NOBODY

    def begin(self):
        self.worker = self.run(shop.start(self.path, mode=0o640, group=pwd.getpwnam("nobody").pw_gid))

    def go_wrong(self):
        self.worker.end()
        self.path.unlink()
        self.run(shop.start(self.path))


class UnwritableForTheWorkers(Story):
    def go_wrong(self):
        self.worker.end()
        self.run(shop.both(shop.become(NOBODY), lambda _: os.environ.update(SHMETRICS_SEGMENT=str(self.path)),
                           shop.start()))


STORIES = {
    "a rolling deploy adds a label": ChangedLabels,
    "a rolling deploy makes a summary a histogram": ChangedType,
    "a master of root forks, its children drop their privileges": ChildrenDrop,
    "a worker drops its privileges and forks, the child sets a gauge": ForksLater,
    "all workers are dead": AllKilled,
    "workers are killed, and others take their places": KilledAndReplaced,
    "the file system is full": FullDisk,
    "the file is made anew without the exporter's group": UnreadableForTheExporter,
    "workers may not open the file, since root made it first": UnwritableForTheWorkers,
}


def shortened(text):
    for long, short in SHORTER:
        text = re.sub(long, short, text)
    return text


def configuration(folder, stories):
    """With the shipped alerts, in which an hour is a minute."""
    (folder / "alerts.yml").write_text(shortened((DEPLOY / "prometheus/shmetrics-alerts.yml").read_text()))
    job = {"job_name": "shop", "metrics_path": "/api/metrics", "static_configs": [
        {"targets": [f"127.0.0.1:{story.exporter.port}"], "labels": {"story": name}}
        for name, story in stories.items()]}
    job["authorization"] = {"credentials": next(iter(stories.values())).exporter.token}
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"], "scrape_configs": [job]}))
    return path


def samples(text):
    """What the segment's and the exporter's own metrics are, as {series: value}."""
    found = dict(re.findall(r"^(shmetrics_\S*?(?:\{.*\})?) (\S+)$", text, re.MULTILINE))
    # The clock of promtool begins at 0: a segment is some days old there.
    return {series: "-864000" if "created_timestamp" in series else value for series, value in found.items()}


def judged_by_promtool(row, before, after):
    """A test for promtool: 20 minutes of the scrape before, then hours of that after."""
    series = []
    for name in sorted({*before, *after}):
        begin = f"{before[name]}x40" if name in before else "_x41"
        end = f"{after[name]}x400" if name in after else "stale"
        labels = "{" + ", ".join(filter(None, [name.partition("{")[2].rstrip("}"), 'job="shop", instance="a"'])) + "}"
        series.append({"series": name.partition("{")[0] + labels, "values": f"{begin} {end}"})
    fires = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(row.alerts)]
    firing = 'group by (alertname) (ALERTS{alertstate="firing"})'
    moments = {"20m": [], f"{20 * 60 + 30 + row.seconds}s": fires}
    if row.seconds > 0:
        moments[f"{20 * 60 + row.seconds}s"] = []
    return {"name": row.story, "interval": "30s", "input_series": series, "promql_expr_test": [
        {"expr": firing, "eval_time": moment, "exp_samples": expected} for moment, expected in moments.items()]}


class Stories(unittest.TestCase):
    longMessage = False

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("stories of several users need root")
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.folder = pathlib.Path(cls.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm")))
        cls.folder.chmod(0o755)
        cls.rows = {row.story: row for row in rows()}
        cls.stories = {name: story(cls.stack, cls.folder / str(number))
                       for number, (name, story) in enumerate(STORIES.items())}
        cls.prometheus = cls.stack.enter_context(RunningPrometheus(configuration(cls.folder, cls.stories)))
        time.sleep(KNOWN_SECONDS)
        cls.early = cls.firing()
        cls.before = {name: story.scrape() for name, story in cls.stories.items()}
        cls.went_wrong = {}
        for name, story in cls.stories.items():
            cls.went_wrong[name] = time.monotonic()
            story.go_wrong()
        cls.after = {name: story.scrape() for name, story in cls.stories.items()}
        cls.said = {name: story.doctor() for name, story in cls.stories.items()}
        cls.seen = cls.watch()

    @classmethod
    def firing(cls):
        """(story, alert) of each that fires."""
        return {(alert["labels"]["story"], alert["labels"]["alertname"])
                for alert in cls.prometheus.api("alerts")["alerts"] if alert["state"] == "firing"}

    @classmethod
    def watch(cls):
        """{(story, alert): seconds after it went wrong} of all that come, until those of the page are there."""
        wanted = {(name, alert) for name, row in cls.rows.items() for alert in row.alerts}
        seen, end = {}, time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            for story, alert in cls.firing():
                seen.setdefault((story, alert), time.monotonic() - cls.went_wrong[story])
            if wanted <= set(seen):
                end = min(end, time.monotonic() + SETTLE_SECONDS)
                wanted = {None}
            time.sleep(0.3)
        return seen

    def test_the_page_tells_the_stories_that_are_played(self):
        self.assertEqual(list(STORIES), list(self.rows))

    def test_no_alert_fires_while_all_is_well(self):
        self.assertEqual(set(), self.early)

    def test_the_scrape_shows_what_the_page_says(self):
        for name, row in self.rows.items():
            lines = [line for line in self.after[name].splitlines() if line.startswith("shmetrics_")]
            for sample in row.scrape:
                with self.subTest(name, sample=sample):
                    shown = [line for line in lines if f"{line} ".startswith(f"{sample} ")]
                    self.assertTrue(shown, "\n".join(lines))
                    if row.alerts:
                        self.assertNotIn(shown[0], self.before[name].splitlines(), "it was so before")

    def test_prometheus_comes_to_the_alerts_of_the_page_and_to_no_others(self):
        for name, row in self.rows.items():
            seen = {alert: seconds for (story, alert), seconds in self.seen.items() if story == name}
            print(f"{name}: " + (", ".join(f"{alert} after {s:.0f} s" for alert, s in seen.items()) or "no alert"))
            with self.subTest(name):
                self.assertEqual(row.alerts, set(seen))
                self.assertGreaterEqual(min([*seen.values(), WAIT_SECONDS]), row.seconds / FASTER)

    def test_promtool_comes_to_them_by_the_alerts_as_they_are_shipped_after_the_time_of_the_page(self):
        tests = [judged_by_promtool(row, samples(self.before[name]), samples(self.after[name]))
                 for name, row in self.rows.items()]
        path = self.folder / "tests.yml"
        path.write_text(yaml.safe_dump({"rule_files": [str(DEPLOY / "prometheus/shmetrics-alerts.yml")],
                                        "evaluation_interval": "30s", "tests": tests}))
        judged = run("promtool", "test", "rules", str(path))
        self.assertEqual(0, judged.returncode, judged.stdout + judged.stderr)

    def test_doctor_says_what_the_page_says(self):
        for name, row in self.rows.items():
            for text in row.doctor:
                with self.subTest(name):
                    self.assertIn(text, self.said[name])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    programs = pathlib.Path(sys.argv.pop(1)).resolve()
    sys.path.insert(0, str(pathlib.Path(sys.argv.pop(1)).resolve()))
    unittest.main()

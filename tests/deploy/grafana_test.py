"""The dashboards of deploy/grafana are dashboards by the types that Grafana itself publishes, @grafana/schema.

tsc judges them as literals, so it also refuses what those types do not know. npm brings both into FOLDER, once.

usage: grafana_test.py FOLDER
"""
import copy
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from deployment import DEPLOY, ROOT, read_yaml

HERE = ROOT / "tests/deploy/grafana"
TYPES = "node_modules/@grafana/schema/dist/esm/raw/composable"
NAMES = ("mastercrm", "shmetrics")

folder = pathlib.Path(".")


def without_type(panel):
    del panel["type"]


def without_name_of_query(panel):
    del panel["targets"][0]["refId"]


# What is wrong -> how a panel of lines becomes so.
WRONG_PANELS = {
    "a panel without a type": without_type,
    "a query without a name": without_name_of_query,
    "a style that is none": lambda panel: panel["fieldConfig"]["defaults"]["custom"].update(drawStyle="lines"),
    "a place that is none": lambda panel: panel["options"]["legend"].update(placement="top"),
    "an option of another panel": lambda panel: panel["options"].update(colorMode="value"),
    "a width in words": lambda panel: panel["gridPos"].update(w="12"),
}
WRONG_DASHBOARDS = {
    "a key that Grafana does not know": lambda dashboard: dashboard.update(titel="shmetrics"),
    "a version in words": lambda dashboard: dashboard.update(schemaVersion="39"),
    "a variable of no type": lambda dashboard: dashboard["templating"]["list"][0].update(type="querry"),
}


def wrong_dashboards():
    good = json.loads((DEPLOY / "grafana/shmetrics.json").read_text())
    for what, spoil in (*WRONG_DASHBOARDS.items(), *WRONG_PANELS.items()):
        dashboard = copy.deepcopy(good)
        lines = next(panel for panel in dashboard["panels"] if panel["type"] == "timeseries")
        spoil(lines if what in WRONG_PANELS else dashboard)
        yield what, json.dumps(dashboard)


def install():
    lock = folder / "package-lock.json"
    if not lock.exists() or lock.read_bytes() != (HERE / lock.name).read_bytes() or not (folder / TYPES).is_dir():
        for name in ("package.json", lock.name):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--silent"],
                       cwd=folder, check=True)


def complaints(literals):
    """{name: what tsc says of it}, of {name: JSON}."""
    names = {f"dashboard{number}.ts": name for number, name in enumerate(literals)}
    for file, name in names.items():
        (folder / file).write_text("import type { Shape } from './shape';\n"
                                   f"export const dashboard = {literals[name].strip()} satisfies Shape;\n")
    (folder / "shape.ts").write_text((HERE / "shape.ts").read_text().replace("'./panels/", f"'./{TYPES}/"))
    judged = subprocess.run(
        ["node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module",
         "esnext", "--target", "es2022", "--pretty", "false", *names], cwd=folder, text=True, capture_output=True,
        check=False)
    said = {name: [] for name in literals}
    for line in judged.stdout.splitlines():
        file = re.match(r"(\w+\.ts)\(", line)
        if file and file.group(1) not in names:
            raise RuntimeError(judged.stdout)
        if file:
            said[names[file.group(1)]].append(line)
    return said


class Grafana(unittest.TestCase):
    longMessage = False

    @classmethod
    def setUpClass(cls):
        if not shutil.which("npm"):
            raise unittest.SkipTest("no npm here, which brings Grafana's types")
        install()
        good = {name: (DEPLOY / f"grafana/{name}.json").read_text() for name in NAMES}
        cls.said = complaints({**good, **dict(wrong_dashboards())})

    def test_our_dashboards_have_the_shape_that_grafana_publishes(self):
        for name in NAMES:
            self.assertEqual([], self.said[name])

    def test_what_has_another_shape_is_refused(self):
        for what in (*WRONG_DASHBOARDS, *WRONG_PANELS):
            self.assertTrue(self.said[what], what)

    def test_the_types_are_those_of_the_grafana_that_compose_starts(self):
        image = read_yaml("docker/compose.yml")["services"]["grafana"]["image"]
        wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["@grafana/schema"]
        self.assertEqual(f"grafana/grafana:{wanted}", image)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv.pop(1)).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    unittest.main()

"""The dashboards of deploy/grafana: their shape, and that a real Prometheus answers each of their expressions.

The Prometheus runs with the shipped rules and scrapes MasterCRM under load, once a second.

usage: dashboard_test.py DIRECTORY_OF_PROGRAMS
"""
import json
import math
import os
import pathlib
import re
import signal
import sys
import tempfile
import unittest

import yaml

import deployment
from deployment import DEPLOY, RunningPrometheus, eventually, guide_block, read_yaml, run
from running_crm import RunningCrm  # deployment has put its folder into the path

WAIT_SECONDS = 60
COLUMNS = 24
# What Grafana would put in place of its variables.
VARIABLES = {"$job": "mastercrm", "$__rate_interval": "30s", "$requests": "mastercrm_http_requests_total",
             "${duration}": "mastercrm_http_request_duration_seconds"}

programs = pathlib.Path(".")
dashboards = {name: json.loads((DEPLOY / f"grafana/{name}.json").read_text()) for name in ("mastercrm", "shmetrics")}


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions():
    for dashboard in dashboards.values():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                text = target["expr"]
                for name, value in VARIABLES.items():
                    text = text.replace(name, value)
                yield panel["title"], text


def cells(panel):
    x, y, width, height = (panel["gridPos"][key] for key in "xywh")
    return {(column, row) for column in range(x, x + width) for row in range(y, y + height)}


class Shape(unittest.TestCase):
    longMessage = False

    def test_that_of_mastercrm_has_the_panels_of_the_guide_and_a_row_for_the_exporter(self):
        dashboard = dashboards["mastercrm"]
        theirs = json.loads(guide_block("Grafana Dashboard", "json"))["dashboard"]
        titles = [panel["title"] for panel in dashboard["panels"]]
        self.assertEqual(theirs["title"], dashboard["title"])
        self.assertEqual((theirs["refresh"], theirs["time"]), (dashboard["refresh"], dashboard["time"]))
        self.assertEqual(8, len(theirs["panels"]))
        self.assertEqual([panel["title"] for panel in theirs["panels"]], titles[1:9])
        self.assertEqual("Exporter and segment", titles[9])
        self.assertEqual([0, 9], [n for n, panel in enumerate(dashboard["panels"]) if panel["type"] == "row"])
        for panel in theirs["panels"]:
            ours = next(other for other in panels(dashboard) if other["title"] == panel["title"])
            self.assertEqual(len(panel["targets"]), len(ours["targets"]), panel["title"])

    def test_each_is_a_dashboard_and_not_the_message_that_carries_one(self):
        for dashboard in dashboards.values():
            self.assertNotIn("dashboard", dashboard)
            self.assertLessEqual({panel["type"] for panel in panels(dashboard)}, {"timeseries", "gauge", "stat"})
            self.assertGreaterEqual(dashboard["schemaVersion"], 39)

    def test_ids_and_titles_are_given_once(self):
        self.assertEqual(len(dashboards), len({dashboard["uid"] for dashboard in dashboards.values()}))
        for dashboard in dashboards.values():
            for key in ("id", "title"):
                values = [panel[key] for panel in dashboard["panels"]]
                self.assertEqual(len(set(values)), len(values), key)
            for panel in panels(dashboard):
                self.assertEqual(len(panel["targets"]), len({target["refId"] for target in panel["targets"]}))

    def test_panels_lie_side_by_side_within_the_grid(self):
        for dashboard in dashboards.values():
            taken = set()
            for panel in dashboard["panels"]:
                self.assertLessEqual(panel["gridPos"]["x"] + panel["gridPos"]["w"], COLUMNS)
                self.assertFalse(taken & cells(panel), panel["title"])
                taken |= cells(panel)
            height = max(y for _, y in taken) + 1
            self.assertEqual(COLUMNS * height, len(taken), "no holes either")

    def test_every_panel_has_a_unit_a_description_a_legend_and_the_source_that_is_chosen(self):
        source = {"type": "prometheus", "uid": "${datasource}"}
        variables = {"mastercrm": ["datasource", "job"], "shmetrics": ["datasource", "job", "requests", "duration"]}
        for name, dashboard in dashboards.items():
            self.assertEqual(variables[name], [variable["name"] for variable in dashboard["templating"]["list"]])
            for variable in dashboard["templating"]["list"][1:]:
                self.assertEqual(source, variable["datasource"])
            for panel in panels(dashboard):
                self.assertEqual(source, panel["datasource"])
                self.assertTrue(panel["description"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"])
                for target in panel["targets"]:
                    self.assertEqual(source, target["datasource"])
                    self.assertTrue(target["legendFormat"])
                    self.assertIn('job=~"$job"', target["expr"])

    def test_that_for_any_application_names_no_application(self):
        self.assertNotIn("mastercrm", json.dumps(dashboards["shmetrics"]).lower())

    def test_series_are_of_one_name_for_those_of_two_may_have_equal_labels_which_rate_refuses(self):
        for title, text in expressions():
            self.assertNotIn("__name__=~", text, title)
            self.assertNotIn("$", text, title)

    def test_quantiles_and_means_are_of_sums(self):
        for title, text in expressions():
            if "histogram_quantile" in text:
                self.assertIn("sum by (le) (rate(", text, title)
            self.assertNotIn("avg", text, title)


class Live(unittest.TestCase):
    longMessage = False

    def configuration(self, folder, crm):
        """prometheus.yml as it is shipped, but for the one target, its scheme and the intervals."""
        copy = deployment.copy_with_secrets(folder, crm.token)
        path = copy / "prometheus/prometheus.yml"
        config = yaml.safe_load(path.read_text())
        config["global"].update(scrape_interval="1s", scrape_timeout="1s")
        del config["alerting"]
        job = config["scrape_configs"][0]
        del config["scrape_configs"][1:], job["scheme"]
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{crm.exporter_port}"]
        path.write_text(yaml.safe_dump(config))
        for name in ("rules.yml", "alerts.yml", "shmetrics-alerts.yml"):
            text = (copy / "prometheus" / name).read_text()
            (copy / "prometheus" / name).write_text(re.sub(r"interval: \w+", "interval: 1s", text))
        return path

    def has_numbers(self, prometheus, expression):
        values = [value for _, value in prometheus.query(expression)]
        return any(map(math.isfinite, values))

    def test_prometheus_answers_every_expression_and_aggregate_with_numbers(self):
        wanted = [*expressions(), *((rule["record"], rule["record"])
                                    for rule in read_yaml("prometheus/rules.yml")["groups"][0]["rules"])]
        with tempfile.TemporaryDirectory(prefix="shmetrics-test.", dir="/dev/shm") as folder, \
                RunningCrm(programs, folder) as crm, \
                RunningPrometheus(self.configuration(folder, crm)) as prometheus:
            self.assertTrue(eventually(lambda: prometheus.number("up"), WAIT_SECONDS), prometheus.api("targets"))
            load = crm.start_load(4 * WAIT_SECONDS, rate=100)
            self.addCleanup(load.communicate)
            self.addCleanup(load.terminate)
            for name, text in wanted:
                self.assertTrue(eventually(lambda: self.has_numbers(prometheus, text), WAIT_SECONDS),
                                f"{name}: {text}: {prometheus.query(text)}")
            for group in prometheus.api("rules")["groups"]:
                for rule in group["rules"]:
                    self.assertEqual("ok", rule["health"], rule)
            scrape = deployment.fetch(crm.exporter_port, crm.token)
            deaths, readable = (next(text for title, text in expressions() if name in text)
                                for name in ("shmetrics_worker_deaths_total", "shmetrics_segment_up"))
            self.assertEqual((0, 1), (prometheus.number(deaths), prometheus.number(readable)))
            os.kill(crm.pids("crm-worker")[0], signal.SIGKILL)
            self.assertTrue(eventually(lambda: prometheus.number(deaths) == 1, WAIT_SECONDS), "the first is not seen")
            crm.exporter.stop()
            self.assertTrue(eventually(lambda: prometheus.number(readable) == 0, WAIT_SECONDS), "down is not seen")
        judged = run("promtool", "check", "metrics", input=scrape)
        self.assertEqual((0, ""), (judged.returncode, judged.stdout + judged.stderr))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    programs = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()

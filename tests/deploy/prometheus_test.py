"""The files of deploy/prometheus and deploy/scale, and those of the guide, judged by promtool.

usage: prometheus_test.py
"""
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

import yaml

import deployment
from deployment import DEPLOY, ROOT, guide, guide_block, read_yaml, run

sys.path.insert(0, str(ROOT / "tests/contract"))
import self_metrics  # noqa: E402

CONFIGURATIONS = ("prometheus/prometheus.yml", "docker/prometheus.yml", "scale/leaf.yml", "scale/federation.yml",
                  "scale/receiver.yml")
# What the exporter's alerts have to be about.
EXPORTER_ALERTS = {"ExporterDown", "SegmentDown", "NoLiveWorkers", "SeriesOverflow", "DeclarationsRefused",
                   "FamilyGenerations", "UpdatesDropped", "SlotsExhausted", "SegmentFilling", "WorkerDeaths",
                   "ReloadFailed", "CertificateExpiring", "RecordsLeftOut"}
RULE_FILES = ("alerts.yml", "shmetrics-alerts.yml", "rules.yml")


def alerts():
    return {rule["alert"]: rule for name in RULE_FILES[:2] for group in read_yaml(f"prometheus/{name}")["groups"]
            for rule in group["rules"]}


def guide_alerts():
    rules = yaml.safe_load(guide_block("Alert Rules", "yaml"))["groups"][0]["rules"]
    return {rule["alert"]: rule for rule in rules}


def expressions():
    """Every expression that is shipped: alerts and aggregates."""
    for name in RULE_FILES:
        for group in read_yaml(f"prometheus/{name}")["groups"]:
            for rule in group["rules"]:
                yield rule["expr"]


class Prometheus(unittest.TestCase):
    longMessage = False

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="shmetrics-test.")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.copy = deployment.copy_with_secrets(self.folder)

        for name in RULE_FILES:  # where compose.yml mounts them
            shutil.copy(self.copy / "prometheus" / name, self.copy / "docker")

    def promtool(self, *arguments):
        result = run("promtool", *arguments)
        return result.returncode, result.stdout + result.stderr

    def assert_accepted(self, *arguments):
        status, output = self.promtool(*arguments)
        self.assertEqual(0, status, output)
        return output

    def test_promtool_accepts_every_configuration(self):
        for name in CONFIGURATIONS:
            with self.subTest(name):
                self.assert_accepted("check", "config", str(self.copy / name))
        self.assert_accepted("check", "config", "--agent", str(self.copy / "scale/agent.yml"))

    def test_flags_that_the_files_say_exist(self):
        result = run("prometheus", "--help")
        known = (result.stdout + result.stderr).replace("--[no-]", "--")  # as later ones write it
        for path in sorted((DEPLOY / "scale").glob("*.yml")) + [DEPLOY / "prometheus/prometheus.yml"]:
            for flag in re.findall(r"--[\w.-]+", path.read_text()):
                self.assertIn(flag, known, path)

    def test_promtool_accepts_a_configuration_with_the_long_term_part_behind_it(self):
        whole = self.copy / "prometheus/with-long-term.yml"
        (self.copy / "prometheus/receiver.password").write_text("secret")
        whole.write_text((self.copy / "prometheus/prometheus.yml").read_text()
                         + (self.copy / "scale/long-term.yml").read_text())
        self.assert_accepted("check", "config", str(whole))
        self.assertIn("remote_write", yaml.safe_load(whole.read_text()))

    def test_promtool_refuses_a_configuration_whose_rules_or_token_are_missing(self):
        for name in ("alerts.yml", "shmetrics-alerts.yml", "mastercrm.token"):
            with self.subTest(name):
                missing = self.copy / "prometheus" / name
                kept = missing.read_text()
                missing.unlink()
                status, output = self.promtool("check", "config", str(self.copy / "prometheus/prometheus.yml"))
                missing.write_text(kept)
                self.assertNotEqual(0, status)
                self.assertIn(name, output)

    def test_production_and_staging_are_scraped_as_the_guide_wants_and_with_tls(self):
        config = read_yaml("prometheus/prometheus.yml")
        interval = {}
        for job in config["scrape_configs"]:
            for target in job["static_configs"]:
                interval[target["labels"]["environment"]] = job.get(
                    "scrape_interval", config["global"]["scrape_interval"])
                for address in target["targets"]:
                    self.assertEqual(address.endswith(":443"), job.get("scheme") == "https", address)
            self.assertIn("credentials_file", job["authorization"])
        self.assertEqual({"production": "30s", "staging": "15s"}, interval)

    def test_promtool_accepts_the_rules_and_their_tests_pass(self):
        for name in RULE_FILES:
            self.assert_accepted("check", "rules", "--lint-fatal", str(DEPLOY / "prometheus" / name))
        self.assert_accepted("test", "rules", str(DEPLOY / "prometheus/tests.yml"))

    def test_a_limit_that_is_changed_fails_the_tests_of_the_rules(self):
        paths = [self.copy / "prometheus" / name for name in RULE_FILES]
        rules = {path: path.read_text() for path in paths}
        changes = {"HighErrorRate": ("> 0.05", "> 0.07"), "QueueBacklog": ("> 1000", ">= 1000"),
                   "DatabaseConnectionPoolExhaustion": ('"waiting"} > 10', '"waiting"} > 9'),
                   "HighRateLimitRejections": ("(job, limit_type, resource)", "(job, limit_type, resource, instance)"),
                   "LowCacheHitRatio": ("< 0.7", "< 0.75"), "SlowResponseTime": ("(job, le)", "(job, le, route)"),
                   "SlotsExhausted": ("and ignoring (state)", "and"), "CertificateExpiring": ("14 *", "1 *"),
                   "SegmentFilling": ('"cells", "", "") > 0.8', '"cells", "", "") > 0.79'),
                   "WorkerDeaths": ("worker_deaths_total[15m]) > 0", "worker_deaths_total[15m]) > 9"),
                   "UpdatesDropped": ("updates_dropped_total[15m]) > 0", "updates_dropped_total[15m]) >= 0"),
                   "DeclarationsRefused": ("< 15 * 60", "< 35 * 60"), "FamilyGenerations": ("tions > 1", "tions > 2"),
                   "SeriesOverflow": (f"overflow_total offset 15m\n{' ' * 14}and on (job, instance, segment) "
                                      "shmetrics_segment_up offset 15m", "overflow_total offset 15m"),
                   "ReloadFailed": ("successful == 0", "successful >= 0"), "ExporterDown": ("[1d]", "[1s]"),
                   "SegmentDown": ("unless on (job, instance)", "and on (job, instance)"),
                   "RecordsLeftOut": ("quarantined > 0", "quarantined >= 0"),
                   "NoLiveWorkers": ('"live"} == 0', '"live"} >= 0')}
        for old, new in changes.values():
            path = next(path for path, text in rules.items() if old in text)
            rules[path] = rules[path].replace(old, new)
        for path, text in rules.items():
            path.write_text(text)
        status, output = self.promtool("test", "rules", str(self.copy / "prometheus/tests.yml"))
        self.assertNotEqual(0, status)
        self.assertEqual(set(changes), set(re.findall(r"alertname: (\w+)", output)))

    def test_every_alert_is_seen_to_fire_and_not_to_fire(self):
        seen = {(case["alertname"], bool(case["exp_alerts"]))
                for group in read_yaml("prometheus/tests.yml")["tests"] for case in group["alert_rule_test"]}
        self.assertEqual({(name, fires) for name in alerts() for fires in (True, False)}, seen)
        self.assertEqual(set(guide_alerts()) | EXPORTER_ALERTS, set(alerts()))

    def test_alerts_by_reason_say_what_to_do_for_each_reason_of_the_contract(self):
        for name, metric in (("SeriesOverflow", "series_overflow"), ("DeclarationsRefused", "declarations_refused"),
                             ("UpdatesDropped", "updates_dropped")):
            reasons = self_metrics.CONTRACT[f"shmetrics_{metric}_total"][1]["reason"]
            told = re.findall(r'eq \$labels.reason "(\w+)" -}} \w', alerts()[name]["annotations"]["description"])
            self.assertEqual(sorted(reasons), sorted(told), name)

    def test_alerts_of_the_guide_keep_its_limits(self):
        limit = re.compile(r"[<>] [\d.]+\s*$")
        for name, theirs in guide_alerts().items():
            ours = alerts()[name]
            self.assertEqual((theirs["for"], theirs["labels"]), (ours["for"], ours["labels"]), name)
            self.assertEqual(limit.search(theirs["expr"]).group().strip(), limit.search(ours["expr"]).group().strip())

    def test_expressions_name_metrics_and_labels_that_exist(self):
        labels = {name: kept for name, (_, kept) in guide.families().items()}
        self.assertEqual(27, len(labels))
        for expression in expressions():
            for name, matchers in re.findall(r"\b((?:mastercrm|shmetrics)_\w+)(?:\{([^}]*)\})?", expression):
                if name.startswith("shmetrics_"):
                    self.assertIn(name, self_metrics.CONTRACT)
                    continue
                family = name if name in labels else re.sub("_(bucket|sum|count)$", "", name)
                self.assertIn(family, labels)
                self.assertLessEqual(set(re.findall(r"(\w+)\s*[=!]", matchers)), labels[family], expression)
            for kept in re.findall(r"by \(([^)]*)\)", expression):
                family = re.sub("_(bucket|sum|count)$", "", re.search(r"mastercrm_\w+", expression).group())
                known = labels.get(family, labels.get(family + "_total", set())) | {"job", "le"}
                self.assertLessEqual(set(re.findall(r"\w+", kept)), known, expression)

    def test_aggregates_say_in_their_names_what_is_left(self):
        for rule in read_yaml("prometheus/rules.yml")["groups"][0]["rules"]:
            kept = re.search(r"by \(([^)]*)\)", rule["expr"]).group(1).replace(", ", "_")
            metric = re.search(r"mastercrm_\w+", rule["expr"]).group().removesuffix("_total")
            self.assertEqual(f"{kept}:{metric}", rule["record"].rpartition(":")[0])
            self.assertRegex(rule["record"], re.compile(read_yaml("scale/long-term.yml")["remote_write"][0][
                "write_relabel_configs"][0]["regex"]))

    def test_table_of_the_sizes_follows_from_its_arithmetic(self):
        page = (ROOT / "docs/scaling.md").read_text()
        figures = {name: float(value.replace(",", "")) for name, value in
                   re.findall(r"^\| ([^|]+) \| ([\d,]+) \|$", page, re.MULTILINE)}
        number = r"\| ([\d,]+)"
        rows = re.findall(rf"^{number} {number} {number} {number} MB {number} MB \|$", page, re.MULTILINE)
        self.assertEqual(4, len(rows))
        for row in rows:
            exporters, series, rate, heap, disk = (int(cell.replace(",", "")) for cell in row)
            self.assertEqual(exporters * (figures["samples in a scrape"] + 5), series)
            self.assertEqual(series / 30, rate)
            self.assertEqual(round(series * figures["bytes of heap a series"] / 1e6), heap)
            self.assertEqual(round(rate * 15 * 86400 * figures["bytes of disk a sample"] / 1e6), disk)

    def test_annotated_services_become_targets_and_others_do_not(self):
        config = yaml.safe_load((self.copy / "kubernetes/prometheus.yml").read_text())
        job = config["scrape_configs"][0]
        self.assertEqual([{"role": "endpoints"}], job.pop("kubernetes_sd_configs"))  # Debian's has none
        service = read_yaml("kubernetes/annotations.yaml")
        theirs = yaml.safe_load(guide_block("Kubernetes", "yaml"))
        self.assertEqual(theirs["metadata"]["annotations"], service["metadata"]["annotations"])
        meta = {"__meta_kubernetes_service_annotation_" + re.sub(r"\W", "_", name): value
                for name, value in service["metadata"]["annotations"].items()}
        meta["__meta_kubernetes_service_label_app"] = service["metadata"]["labels"]["app"]
        port = "__meta_kubernetes_pod_container_port_number"
        job["static_configs"] = [{"targets": ["10.0.0.1:5000"], "labels": {**meta, port: "5000"}},
                                 {"targets": ["10.0.0.1:8080"], "labels": {**meta, port: "8080"}},
                                 {"targets": ["10.0.0.2:5000"], "labels": {port: "5000"}}]
        found = self.copy / "kubernetes/found.yml"
        found.write_text(yaml.safe_dump(config))
        output = self.assert_accepted("check", "service-discovery", "--timeout=2s", str(found), "services")
        kept = [entry["labels"] for entry in yaml.safe_load(output) if entry.get("labels")]
        self.assertEqual(["10.0.0.1:5000"], [labels["__address__"] for labels in kept], output)
        self.assertEqual(("mastercrm", "/api/metrics"), (kept[0]["job"], kept[0]["__metrics_path__"]))

    def test_files_of_the_guide_are_accepted_as_printed(self):
        config, rules = self.folder / "prometheus.yml", self.folder / "alerts.yml"
        config.write_text(guide_block("Basic Setup", "yaml"))
        rules.write_text(guide_block("Alert Rules", "yaml"))
        self.assert_accepted("check", "config", str(config))
        self.assertIn("SUCCESS: 6 rules found", self.assert_accepted("check", "rules", str(rules)))

    def test_queries_of_the_guide_are_accepted_as_printed(self):
        """As rules, which promtool parses."""
        queries = [query for _, query in guide.queries()]
        self.assertEqual(17, len(queries))
        rules = self.folder / "queries.yml"
        rules.write_text(yaml.safe_dump({"groups": [{"name": "guide", "rules": [
            {"record": f"guide:{number}", "expr": query} for number, query in enumerate(queries)]}]}))
        self.assertIn(f"SUCCESS: {len(queries)} rules found", self.assert_accepted("check", "rules", str(rules)))


if __name__ == "__main__":
    unittest.main()

"""The files for Docker, Kubernetes, systemd and CI: what they name is there, what they run runs.

No engine of Docker and no cluster is needed, and none is started.

usage: manifests_test.py DIRECTORY_OF_PROGRAMS
"""
import functools
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

import deployment
from deployment import DEPLOY, ROOT, RunningExporter, guide_block, read_yaml, run

SYSTEMD_UNIT = pathlib.Path("/lib/systemd/system/prometheus.service")
# In debian:bookworm-slim, or needed by what is in it.
BASE_PACKAGES = {"libc6", "libgcc-s1"}

programs = pathlib.Path(".")


def flags_of(words):
    return {word.split("=")[0] for word in words if word.startswith("--")}


@functools.cache
def known_flags(program):
    text = run(str(program), "--help")
    return (text.stdout + text.stderr).replace("--[no-]", "--no-")


def stages():
    """name of a stage of the Dockerfile -> its text, continued lines joined."""
    text = (DEPLOY / "docker/Dockerfile").read_text().replace("\\\n", " ")
    parts = re.split(r"^FROM \S+ AS (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def kubernetes(kind, path="deployment.yaml"):
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / path).read_text())
    return next(document for document in documents if document["kind"] == kind)


class Compose(unittest.TestCase):
    longMessage = False

    def setUp(self):
        self.compose = read_yaml("docker/compose.yml")
        self.services = self.compose["services"]

    def test_files_volumes_secrets_and_neighbours_that_are_named_exist(self):
        made_by_hand = {pathlib.Path(secret["file"]).name for secret in self.compose["secrets"].values()}
        self.assertEqual({"token", "tokens", "grafana_password"}, made_by_hand)
        for name, service in self.services.items():
            self.assertTrue("image" in service or service["build"]["target"] in stages(), name)
            self.assertLessEqual(set(service.get("depends_on", [])), set(self.services))
            self.assertLessEqual(set(service.get("secrets", [])), set(self.compose["secrets"]))
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((DEPLOY / "docker" / source).exists(), volume)
                else:
                    self.assertIn(source, self.compose["volumes"])
        for context in (service["build"] for service in self.services.values() if "build" in service):
            self.assertEqual(ROOT, (DEPLOY / "docker" / context["context"]).resolve())
            self.assertTrue((ROOT / context["dockerfile"]).is_file())

    def test_images_are_of_a_version(self):
        for service in self.services.values():
            self.assertRegex(service.get("image", "built:1"), r":v?\d[\d.]*(-slim)?$")

    def test_exporter_reads_the_segment_that_the_application_writes(self):
        app, exporter = self.services["app"], self.services["exporter"]
        segment = app["environment"]["SHMETRICS_SEGMENT"]
        self.assertIn(f"--segment={segment}", exporter["command"])
        directory = str(pathlib.PurePath(segment).parent)
        self.assertIn(f"segment:{directory}", app["volumes"])
        self.assertIn(f"segment:{directory}:ro", exporter["volumes"])
        self.assertEqual(app["user"], exporter["user"])  # the segment has mode 0600
        options = self.compose["volumes"]["segment"]["driver_opts"]
        self.assertEqual("tmpfs", options["type"])
        user, group = app["user"].split(":")
        self.assertIn(f"uid={user},gid={group}", options["o"])

    def test_flags_exist(self):
        exporter = self.services["exporter"]["command"]
        self.assertIn("--no-web.localhost-bypass", exporter)
        for flag in flags_of(exporter):
            self.assertIn(flag, known_flags(programs / "shmetrics-exporter"))
        for flag in flags_of(self.services["prometheus"]["command"]):
            self.assertIn(flag, known_flags("prometheus"))
        self.assertIn("--storage.tsdb.retention.time=15d", self.services["prometheus"]["command"])

    def test_prometheus_scrapes_the_exporter_and_grafana_asks_prometheus(self):
        job = read_yaml("docker/prometheus.yml")["scrape_configs"][0]
        host, port = job["static_configs"][0]["targets"][0].split(":")
        self.assertIn(host, self.services)
        self.assertIn(f"--web.listen-address=:{port}", self.services[host]["command"])
        secret = pathlib.PurePath(job["authorization"]["credentials_file"])
        self.assertIn(secret.name, self.services["prometheus"]["secrets"])
        source = read_yaml("grafana/provisioning/datasources/prometheus.yml")["datasources"][0]
        self.assertEqual("http://prometheus:9090", source["url"])
        folder = read_yaml("grafana/provisioning/dashboards/mastercrm.yml")["providers"][0]["options"]["path"]
        mounted = [volume.split(":")[1] for volume in self.services["grafana"]["volumes"]]
        self.assertIn(f"{folder}/mastercrm.json", mounted)
        self.assertIn("/etc/grafana/provisioning", mounted)

    def test_services_of_the_guide_are_all_there(self):
        theirs = yaml.safe_load(guide_block("Docker Compose Setup", "yaml"))
        self.assertLessEqual(set(theirs["services"]), set(self.services))
        self.assertIn("127.0.0.1:3001:3000", self.services["grafana"]["ports"])


class Image(unittest.TestCase):
    longMessage = False

    @unittest.skipUnless(platform.freedesktop_os_release().get("VERSION_CODENAME") == "bookworm",
                         "NOT TESTED: the image is Debian 12, whose libraries this program is not linked with")
    def test_image_has_the_libraries_that_the_program_is_linked_with(self):
        for stage, name in (("exporter", "shmetrics-exporter"), ("exporter", "shmetrics"), ("mastercrm", "mastercrm")):
            installed = set(re.search(r"--no-install-recommends (.*?)&&", stages()[stage]).group(1).split())
            needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", str(programs / name)).stdout)
            found = dict(re.findall(r"(\S+) => (\S+)", run("ldd", str(programs / name)).stdout))
            for library in set(needed) & set(found):
                # The package has it below /usr/lib, ldd may find it by the link /lib.
                owner = run("dpkg", "-S", "*" + str(pathlib.Path(found[library]).resolve()).split("/lib/", 1)[-1])
                self.assertLessEqual({owner.stdout.split(":")[0]}, installed | BASE_PACKAGES, library)

    def test_programs_that_are_copied_are_built(self):
        built = re.search(r"--target (.*)", stages()["build"]).group(1).split()
        for stage, text in stages().items():
            for program in re.findall(r"/src/build/release/bin/(\S+)", text):
                self.assertIn(program, built, stage)
                self.assertTrue(os.access(programs / program, os.X_OK), program)

    def test_application_starts_with_the_flags_of_its_image(self):
        """As the image and compose.yml start it, on ports and in a folder of the test's own."""
        words = json.loads(re.search(r"ENTRYPOINT (.*)", stages()["mastercrm"]).group(1))
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            words[words.index("--port") + 1] = "0"
            words[words.index("--database") + 1] = f"{folder}/mastercrm.db"
            application = subprocess.Popen([programs / words[0], *words[1:]], stdout=subprocess.PIPE, text=True,
                                           env={"SHMETRICS_SEGMENT": f"{folder}/metrics.seg"})
            try:
                self.assertIn("serves http://0.0.0.0:", application.stdout.readline())
            finally:
                application.terminate()
                application.communicate(timeout=20)
            self.assertTrue(pathlib.Path(folder, "metrics.seg").exists())
        self.assertNotIn("command", read_yaml("docker/compose.yml")["services"]["app"])
        self.assertEqual(0, application.returncode)

    def test_application_refuses_what_is_no_address(self):
        refused = run(str(programs / "mastercrm"), "--host", "nowhere", "--port", "0")
        self.assertEqual(1, refused.returncode)
        self.assertIn("--host wants an IPv4 address, not nowhere", refused.stderr)

    def test_health_check_tells_a_running_exporter_from_none(self):
        command = re.search(r"HEALTHCHECK [^\n]*CMD (.*)", stages()["exporter"]).group(1)
        environment = {**os.environ, "no_proxy": "localhost"}
        with tempfile.TemporaryDirectory() as folder, RunningExporter(programs, f"{folder}/metrics.seg") as exporter:
            command = command.replace("localhost:5000", f"localhost:{exporter.port}")
            self.assertEqual(0, run("sh", "-c", command, env=environment).returncode)
        self.assertEqual(1, run("sh", "-c", command, env=environment).returncode)


class Kubernetes(unittest.TestCase):
    longMessage = False

    def setUp(self):
        self.spec = kubernetes("Deployment")["spec"]
        self.pod = self.spec["template"]["spec"]
        self.app, self.exporter = self.pod["containers"]

    def test_every_resource_is_listed_or_is_the_variant(self):
        listed = set(read_yaml("kubernetes/kustomization.yaml")["resources"])
        there = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
        self.assertEqual({"kustomization.yaml", "annotations.yaml"}, there - listed)
        self.assertFalse(listed - there)

    def test_mounts_ports_and_keys_that_are_named_exist(self):
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        for container in (self.app, self.exporter):
            for mount in container["volumeMounts"]:
                self.assertIn(mount["name"], volumes)
        ports = {port["name"]: port["containerPort"] for container in (self.app, self.exporter)
                 for port in container["ports"]}
        self.assertEqual({"http": 8080, "metrics": 5000}, ports)
        used = [self.exporter[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")]
        policy = kubernetes("NetworkPolicy", "networkpolicy.yaml")["spec"]
        used += [rule["ports"][0]["port"] for rule in policy["ingress"]]
        used += [kubernetes("Service", path)["spec"]["ports"][0]["targetPort"]
                 for path in ("deployment.yaml", "annotations.yaml")]
        monitor = kubernetes("PodMonitor", "podmonitor.yaml")["spec"]
        used += [monitor["podMetricsEndpoints"][0]["port"]]
        self.assertEqual(set(ports), set(used))
        secret = read_yaml("kubernetes/kustomization.yaml")["secretGenerator"][0]
        wanted = monitor["podMetricsEndpoints"][0]["authorization"]["credentials"]
        self.assertEqual(secret["name"], wanted["name"])
        self.assertEqual(secret["name"], volumes["tokens"]["secret"]["secretName"])
        self.assertEqual({wanted["key"], *(item["key"] for item in volumes["tokens"]["secret"]["items"])},
                         set(secret["files"]))

    def test_selectors_select_the_pods(self):
        labels = self.spec["template"]["metadata"]["labels"]
        monitor = kubernetes("PodMonitor", "podmonitor.yaml")["spec"]
        policy = kubernetes("NetworkPolicy", "networkpolicy.yaml")["spec"]
        for selector in (self.spec["selector"]["matchLabels"], monitor["selector"]["matchLabels"],
                         policy["podSelector"]["matchLabels"], kubernetes("Service")["spec"]["selector"],
                         kubernetes("Service", "annotations.yaml")["spec"]["selector"]):
            self.assertEqual(labels, {**labels, **selector})
        self.assertEqual("mastercrm", labels[monitor["jobLabel"]])

    def test_segment_is_memory_that_the_sidecar_only_reads(self):
        volume = next(volume for volume in self.pod["volumes"] if volume["name"] == "segment")
        self.assertEqual("Memory", volume["emptyDir"]["medium"])
        segment = self.app["env"][0]["value"]
        self.assertIn(f"--segment={segment}", self.exporter["args"])
        mounts = [next(mount for mount in container["volumeMounts"] if mount["name"] == "segment")
                  for container in (self.app, self.exporter)]
        self.assertEqual({str(pathlib.PurePath(segment).parent)}, {mount["mountPath"] for mount in mounts})
        self.assertEqual([None, True], [mount.get("readOnly") for mount in mounts])

    def test_flags_exist_and_the_bypass_is_off(self):
        self.assertIn("--no-web.localhost-bypass", self.exporter["args"])
        for flag in flags_of(self.exporter["args"]):
            self.assertIn(flag, known_flags(programs / "shmetrics-exporter"))

    def test_kubectl_makes_the_secret_from_the_files_and_nothing_without_them(self):
        if not shutil.which("kubectl"):
            self.skipTest("no kubectl here")
        with tempfile.TemporaryDirectory() as folder:
            copy = deployment.copy_with_secrets(folder) / "kubernetes"
            self.assertNotEqual(0, run("kubectl", "kustomize", str(copy)).returncode)
            for name in ("token", "tokens"):
                (copy / name).write_text("secret")
            made = run("kubectl", "kustomize", str(copy))
            kinds = {document["kind"] for document in yaml.safe_load_all(made.stdout)}
        self.assertEqual({"Deployment", "NetworkPolicy", "PodMonitor", "Secret", "Service"}, kinds, made.stderr)


class Systemd(unittest.TestCase):
    longMessage = False

    def test_systemd_accepts_the_retention_in_the_unit_of_debian(self):
        if not shutil.which("systemd-analyze") or not SYSTEMD_UNIT.exists():
            self.skipTest("no systemd-analyze, or no unit of Prometheus here")
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / "prometheus.service"
            shutil.copy(SYSTEMD_UNIT, unit)
            unit.with_name("prometheus.service.d").mkdir()
            shutil.copy(DEPLOY / "systemd/prometheus-retention.conf", unit.with_name("prometheus.service.d"))
            verified = run("systemd-analyze", "verify", "--man=no", str(unit))
            # systemd reads the machine's other units too, and says what it thinks of those.
            told = [line for line in verified.stderr.splitlines() if folder in line or unit.name in line]
            self.assertEqual((0, []), (verified.returncode, told))
        text = (DEPLOY / "systemd/prometheus-retention.conf").read_text()
        self.assertIn("--storage.tsdb.retention.time=15d", text)
        for flag in flags_of(text.split()):
            self.assertIn(flag, known_flags("prometheus"))


class Pipeline(unittest.TestCase):
    longMessage = False

    def check(self, exporter, *families, token=None):
        environment = {**os.environ, "METRICS_TOKEN": token or exporter.token, "no_proxy": "127.0.0.1"}
        return run(DEPLOY / "ci/check_metrics.sh", f"http://127.0.0.1:{exporter.port}/api/metrics", *families,
                   env=environment)

    def test_check_of_the_endpoint_passes_and_names_what_is_wrong(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            segment = f"{folder}/metrics.seg"
            with RunningExporter(programs, segment, token='any-visible-"-and-\\t-of-ASCII') as exporter:
                self.assertIn("a segment is down", self.check(exporter).stderr)
                subprocess.run([programs / "smallest"], env={"SHMETRICS_SEGMENT": segment}, check=True)
                passed = self.check(exporter, "app_jobs_total")
                self.assertEqual((0, ""), (passed.returncode, passed.stderr))
                self.assertIn("all well", passed.stdout)
                for output, arguments in (("mastercrm_x is missing", {"families": ["mastercrm_x"]}),
                                          ("401", {"families": [], "token": "wrong-token-of-some-length"})):
                    failed = self.check(exporter, *arguments.pop("families"), **arguments)
                    self.assertEqual(1, failed.returncode)
                    self.assertIn(output, failed.stderr)

    def test_job_for_the_files_runs_as_it_is_written(self):
        job = read_yaml("ci/github-actions.yml")["jobs"]["files"]["steps"][-1]
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(DEPLOY, f"{folder}/deploy")
            result = run("bash", "-eo", "pipefail", "-c", job["run"], cwd=f"{folder}/{job['working-directory']}")
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)

    def test_job_for_the_endpoint_runs_the_check_that_is_here(self):
        step = read_yaml("ci/github-actions.yml")["jobs"]["endpoint"]["steps"][-1]
        self.assertTrue(os.access(ROOT / step["run"].split()[0], os.X_OK))
        self.assertIn("secrets.METRICS_TOKEN", step["env"]["METRICS_TOKEN"])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    programs = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()

"""The live page and its data, as a script asks for them."""
import unittest

import programs
from programs import TOKEN, Exporter, Programs, run

BEARER = ("Authorization", "Bearer " + TOKEN)


class LivePage(unittest.TestCase):
    PATHS = ("/ui/", "/api/v1/snapshot")

    def test_it_is_behind_the_same_credential_as_the_metrics(self):
        with programs.folder() as directory, Exporter(directory, "--no-web.localhost-bypass") as exporter:
            for target in self.PATHS:
                self.assertEqual([401, 200], [exporter.get(target, headers).status for headers in ([], [BEARER])])
            page = exporter.get("/ui/", [BEARER])
            unchanged = exporter.get("/ui/", [BEARER, ("If-None-Match", page.getheader("ETag"))])
            self.assertEqual((304, ""), (unchanged.status, unchanged.text))
            self.assertEqual(404, exporter.get("/api/v1/snapshot?segment=none", [BEARER]).status)
            counted = exporter.get("/metrics", [BEARER]).text
            self.assertIn('shmetrics_exporter_requests_total{code="401",handler="ui"} 2\n', counted)

    def test_the_snapshot_is_what_dump_says(self):
        with programs.folder() as directory, programs.worker(directory + "/a.seg"):
            dumped = run(Programs.shmetrics, "dump", directory + "/a.seg", "--format", "json").stdout
            with Exporter(directory, segment=directory + "/a.seg") as exporter:
                self.assertEqual(dumped, exporter.get("/api/v1/snapshot", [BEARER]).text)

"""The guide's application in Node, on a free port, with its fake upstream; it serves its metrics itself."""
import pathlib
import sys

import node

PEERS = node.PEERS.parent.parent / "mastercrm" / "node_modules"
node.skip_without("prom-client", PEERS / "express")
sys.path.insert(0, str(node.HERE.parent / "mastercrm"))
import segments  # noqa: E402
from running_crm import EXAMPLE as LOAD, RunningCrm, eventually  # noqa: E402

EXAMPLE = node.HERE.parent.parent / "examples" / "mastercrm-node"
POOL = 4 * 4  # connections of all workers


class RunningNodeCrm(RunningCrm):
    def __init__(self, folder):
        super().__init__(segments.PROGRAMS, folder)
        self.environment = node.environment(self.segment, NODE_PATH=f"{node.MODULES}:{PEERS}", PORT="0",
                                            METRICS_TOKEN=f"another-of-the-tokens,{self.token}")

    def start(self):
        upstream = self._run("upstream", [sys.executable, LOAD / "fake_upstream.py", "0"])
        self.environment["UPSTREAM_PORT"] = upstream.wait_for(r"serves http://127\.0\.0\.1:(\d+)/").group(1)
        self.app = self._run("mastercrm", [node.NODE, EXAMPLE / "server.js"], self.environment)
        self.app_port = int(self.app.wait_for(r"serves http://127\.0\.0\.1:(\d+)/").group(1))
        self.exporter_port = self.app_port
        if not eventually(lambda: "mastercrm_queue_size{" in self.scrape()):
            raise RuntimeError("the application does not count: " + pathlib.Path(self.app.log).read_text())

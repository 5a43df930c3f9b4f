"""Load by wrk on a server that tests run: one with a port, and with said() for what it has logged."""
import re
import subprocess

CONNECTIONS = 4


class Load:
    def __init__(self, server, seconds):
        self.server = server
        self.process = subprocess.Popen(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--timeout",
                                         "30s", f"http://127.0.0.1:{server.port}/work"], stdout=subprocess.PIPE,
                                        text=True)

    def assert_counted(self, test, counted, cut=0):
        """What wrk was answered is counted() when it has ended; more than that only what was cut off by a kill or the
        end of wrk."""
        report = self.process.communicate(timeout=120)[0]
        answered = int(re.search(r"(\d+) requests in", report).group(1))
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
        answered -= int(refused.group(1)) if refused else 0
        test.assertGreater(answered, 0, report + self.server.said())
        found = counted(self.server)
        test.assertLessEqual(answered, found, self.server.said())
        test.assertLessEqual(found, answered + cut + CONNECTIONS)
        print(f"{test.id()}: {answered} answered, {found:.0f} counted, {cut} cut off")

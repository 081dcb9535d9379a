"""test_readers.py - nobody who reads what a run says, or cannot, ever stops it."""
import json
import os
import signal
import subprocess

import harness
from harness import KILN, TINY


class Readers(harness.Case):
    def setUp(self):
        super().setUp()
        self.alone = self.train("--epochs", "12", out="alone")["weights_hash"]

    def start(self, **streams):
        return subprocess.Popen([KILN, "train", *TINY, "--epochs", "12", "--out", "run"],
                                cwd=self.folder, env=harness.clean_environment(), **streams)

    def check(self, process, statuses):
        self.assertIn(process.wait(timeout=120), statuses)
        self.assertEqual(json.loads(self.read("run/status.json"))["state"], "finished")
        result = json.loads(self.read("run/manifest.json"))["result"]
        self.assertEqual((result["reason"], result["weights_hash"]), ("finished", self.alone))
        steps = [r["step"] for r in self.records() if r["kind"] == "train"]
        self.assertEqual(steps, list(range(1, 121)))

    def test_a_pipe_that_nobody_reads__ends_no_run(self):
        """As in `kiln train ... 2>&1 | head -1`: the result cannot be printed, the run is whole."""
        process = self.start(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        process.stdout.close()
        self.check(process, (0, 1))

    def test_a_full_disk_under_its_words__ends_no_run(self):
        with open("/dev/full", "w") as full:
            self.check(self.start(stdout=full, stderr=full), (0, 1))

    def test_watchers_that_are_killed__are_not_noticed(self):
        process = self.start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(3):
            watch = subprocess.Popen([KILN, "watch", "run"], cwd=self.folder,
                                     env=harness.clean_environment(), stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL)
            watch.stdout.read(1)  # it shows something, or has ended because there is no run yet
            os.kill(watch.pid, signal.SIGKILL)
            watch.communicate()
        self.check(process, (0,))


if __name__ == "__main__":
    harness.main()

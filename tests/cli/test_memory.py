"""test_memory.py - the memory that --dry-run announces is what a run takes."""
import json

import harness


class Memory(harness.Case):
    NET = ["airbench94", "--data", "synthetic", "--width", 0.25, "--epochs", 1, "--steps", 1,
           "--threads", 2]
    TOLERANCE = 0.10

    def setUp(self):
        super().setUp()
        if any(kind in self.json("doctor")["flags"].split() for kind in
               ("address,undefined", "address", "thread")):
            self.skipTest("a sanitizer's own memory comes on top")

    def ratio(self, *args):
        """Announced over measured; runs an evaluation and a checkpoint too."""
        announced = self.json("train", *self.NET, *args, "--dry-run")["resident_bytes"]
        self.json("train", *self.NET, *args, "--out", "run")
        session, = json.loads(self.read("run/manifest.json"))["sessions"]
        return announced / session["peak_resident_bytes"]

    def test_memory__dry_run_is_within_a_tenth_of_the_peak(self):
        self.assertAlmostEqual(self.ratio("--batch", 1024), 1, delta=self.TOLERANCE)

    def test_memory__of_a_small_batch_it_is_what_the_start_takes(self):
        self.assertAlmostEqual(self.ratio("--batch", 32, "--average", "none"), 1,
                               delta=self.TOLERANCE)


harness.main()

"""test_find_lr.py - kiln find-lr: ramps, what is found on them, and what a second call does."""
import json
import math

import harness
from harness import TINY

RAMP = [*TINY, "--set", "train_count=2000", "--ramp", "60", "--jobs", "2", "--threads", "2"]


class FindLr(harness.Case):
    def find(self, *args, **more):
        return self.json("find-lr", *RAMP, "--out", "fl", *args, **more)

    def test_find_lr__ramps_are_isolated_exponential_runs(self):
        self.fails(1, "the loss never fell by a tenth between 1e-06 and 1e-05", "find-lr", *TINY,
                   "--ramp", "20", "--min", "1e-6", "--max", "1e-5", "--out", "fl")
        status = self.json("sweep", "status", "fl")
        self.assertEqual(status["kind"], "find-lr")
        self.assertEqual([t["values"] for t in status["trials"]], [{"seed": s} for s in (1, 2, 3)])
        steps = [r for r in self.records(status["trials"][0]["run"]) if r["kind"] == "train"]
        self.assertEqual(len(steps), 20)
        for i, record in enumerate(steps):
            self.assertTrue(math.isclose(record["opt/lr"], 1e-6 * 10 ** (i / 19), rel_tol=1e-8))

    def test_find_lr__finds_a_range_and_confirms_it(self):
        # Loud logits: the loss begins high, and falls as soon as the weights move at all.
        tiny = (harness.HERE / "tiny.net").read_text()
        self.write("loud.net", tiny + "logits scale 20\n")
        args = ["--net", str(self.folder / "loud.net"), "--confirm", "10", "--min", "1e-6", "--max",
                "1"]
        found = self.find(*args)
        points, (low, high) = found["points"], found["range"]
        self.assertLess(1e-6, low)
        self.assertLess(low, high)
        self.assertLess(high, points["blow_up"]["lr"])
        self.assertEqual(low, points["steepest"]["lr"])
        self.assertEqual(high, points["plateau_end"]["lr"])
        self.assertTrue(math.isclose(points["minimum_tenth"]["lr"], points["minimum"]["lr"] / 10,
                                     rel_tol=1e-8))
        self.assertEqual([len(r["loss"]) for r in found["ramps"]], [60, 60, 60])
        self.assertEqual(len(found["mean"]["loss"]), 60)
        self.assertEqual(sorted({(c["lr"], c["seed"]) for c in found["confirmed"]}),
                         [(c["lr"], c["seed"]) for c in found["confirmed"]])
        self.assertEqual(len(found["confirmed"]), 9)
        self.assertEqual(json.loads(self.read("fl/find-lr.json"))["range"], found["range"])
        again = self.kiln("find-lr", *RAMP, "--out", "fl", *args)
        self.assertNotIn("smaller --min", again.stdout)
        self.assertNotIn("finished in", again.stderr)  # nothing was trained again
        self.assertIn("What this does not tell", again.stdout)
        self.assertEqual(json.loads(self.read("fl/find-lr.json"))["range"], found["range"])

    def test_find_lr__says_how_long_it_will_take(self):
        told = self.json("find-lr", *RAMP, "--out", "fl", "--dry-run")
        self.assertEqual((told["ramps"], told["ramp_steps"], told["confirm_steps"]), (3, 60, 100))
        self.assertGreater(told["seconds"], 0)
        self.assertRegex(self.kiln("find-lr", *RAMP, "--out", "fl", "--dry-run").stdout,
                         r"about \d+:\d\d of training on all threads\n$")
        self.assertFalse((self.folder / "fl").exists())

    def test_find_lr__bad_input_says_what_is_wrong(self):
        self.fails(2, "--min (1) must be less than --max (0.1)", "find-lr", *TINY, "--min", "1",
                   "--max", "0.1")
        self.fails(2, "ramp is 3, but must be from 20", "find-lr", *TINY, "--ramp", "3")


if __name__ == "__main__":
    harness.main()

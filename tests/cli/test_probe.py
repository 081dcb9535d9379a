"""test_probe.py - kiln probe, and probes along a run: records, resume, exit codes."""
import json

import harness
from harness import TINY


class Probe(harness.Case):
    def rows(self, run="run"):
        """The records without what the clock says."""
        rows = [json.loads(line) for line in self.read(f"{run}/probes.jsonl").splitlines()]
        return [{k: v for k, v in r.items() if k not in ("t", "wall")} for r in rows]

    def test_probe__lists_itself(self):
        names = self.json("probe")
        self.assertEqual(names, self.json("probe", "--list"))
        self.assertGreaterEqual(set(names), {"norms", "noise_scale", "sharpness", "recency",
                                             "forgetting", "losses"})
        self.assertFalse(names["forgetting"]["checkpoints"])
        text = self.kiln("probe").stdout
        for name, entry in names.items():
            self.assertIn(f"{name} - {entry['summary']}", text)
            for series, meaning in entry["series"].items():
                self.assertIn(series, text)
                self.assertIn(meaning, text)

    def test_probe__rows_go_to_the_run_and_weights_stay(self):
        plain = self.train("--epochs", 2, "--knots", "0:1,2:0", out="plain")
        probed = self.train("--epochs", 2, "--knots", "0:1,2:0", "--probes",
                            "norms,forgetting,losses,noise_scale", "--probe-budget", "1000%")
        self.assertEqual(plain["weights_hash"], probed["weights_hash"])
        self.assertFalse((self.folder / "plain/probes.jsonl").exists())
        rows = self.rows()
        self.assertEqual({r["kind"] for r in rows},
                         {"norms", "forgetting", "losses", "noise_scale"})
        norms = [r for r in rows if r["kind"] == "norms"]
        self.assertEqual([r["of"] for r in norms if r["step"] == 10],
                         ["conv.weight", "norm.weight", "norm.bias", "linear.weight",
                          "linear.bias", ""])
        self.assertEqual({r["step"] for r in norms}, {10, 20})
        for r in norms:
            self.assertGreater(r["angle"], 0)
        self.assertEqual([r["of"] for r in rows if r["kind"] == "losses"],
                         ["training", "test"] * 2)

    def test_probe__budget_stretches_the_period(self):
        done = self.kiln("train", *TINY, "--out", "run", "--probes", "noise_scale",
                         "--probe-budget", "10%")
        self.assertEqual({r["step"] for r in self.rows()}, {13, 26})
        self.assertIn("every 13 steps instead of 10", done.stderr)
        done = self.kiln("train", *TINY, "--out", "none", "--probes", "sharpness",
                         "--probe-budget", "0.1%")
        self.assertEqual(self.rows("none"), [])
        self.assertIn("the run has only 30", done.stderr)

    def test_probe__resume_goes_on_with_the_records(self):
        probes = ("--probes", "norms,losses", "--probe-budget", "1000%", "--checkpoint-every", 5)
        self.train(*probes, out="whole")
        self.train(*probes, "--steps", 15)
        # As a kill after step 20 would leave it: records after the checkpoint.
        lines = self.read("whole/probes.jsonl").splitlines(keepends=True)
        later = [line for line in lines if json.loads(line)["step"] <= 20]
        self.write("run/probes.jsonl", "".join(later))
        self.kiln("resume", "run", "--steps", 0)
        self.assertEqual(self.rows("run"), self.rows("whole"))

    def test_probe__of_a_checkpoint(self):
        self.train("--steps", 12)
        o = self.json("probe", "sharpness", "run", "--probe-images", 32, "--probe-iterations", 4)
        self.assertEqual(o["step"], 12)
        self.assertEqual([r["of"] for r in o["rows"]], ["train mode", "eval mode"])
        self.assertGreater(o["rows"][0]["largest"], o["rows"][0]["smallest"])
        weights = o["checkpoint"]
        evaluated = self.json("eval", weights)
        losses = self.json("probe", "losses", weights)
        self.assertEqual(losses["weights_hash"], evaluated["weights_hash"])
        test = [r for r in losses["rows"] if r["of"] == "test"][0]
        self.assertAlmostEqual(test["loss"], evaluated["test_loss"], places=5)
        norms = self.json("probe", "norms", "run")
        self.assertIsNone(norms["rows"][0]["angle"])
        self.assertGreater(norms["rows"][0]["weight_norm"], 0)
        text = self.kiln("probe", "recency", "run").stdout
        self.assertIn("age 0", text)
        self.assertIn("seen_loss", text)

    def test_probe__what_is_wrong_is_said(self):
        self.fails(2, "there is no probe 'sharpnes'; did you mean 'sharpness'?", "probe",
                   "sharpnes", "run")
        self.fails(2, "watches training", "probe", "forgetting", "run")
        self.fails(2, "say which run or checkpoint", "probe", "norms")
        self.fails(3, "no run directory or checkpoint 'run'", "probe", "norms", "run")
        self.fails(2, "there is no probe 'nroms'", "train", *TINY, "--out", "run", "--probes",
                   "nroms")
        self.assertFalse((self.folder / "run").exists())


harness.main()

"""test_results.py - what training, evaluation and verification print, keep and exit with."""
import csv
import json

import harness
from harness import TINY


class Data(harness.Case):
    def test_data__missing_images_are_exit_code_3(self):
        self.train("--steps", "1")
        config = self.read("run/config.ini").replace("data = synthetic", "data = mnist")
        config = config.replace("data_dir = ", f"data_dir = {self.folder}")
        self.write("run/config.ini", config)
        env = {"KILN_DATA_URL": "http://127.0.0.1:9/"}
        done = self.kiln("eval", "run", status=3, env=env)
        self.assertTrue(done.stderr.rstrip().split("\n")[-1].startswith("kiln: "))

    def test_data__a_step_down_is_said_and_kept(self):
        env = {"KILN_DATA_URL": "http://127.0.0.1:9/", "XDG_DATA_HOME": str(self.folder)}
        done = self.kiln("train", *TINY, "--data", "cifar10", "--data-dir", self.folder,
                         "--steps", "1", "--eval-every", "-1", "--out", "run", env=env)
        self.assertIn("stepping down to", done.stderr)
        manifest = self.read("run/manifest.json")
        self.assertIn("stepped down to", manifest)
        self.assertIn("data = ", self.read("run/config.ini"))
        self.assertNotIn("data = cifar10", self.read("run/config.ini"))


class Results(harness.Case):
    def test_train__json_has_what_scripts_read(self):
        result = self.train()
        for key in ("run", "steps", "epochs", "weights_hash", "train_loss", "test_loss",
                    "test_accuracy", "tta_accuracy", "images_per_second", "seconds"):
            self.assertIn(key, result)
        self.assertEqual(result["run"], "run")
        self.assertEqual(result["steps"], 30)
        self.assertEqual(result["epochs"], 3)
        self.assertRegex(result["weights_hash"], "^[0-9a-f]{64}$")
        self.assertIsNone(result["tta_accuracy"])
        self.assertIn('"state": "finished"', self.read("run/status.json"))

        kinds = [r["kind"] for r in self.records()]
        self.assertEqual(kinds.count("train"), 30)
        self.assertEqual(kinds.count("epoch"), 3)
        with open(self.folder / "run/epochs.csv", newline="") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual([row["step"] for row in rows], ["10", "20", "30"])
        self.assertAlmostEqual(float(rows[2]["test_accuracy"]), result["test_accuracy"], 6)

        # The saved configuration gives the same run again.
        again = self.json("train", "run/config.ini", "--out", "again")
        self.assertEqual(again["weights_hash"], result["weights_hash"])

        seen = self.json("eval", "run")
        self.assertAlmostEqual(seen["test_accuracy"], result["test_accuracy"], 6)
        self.assertEqual(seen["weights_hash"], result["weights_hash"])
        self.assertEqual(sum(map(sum, seen["confusion"])), seen["images"])
        hits = sum(seen["confusion"][i][i] for i in range(10))
        self.assertAlmostEqual(hits / seen["images"], seen["test_accuracy"], 6)
        self.assertIn("rows: the label", self.kiln("eval", "run").stdout)
        six = self.json("eval", "run", "--tta", "six")
        self.assertIsNotNone(six["tta_accuracy"])

    def test_dry_run__tells_and_does_nothing(self):
        plan = self.json("train", *TINY, "--dry-run")
        self.assertEqual(plan["steps"], 30)
        self.assertGreater(plan["memory_bytes"], 0)
        self.assertEqual(plan["probes"], [])
        self.assertFalse((self.folder / "runs").exists())

    def test_dry_run__shows_what_probes_cost(self):
        probes = ["--probes", "norms,sharpness", "--probe-budget"]
        free = self.json("train", *TINY, *probes, "1000000", "--dry-run")
        plan = self.json("train", *TINY, *probes, "0.5", "--dry-run")
        self.assertEqual([p["name"] for p in plan["probes"]], ["norms", "sharpness"])
        self.assertLessEqual(sum(p["share"] for p in plan["probes"]), 0.5 + 1e-9)
        for generous, p in zip(free["probes"], plan["probes"]):
            self.assertEqual(generous["every_steps"], generous["wanted_every_steps"])
            self.assertEqual(p["wanted_every_steps"], generous["wanted_every_steps"])
            self.assertGreater(p["every_steps"], p["wanted_every_steps"])
            self.assertEqual(p["measurements"], 30 // p["every_steps"])
            self.assertAlmostEqual(p["share"], p["cost_steps"] / p["every_steps"], 9)
        self.assertIn("probe sharpness: ",
                      self.kiln("train", *TINY, *probes, "0.5", "--dry-run").stdout)

    def test_dry_run__announces_the_measurements_that_a_run_makes(self):
        probes = ["--probes", "norms", "--probe-budget", "0.01"]
        plan = self.json("train", *TINY, *probes, "--dry-run")
        self.train(*probes)
        rows = [json.loads(line) for line in self.read("run/probes.jsonl").splitlines()]
        self.assertEqual(len({r["step"] for r in rows}), plan["probes"][0]["measurements"])

    def test_quiet__says_nothing(self):
        done = self.kiln("train", *TINY, "--steps", "2", "--eval-every", "-1", "--quiet", "--out",
                         "run")
        self.assertEqual(done.stderr, "")
        self.assertIn("weights ", done.stdout)

    def test_progress__only_whole_lines_elsewhere_than_on_a_terminal(self):
        done = self.kiln("train", *TINY, "--steps", "12", "--eval-every", "-1", "--out", "run")
        self.assertNotIn("\r", done.stderr)
        self.assertNotIn("\033", done.stderr)

    def test_out__never_overwrites(self):
        self.train("--steps", "1", "--eval-every", "-1")
        before = self.read("run/config.ini")
        self.fails(2, "'run' already holds a run", "train", *TINY, "--out", "run", "--lr", "9")
        self.assertEqual(self.read("run/config.ini"), before)

    def test_target__a_missed_one_is_exit_code_5(self):
        result = self.train("--epochs", "1", "--knots", "0:1", "--target", "0.999", status=5)
        self.assertLess(result["test_accuracy"], 0.999)

    def test_train__divergence_is_exit_code_4(self):
        done = self.kiln("train", *TINY, "--lr", "1e6", "--knots", "0:1e6,1:1e6", "--out", "run",
                         status=4)
        self.assertIn("step", done.stderr.rstrip().split("\n")[-1])
        self.assertEqual(done.stdout, "")
        self.assertIn('"state": "diverged"', self.read("run/status.json"))


class Verify(harness.Case):
    def test_verify__tells_the_same_from_other_bits(self):
        self.train("--steps", "4", "--eval-every", "-1")
        answer = self.json("verify", "run", "--threads", "1")
        self.assertTrue(answer["same"])
        self.assertEqual(answer["steps"], 3)
        lines = self.read("run/metrics.jsonl").splitlines(keepends=True)
        hashes = [i for i, line in enumerate(lines) if '"kind":"hash"' in line]
        digit = lines[hashes[1]][-4]
        lines[hashes[1]] = lines[hashes[1]][:-4] + ("0" if digit != "0" else "1") + '"}\n'
        self.write("run/metrics.jsonl", "".join(lines))
        done = self.kiln("verify", "run", status=6)
        self.assertIn("gave other weights after step 2", done.stderr)
        self.fails(3, "'nowhere' is not a run directory", "verify", "nowhere")

    def test_resume__refuses_another_configuration(self):
        self.train("--steps", "2", "--eval-every", "-1")
        self.fails(2, "was begun with another configuration", "resume", "run", "--lr", "0.3")
        self.fails(3, "there is no run directory 'nowhere'", "resume", "nowhere")


if __name__ == "__main__":
    harness.main()

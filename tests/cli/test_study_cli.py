"""test_study_cli.py - kiln study: predictions before runs, a kill in between, and the outcome."""
import json
import os
import signal
import subprocess
import time

import harness

# The study scaling with a network and images so small that its runs take no time.
SMALL = ["scaling", "--net", str(harness.HERE / "tiny.net"), "--data", "synthetic", "--width", "1",
         "--train-count", "512", "--epochs", "0.5", "--batch", "32", "--threads", "2", "--jobs",
         "2"]


def told(outcome):
    """What two directories of the same runs must agree in: not times, nor where they are."""
    claims = {c["id"]: (c["seen"], c["verdict"]) for c in outcome["claims"]}
    del claims["efficiency"]  # a timing
    return claims


def claim(outcome, name):
    return next(c for c in outcome["claims"] if c["id"] == name)


class Study(harness.Case):
    def study(self, *args, **more):
        return self.json("study", *SMALL, *args, **more)

    def kill_after_a_run(self, folder):
        """Begins the study and kills all of its processes when some of its runs are done."""
        kiln = subprocess.Popen([harness.KILN, "study", *SMALL, "--out", folder], cwd=self.folder,
                                env=harness.clean_environment(), start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        trials = self.folder / folder / "trials"
        deadline = time.monotonic() + 60
        while kiln.poll() is None and time.monotonic() < deadline:
            states = [json.loads(s.read_text())["state"] for s in trials.glob("*/status.json")]
            if states.count("finished") >= 3:
                break
        os.killpg(kiln.pid, signal.SIGKILL)
        kiln.wait()
        self.assertEqual(kiln.returncode, -signal.SIGKILL, "it was done before it was killed")

    def test_study__goes_on_after_a_kill(self):
        whole = self.study("--out", "whole")
        self.kill_after_a_run("cut")
        self.assertFalse((self.folder / "cut/study.json").exists())
        prediction = self.read("cut/prediction.json")
        cut = self.study("--out", "cut")
        self.assertEqual(told(cut), told(whole))
        self.assertEqual(self.read("cut/prediction.json"), prediction)
        self.assertEqual(cut["prediction"]["written"], json.loads(prediction)["written"])
        before = self.read("cut/study.json")
        again = self.kiln("study", *SMALL, "--out", "cut")
        self.assertNotIn("finished in", again.stderr)  # nothing was trained again
        self.assertEqual(self.read("cut/study.json"), before)
        for text in ("same-bits", "supported", "verdict:", "cut/report.html"):
            self.assertIn(text, again.stdout)
        self.assertIn("<html", self.read("cut/report.html"))
        # Another configuration is another study: the prediction stays as it was.
        self.fails(2, "weight_decay", "study", *SMALL, "--weight-decay", "0.1", "--out", "cut")
        self.assertEqual(self.read("cut/prediction.json"), prediction)

    def test_study__more_seeds_add_runs(self):
        few = self.study("--seeds", "1", "--out", "grown")
        prediction = self.read("grown/prediction.json")
        self.assertEqual(claim(few, "breaks")["verdict"], "inconclusive")  # one run, no interval
        missing = self.study("--seeds", "2", "--out", "grown", "--dry-run")["missing"]
        more = self.study("--seeds", "2", "--out", "grown")
        self.assertEqual(missing, few["runs"]["total"])
        self.assertEqual(more["runs"]["total"], 2 * missing)
        self.assertEqual(claim(more, "breaks")["seen"]["n"], 4)
        self.assertIn("--seeds 2", more["command"])
        self.assertEqual(self.read("grown/prediction.json"), prediction)
        self.assertEqual(told(self.study("--out", "whole")), told(more))  # tiny has two seeds
        self.fails(2, "seeds", "study", *SMALL, "--seeds", "17")

    def test_study__list_and_dry_run_train_nothing(self):
        studies = self.json("study", "--list")["studies"]
        names = [s["study"] for s in studies]
        self.assertIn("lr-batch", names)
        self.assertTrue(all(s["question"].endswith("?") for s in studies))
        self.assertIn("scaling", self.kiln("study", "--list").stdout)
        plan = self.study("--dry-run", "--out", "never")
        self.assertEqual(len(plan["trials"]), plan["missing"])
        self.assertEqual([c["id"] for c in plan["claims"]][0], "linear")
        self.assertNotIn("verdict", plan["claims"][0])
        said = self.kiln("study", *SMALL, "--dry-run").stdout
        self.assertIn("predicted:", said)
        self.assertIn("rule:", said)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_study__bad_input_says_what_is_wrong(self):
        self.fails(2, "no study 'lr-bacth'; did you mean 'lr-batch'?", "study", "lr-bacth")
        self.fails(2, "kiln study needs a name", "study")
        self.fails(2, "scale", "study", "scaling", "--scale", "huge")


if __name__ == "__main__":
    harness.main()

"""test_halving.py - kiln sweep --halving: which trials, decided by what, and alike after kills."""
import json
import os
import random
import signal
import subprocess

import harness
from harness import KILN, TINY

QUICK = [*TINY, "--epochs", "4", "--threads", "1", "--set", "train_count=160"]
VARY = ["--vary", "lr=0.001,0.01,0.05,0.1,0.2", "--halving", "2"]


class Halving(harness.Case):
    def halve(self, *args, out="sw", **more):
        return self.json("sweep", *QUICK, *VARY, "--out", out, *args, **more)

    def rungs(self, status):
        """{epochs: {lr: [losses by seed]}}"""
        found = {}
        for t in status["trials"]:
            found.setdefault(t["values"]["epochs"], {}).setdefault(t["values"]["lr"], []) \
                .append(t["results"]["test_loss"])
        return found

    def check_decisions(self, status):
        """5, 2 and 1 configurations, each time those of least mean loss."""
        rungs = self.rungs(status)
        self.assertEqual({e: len(r) for e, r in rungs.items()}, {1: 5, 2: 2, 4: 1})
        for low, high in ((1, 2), (2, 4)):
            mean = {lr: sum(x) / len(x) for lr, x in rungs[low].items()}
            best = sorted(sorted(mean), key=mean.get)[:len(rungs[high])]
            self.assertEqual(sorted(rungs[high]), sorted(best))

    def test_halving__promotes_those_of_least_loss(self):
        status = self.halve("--seeds", "2")
        self.check_decisions(status)
        self.assertEqual(status["counts"]["finished"], 16)
        self.assertEqual(json.loads(self.read("sw/sweep.json"))["halving"], 2)
        # The last rung's trials are the plain sweep's, bit for bit.
        last = [t for t in status["trials"] if t["values"]["epochs"] == 4]
        for t in last:
            alone = self.train(*QUICK[len(TINY):], "--lr", t["values"]["lr"], "--seed",
                               t["values"]["seed"], out="alone-" + t["id"])
            self.assertEqual(alone["weights_hash"], t["results"]["weights_hash"])
        # The schedule keeps its shape in fewer epochs: 0:0.2, 1:1, 3:0 of 4.
        first = next(t for t in status["trials"] if t["values"]["epochs"] == 1)
        config = dict(line.split(" = ") for line in self.read(first["run"] + "/config.ini")
                      .splitlines() if " = " in line)
        self.assertEqual(config["knots"].replace(" ", ""), "0:0.2,0.25:1,0.75:0")
        shown = self.kiln("sweep", "status", "sw").stdout
        self.assertIn("halving by 2: 5 configurations for 1 epochs, 2 for 2, 1 for 4", shown)
        # Its report compares rates and epochs, not what follows from them.
        page = self.kiln("report", "sw", "--out", "-").stdout
        self.assertIn('<th scope="col">epochs</th>', page)
        self.assertNotIn('<th scope="col">knots</th>', page)

    def test_halving__again_does_nothing_and_another_factor_is_another_sweep(self):
        first = self.halve()
        again = self.kiln("sweep", *QUICK, *VARY, "--out", "sw")
        self.assertIn("nothing to do: all 8 trials are done", again.stderr)
        self.assertEqual(self.json("sweep", "status", "sw"), first)
        self.fails(2, "halves by another factor", "sweep", *QUICK, *VARY[:2], "--halving", "3",
                   "--out", "sw")

    def test_halving__more_seeds_extend_it(self):
        self.halve()
        self.halve("--seeds", "3")
        rungs = self.rungs(self.json("sweep", "status", "sw"))
        self.assertEqual({len(x) for x in rungs[1].values()}, {3})

    def test_halving__a_diverged_configuration_is_out(self):
        status = self.json("sweep", *QUICK, "--vary", "lr=0.01,1e6,0.1,0.2", "--halving", "2",
                           "--out", "sw")
        rungs = self.rungs(status)
        self.assertEqual(status["counts"]["diverged"], 1)
        self.assertNotIn(1e6, rungs[2])
        everything = self.json("sweep", *QUICK, "--vary", "lr=9e5,1e6", "--halving", "2",
                               "--out", "none")
        self.assertEqual(everything["counts"]["total"], 2)

    def test_halving__bad_input(self):
        self.fails(2, "--halving sets epochs itself", "sweep", *QUICK, "--vary", "epochs=1,2",
                   "--vary", "lr=0.1,0.2", "--halving", "2")
        self.fails(2, "needs at least 8 configurations and 8 epochs; here are 2 and 4", "sweep",
                   *QUICK, "--vary", "lr=0.1,0.2", "--halving", "8")
        self.fails(2, "--halving must be at least 2", "sweep", *QUICK, "--vary", "lr=0.1,0.2",
                   "--halving", "1")

    def test_halving__dry_run_says_what_is_known(self):
        told = self.kiln("sweep", *QUICK, *VARY, "--dry-run", "--out", "sw").stdout
        self.assertIn("5 trials, 5 to do", told)
        self.assertIn("5 configurations for 1 epochs, 2 configurations for 2 epochs, 1 "
                      "configuration for 4 epochs", told)
        self.halve()
        told = self.kiln("sweep", *QUICK, *VARY, "--dry-run", "--out", "sw").stdout
        self.assertIn("8 trials, 0 to do", told)

    def start(self, out):
        return subprocess.Popen([KILN, "sweep", *QUICK, *VARY, "--seeds", "2", "--out", out,
                                 "--checkpoint-every", "3", "--quiet"], cwd=self.folder,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env=harness.clean_environment())

    def test_halving__of_processes_that_are_killed_comes_to_the_same(self):
        calm = self.halve("--seeds", "2", "--checkpoint-every", "3", out="calm")
        rng = random.Random(4)
        processes = [self.start("sw") for _ in range(3)]
        for _ in range(9):
            victim = rng.randrange(3)
            try:
                processes[victim].wait(timeout=rng.uniform(0.05, 0.5))
            except subprocess.TimeoutExpired:
                os.kill(processes[victim].pid, signal.SIGKILL)
            processes[victim].communicate()
            processes[victim] = self.start("sw")
        for process in processes:
            said = process.communicate(timeout=200)[1]
            self.assertEqual(process.returncode, 0, said)
        status = self.json("sweep", "status", "sw")
        self.check_decisions(status)

        def results(s):
            return {t["id"]: (t["state"], t["results"]["weights_hash"]) for t in s["trials"]}
        self.assertEqual(results(status), results(calm))
        self.assertEqual(sorted(os.listdir(self.folder / "sw/trials")), sorted(results(calm)))


if __name__ == "__main__":
    harness.main()

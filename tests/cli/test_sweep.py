"""test_sweep.py - kiln sweep: plans, exact results, what a second call does, bad input."""
import json
import os
import pty
import re
import signal
import subprocess

import harness
from harness import FAULT_LIB, KILN, TINY

QUICK = [*TINY, "--epochs", "1", "--threads", "1"]


class Sweep(harness.Case):
    def sweep(self, *args, out="sw", **more):
        return self.json("sweep", *QUICK, "--out", out, *args, **more)

    def files(self, folder="sw"):
        """Every file's bytes and time stamp."""
        return {p: (p.read_bytes(), p.stat().st_mtime_ns)
                for p in (self.folder / folder).rglob("*") if p.is_file()}

    def test_sweep__trains_every_combination_once(self):
        done = self.sweep("--vary", "lr=0.05..0.2:log2", "--vary", "batch=32,64", "--seeds", "2",
                          "--jobs", "2")
        values = [(t["values"]["lr"], t["values"]["batch"], t["values"]["seed"])
                  for t in done["trials"]]
        wanted = [(lr, b, s) for lr in (0.05, 0.1, 0.2) for b in (32, 64) for s in (1, 2)]
        self.assertEqual(values, wanted)
        self.assertEqual(done["counts"]["finished"], 12)
        self.assertEqual(len({t["results"]["weights_hash"] for t in done["trials"]}), 12)
        self.assertEqual(os.listdir(self.folder / "sw/claims"), [])

    def test_sweep__a_trial_is_what_train_trains(self):
        done = self.sweep("--vary", "lr=0.3,1e-1", "--vary", "width=0.5,1", "--seeds", "2")
        trial = done["trials"][-1]
        self.assertEqual(trial["values"], {"lr": 0.1, "width": 1, "seed": 2})
        alone = self.train("--epochs", "1", "--lr", "0.1", "--width", "1", "--seed", "2",
                           "--threads", "2")
        for key in ("weights_hash", "test_loss", "test_accuracy", "train_loss"):
            self.assertEqual(trial["results"][key], alone[key])
        manifest = json.loads(self.read(f"{trial['run']}/manifest.json"))
        self.assertEqual(manifest["sessions"][0]["argv"][1], "sweep")
        self.kiln("eval", trial["run"])  # its last checkpoint stays, and its last alone
        self.assertEqual(sorted(os.listdir(self.folder / trial["run"] / "checkpoints")),
                         ["step_00000010.safetensors", "step_00000010.state.safetensors"])

    def test_sweep__again_does_nothing(self):
        first = self.sweep("--vary", "lr=0.1,0.2")
        before = self.files()
        again = self.kiln("sweep", *QUICK, "--out", "sw", "--vary", "lr=0.1,0.2")
        self.assertIn("nothing to do: all 2 trials are done", again.stderr)
        self.assertEqual(self.files(), before)
        self.assertEqual(self.json("sweep", "status", "sw"), first)

    def test_sweep__more_seeds_and_values_extend_it(self):
        ids = [t["id"] for t in self.sweep("--vary", "lr=0.1,0.3")["trials"]]
        wider = self.kiln("sweep", *QUICK, "--out", "sw", "--vary", "lr=0.1,0.2,0.3",
                          "--seeds", "2")
        self.assertIn("6 trials, 4 of them new", wider.stderr)
        self.assertIn("2 of 6 trials were done before; now 4 finished", wider.stderr)
        status = self.json("sweep", "status", "sw")
        self.assertEqual([t["id"] for t in status["trials"]][:2], ids)
        self.assertEqual(status["counts"]["finished"], 6)
        axes = json.loads(self.read("sw/sweep.json"))["axes"]
        self.assertEqual(axes[0]["values"], ["0.1", "0.2", "0.3"])
        # A part of it is still the same sweep.
        self.assertIn("nothing to do", self.kiln("sweep", *QUICK, "--out", "sw", "--vary",
                                                 "lr=0.3").stderr)

    def test_sweep__refuses_another_sweeps_directory(self):
        self.sweep("--vary", "lr=0.1")
        self.fails(2, "'sw' is another sweep: its momentum is '0.9', not '0.8'", "sweep", *QUICK,
                   "--out", "sw", "--vary", "lr=0.1", "--momentum", "0.8")
        self.fails(2, "'sw' is another sweep: it varies lr", "sweep", *QUICK, "--out", "sw",
                   "--vary", "batch=32")
        # Threads and folders cannot change what a trial measures.
        again = self.kiln("sweep", *QUICK, "--out", "sw", "--vary", "lr=0.1", "--threads", "2")
        self.assertIn("nothing to do", again.stderr)

    def test_sweep__a_diverged_trial_is_a_result(self):
        args = ["--vary", "weight_decay=0,1e6", "--epochs", "2"]  # grows 1e5-fold
        done = self.sweep(*args)
        self.assertEqual([t["state"] for t in done["trials"]], ["finished", "diverged"])
        self.assertIn("is not finite", done["trials"][1]["error"])
        self.assertNotIn("-nan", done["trials"][1]["error"])  # a NaN has no sign worth telling
        before = self.files()
        self.sweep(*args)
        self.assertEqual(self.files(), before)

    def test_sweep__a_failed_trial_is_tried_again(self):
        if not FAULT_LIB:
            self.skipTest("no fault library")
        ids = [t["id"] for t in self.json("sweep", *QUICK, "--out", "sw", "--vary", "lr=0.1,0.2",
                                          "--dry-run")["trials"]]
        env = {"LD_PRELOAD": FAULT_LIB, "KILN_FAULT_AT": "1", "KILN_FAULT_ERRNO": "28",
               "KILN_FAULT_PATH": f"{ids[0]}/metrics.jsonl", "KILN_FAULT_STICKY": "1"}
        failed = self.kiln("sweep", *QUICK, "--out", "sw", "--vary", "lr=0.1,0.2", status=1,
                           env=env)
        self.assertIn("1 of 2 trials failed; the first: trial lr=0.1 seed=1: cannot", failed.stderr)
        states = [t["state"] for t in self.json("sweep", "status", "sw")["trials"]]
        self.assertEqual(states, ["failed", "finished"])
        done = self.sweep("--vary", "lr=0.1,0.2")
        self.assertEqual([t["state"] for t in done["trials"]], ["finished", "finished"])
        alone = self.train("--epochs", "1", "--lr", "0.1", out="alone")
        self.assertEqual(done["trials"][0]["results"]["weights_hash"], alone["weights_hash"])

        env["KILN_FAULT_PATH"] = f"{ids[0]}/config.ini"
        stopped = self.kiln("sweep", *QUICK, "--out", "fast", "--vary", "lr=0.1,0.2", "--fail-fast",
                            status=1, env=env)
        self.assertIn("now 0 finished, 0 diverged, 1 failed", stopped.stderr)

    def test_sweep__on_a_terminal_shows_how_far_it_is_and_how_long_it_takes(self):
        ours, theirs = pty.openpty()
        done = subprocess.Popen(
            [KILN, "sweep", *QUICK, "--out", "sw", "--vary", "lr=0.1,0.2", "--seeds", "3", "--vary",
             "epochs=4,8"], cwd=self.folder, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            stderr=theirs, env=harness.clean_environment(TERM="xterm"))
        os.close(theirs)
        seen = harness.read_terminal(ours)
        self.assertEqual(done.wait(), 0)
        lines = re.findall(r"(\d+) of 12 trials done, \d running.*?, (\S+) left", seen)
        self.assertGreater(len(lines), 3)
        counts = [int(count) for count, _ in lines]
        self.assertEqual(counts, sorted(counts))  # over the whole sweep
        self.assertTrue(any(re.fullmatch(r"\d+:\d\d", left) for _, left in lines), lines)
        # The longest line fits the terminal, so that it is redrawn in place.
        drawn = re.findall(r"\r\x1b\[K([^\r\n]*)", seen)
        self.assertLess(max(map(len, drawn)), 80)

    def test_sweep__a_signal_stops_it_and_frees_its_claims(self):
        args = ["sweep", *TINY, "--epochs", "300", "--threads", "1", "--out", "sw", "--vary",
                "lr=0.1,0.2", "--jobs", "2", "--checkpoint-every", "5"]
        process = subprocess.Popen([KILN, *args], cwd=self.folder, stderr=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True,
                                   env=harness.clean_environment())
        trials = self.folder / "sw/trials"
        while process.poll() is None and not list(trials.glob("*/checkpoints/*.state.safetensors")):
            os.sched_yield()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 143, stderr)
        self.assertIn("stopped; the same command goes on", stderr)
        for name in os.listdir(self.folder / "sw/claims"):
            self.assertTrue(json.loads(self.read(f"sw/claims/{name}"))["released"])
        states = {t["state"] for t in self.json("sweep", "status", "sw")["trials"]}
        self.assertLessEqual(states, {"interrupted", "waiting"})

    def test_sweep__samples_are_the_first_of_a_larger_sample(self):
        for kind in ("random", "sobol"):
            few, more = (self.json("sweep", *QUICK, "--vary", "lr=0.01..1:log", "--vary",
                                   "momentum=0.5..0.99", "--vary", "batch=16..64", "--vary",
                                   "flip=none,random", "--sample", f"{kind}:{count}", "--out",
                                   kind, "--dry-run")["trials"] for count in (8, 32))
            self.assertEqual(more[:8], few)
            lrs = sorted(t["values"]["lr"] for t in more)
            self.assertGreaterEqual(lrs[0], 0.01)
            self.assertLessEqual(lrs[-1], 1)
            self.assertEqual({t["values"]["flip"] for t in more}, {"none", "random"})
            self.assertTrue(all(16 <= t["values"]["batch"] <= 64 for t in more))
            if kind == "sobol":  # a quarter of the points in each quarter of the range, on the log
                quarters = [sum(10 ** (q / 2) * 0.01 <= lr < 10 ** ((q + 1) / 2) * 0.01
                                for lr in lrs) for q in range(4)]
                self.assertEqual(quarters, [8, 8, 8, 8])

    def test_sweep__bad_input_says_what_is_wrong(self):
        def bad(sentence, *args):
            self.fails(2, sentence, "sweep", *QUICK, "--out", "sw", *args)

        bad("--vary wants key=values", "--vary", "lr")
        bad("--vary: unknown key 'lrr'; did you mean 'lr'?", "--vary", "lrr=1,2")
        bad("--vary: lr is 'x', but must be a number", "--vary", "lr=0.1,x")
        bad("--vary: lr has 0.1 twice", "--vary", "lr=0.1,1e-1")
        bad("--vary: lr varies twice", "--vary", "lr=0.1", "--vary", "lr=0.2")
        bad("the smaller end comes first", "--vary", "lr=1..0.1:log2")
        bad("a log range must begin above 0", "--vary", "lr=0..1:log5")
        bad("ends in ':log1'", "--vary", "lr=0.1..1:log1")
        bad("the range of lr has no points", "--vary", "lr=0.1..1")
        bad("is no range", "--vary", "lr=0.1..")
        bad("--vary: momentum is 1.5, but must be from 0 to", "--vary", "momentum=0.5..1.5:lin3")
        bad("--sample is 'sobol', but must be random:N or sobol:N", "--sample", "sobol")
        bad("exclude each other", "--vary", "seed=1,2", "--seeds", "2")
        bad("100000 is the most", "--vary", "lr=0.1..1:log4000", "--seeds", "100")
        bad("trial batch=400 seed=1: batch (400 images) is larger", "--vary", "batch=32,400")
        bad("trial schedule=step seed=1: schedule = step needs step_at", "--vary", "schedule=step")
        self.assertFalse((self.folder / "sw").exists())
        self.fails(3, "'nowhere' is no sweep", "sweep", "status", "nowhere")
        self.write("sweep.json", '{"format": 1, "axes": [], "trials": [{"id": "../../etc"}]}')
        self.fails(3, "is damaged: a trial's id is not 16 hex digits", "sweep", "status", ".")


if __name__ == "__main__":
    harness.main()

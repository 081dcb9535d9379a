"""test_resume.py - exactness of whole runs: threads, signals, kill -9 and resume, same bits."""
import os
import random
import re
import signal
import subprocess
import sys
import time

import harness
from harness import KILN, TINY


# 120 steps: long enough to be met by a signal.
LONG = ["--epochs", "12"]


class Resume(harness.Case):
    def start(self, *args, out):
        """Starts a training in the background."""
        return subprocess.Popen([KILN, "train", *TINY, "--out", out, *args], cwd=self.folder,
                                env=harness.clean_environment(), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait_for_step(self, process, run, step):
        """Waits until the run has recorded this step, or is over."""
        path = self.folder / run / "metrics.jsonl"
        limit = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < limit:
            if path.exists() and f'"kind":"train","step":{step},' in path.read_text():
                return
            time.sleep(0.002)

    def check_records(self, run, reference):
        """The records of a resumed run are those of an undisturbed one: no step twice, none
        missing, the same losses."""
        def losses(records):
            return [(r["step"], r["train/loss"]) for r in records if r["kind"] == "train"]

        self.assertEqual(losses(self.records(run)), losses(self.records(reference)))
        strip = re.compile(r",[^,]*,[^,]*,[^,]*$", re.M)  # times differ
        self.assertEqual(strip.sub("", self.read(f"{run}/epochs.csv")),
                         strip.sub("", self.read(f"{reference}/epochs.csv")))

    def test_threads__do_not_show(self):
        hashes = set()
        for threads in (1, 2, 3, 8):
            result = self.train("--threads", threads, "--steps", "12", "--eval-every", "-1",
                                out=f"t{threads}")
            hashes.add(result["weights_hash"])
        self.assertEqual(len(hashes), 1)

    def killed_at(self, call, *args):
        """Runs kiln on the folder "killed" with kill -9 at its Nth call that writes there. Returns
        whether the call came; if not, the run must have ended well."""
        env = harness.clean_environment(
            LD_PRELOAD=harness.FAULT_LIB, KILN_FAULT_AT=str(call), KILN_FAULT_SIGNAL="9",
            KILN_FAULT_PATH=str(self.folder / "killed"))
        done = subprocess.run([KILN, *args], cwd=self.folder, env=env, text=True,
                              capture_output=True, timeout=harness.patience(120))
        self.assertIn(done.returncode, (0, -signal.SIGKILL), done.stderr)
        return done.returncode == -signal.SIGKILL

    def test_kill__ten_times_at_random_resumes_to_the_same_bits(self):
        if not harness.FAULT_LIB:
            self.skipTest("KILN_FAULT_LIB is not set")
        keys = [*LONG, "--checkpoint-every", "4", "--average", "lookahead", "--average-every", "3"]
        whole = self.train(*keys, out="whole")
        random.seed(1)
        # Every step writes a record, every fourth a checkpoint: a kill falls into either.
        calls = [random.randint(50, 150) for _ in range(10)]
        self.assertTrue(self.killed_at(calls[0], "train", *TINY, *keys, "--out", "killed"))
        steps = [self.steps_done()]
        for call in calls[1:]:
            self.assertTrue(self.killed_at(call, "resume", "killed"), f"after steps {steps}")
            steps.append(self.steps_done())
        print(f"kill -9 at steps {steps}", file=sys.stderr)
        self.json("resume", "killed")
        again = self.json("resume", "killed")  # a finished run is evaluated again, no more
        self.assertEqual(again["weights_hash"], whole["weights_hash"])
        self.assertEqual(again["steps"], 120)
        self.assertEqual(again["test_loss"], whole["test_loss"])
        self.check_records("killed", "whole")
        for name in os.listdir(self.folder / "killed/checkpoints"):
            self.assertFalse(name.endswith(".tmp"), name)

    def steps_done(self):
        """The last step that the killed run has recorded."""
        found = re.findall(r'"kind":"train","step":(\d+)', self.read("killed/metrics.jsonl"))
        return int(found[-1]) if found else 0

    def test_signals__have_their_codes_and_lose_nothing(self):
        whole = self.train(*LONG, out="whole")
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143),
                               (signal.SIGUSR1, 75)):
            # On a busy machine a run may be over before its signal comes: try again.
            for attempt in range(10):
                out = f"run{status}.{attempt}"
                process = self.start("--json", *LONG, out=out)
                self.wait_for_step(process, out, 7)
                process.send_signal(number)
                stdout, stderr = process.communicate(timeout=harness.patience(120))
                if process.returncode != 0:
                    break
            self.assertEqual(process.returncode, status, stderr)
            self.assertIn('"reason": "stopped"', stdout)
            self.assertIn(f"'kiln resume {out}' goes on", stderr)
            self.assertIn('"state": "stopped"', self.read(f"{out}/status.json"))
            result = self.json("resume", out, "--threads", "1")
            self.assertEqual(result["weights_hash"], whole["weights_hash"])
            self.check_records(out, "whole")

    def test_steps__a_limited_run_goes_on_to_the_end(self):
        whole = self.train(out="whole")
        part = self.train("--steps", "13", out="part")
        self.assertEqual(part["steps"], 13)
        self.assertNotEqual(part["weights_hash"], whole["weights_hash"])
        rest = self.json("resume", "part")
        self.assertEqual(rest["steps"], 30)
        self.assertEqual(rest["weights_hash"], whole["weights_hash"])

    def test_lock__one_writer_at_a_time(self):
        process = self.start("--epochs", "3000", out="run")
        self.wait_for_step(process, "run", 2)
        self.fails(1, "'run' is being written by another process (process", "resume", "run")
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def test_resume__lost_checkpoints_are_not_a_new_start(self):
        self.train("--steps", "11", "--eval-every", "-1")
        before = self.read("run/metrics.jsonl")
        for name in os.listdir(self.folder / "run/checkpoints"):
            os.unlink(self.folder / "run/checkpoints" / name)
        self.fails(3, "'run' has lost its checkpoints", "resume", "run")
        self.assertEqual(self.read("run/metrics.jsonl"), before)


if __name__ == "__main__":
    harness.main()

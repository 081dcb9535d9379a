"""test_sweep_kill.py - many processes on one sweep, killed at random and started again: every trial
is done exactly once, none lost, none torn, and the results are those of an undisturbed run.

    python3 tests/cli/test_sweep_kill.py build/release/kiln            4 processes, 16 trials
    cmake --build --preset release --target sweep-kill                 8, 64, and 40 kills
"""
import json
import os
import random
import signal
import subprocess

import harness
from harness import FAULT_LIB, KILN, TINY

PROCESSES, TRIALS, KILLS = map(int, os.environ.get("KILN_SWEEP_KILL", "4x16x10").split("x"))


class SweepKill(harness.Case):
    def command(self, trials):
        return [KILN, "sweep", *TINY, "--epochs", "4", "--checkpoint-every", "7", "--threads", "1",
                "--vary", "lr=0.05,0.1", "--seeds", str(trials // 2), "--out", "sw"]

    def start(self, trials, env=None):
        return subprocess.Popen(self.command(trials), cwd=self.folder, stderr=subprocess.PIPE,
                                stdout=subprocess.DEVNULL, text=True,
                                env=harness.clean_environment(**(env or {})))

    def count_done(self):
        """How many runs say that they are finished; cheap enough to ask often."""
        return sum('"state": "finished"' in p.read_text()
                   for p in (self.folder / "sw/trials").glob("*/status.json"))

    def check_trial(self, trial):
        run = trial["run"]
        self.assertEqual(trial["state"], "finished")
        steps = [r["step"] for r in self.records(run) if r["kind"] == "train"]  # parses every line
        self.assertEqual(steps, list(range(1, 41)))
        sessions = json.loads(self.read(f"{run}/manifest.json"))["sessions"]
        ends = [s.get("reason") for s in sessions]
        self.assertEqual(ends.count("finished"), 1, ends)
        self.assertEqual(ends[-1], "finished")
        left = [n for n in os.listdir(self.folder / run / "checkpoints")]
        self.assertFalse([n for n in left if n.endswith(".tmp")], left)
        return len(sessions)

    def check_all(self, trials):
        """Every trial once complete; returns by how many processes they were trained."""
        done = self.json("sweep", "status", "sw")
        self.assertEqual(done["counts"]["finished"], trials)
        self.assertEqual(len(done["trials"]), trials)
        self.assertEqual(sorted(os.listdir(self.folder / "sw/trials")),
                         sorted(t["id"] for t in done["trials"]))
        # A process killed while it made a claim leaves a hidden file, which is removed when old.
        claims = [n for n in os.listdir(self.folder / "sw/claims") if not n.startswith(".")]
        self.assertEqual(claims, [])
        sessions = sum(self.check_trial(t) for t in done["trials"])
        for trial in random.Random(2).sample(done["trials"], 3):
            alone = self.json("train", *TINY, "--epochs", "4", "--lr", trial["values"]["lr"],
                              "--seed", trial["values"]["seed"], "--out", "alone-" + trial["id"])
            self.assertEqual(trial["results"]["weights_hash"], alone["weights_hash"])
        return sessions

    def check_again(self, trials):
        def files():
            return {p: (p.read_bytes(), p.stat().st_mtime_ns)
                    for p in (self.folder / "sw").rglob("*") if p.is_file()}
        before = files()
        again = subprocess.run(self.command(trials), cwd=self.folder, text=True,
                               env=harness.clean_environment(), capture_output=True)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn(f"nothing to do: all {trials} trials are done", again.stderr)
        self.assertEqual(files(), before)

    def claims(self):
        """Processes that hold a claim on a trial now."""
        pids = set()
        for path in (self.folder / "sw/claims").glob("????????????????.*"):
            try:
                claim = json.loads(path.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                continue  # just removed
            if not claim["released"] and os.path.exists(f"/proc/{claim['pid']}"):
                pids.add(claim["pid"])
        return sorted(pids)

    def parent(self, pid):
        try:
            with open(f"/proc/{pid}/stat") as f:
                return int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            return None

    def kill_one(self, rng, processes):
        """Kills a worker that trains, or the command that it belongs to, after a random time;
        starts the command anew if it ended."""
        holders = self.claims()
        any_one = rng.randrange(PROCESSES)
        try:
            processes[any_one].wait(timeout=rng.uniform(0.001, 0.05))
        except subprocess.TimeoutExpired:
            pass
        killed = 0
        if holders:
            worker = rng.choice(holders)
            victim = worker if rng.random() < 0.5 else self.parent(worker)
            if victim in [p.pid for p in processes] or self.parent(victim) in [p.pid
                                                                              for p in processes]:
                try:
                    os.kill(victim, signal.SIGKILL)
                    killed = 1
                except ProcessLookupError:
                    pass
        for i, process in enumerate(processes):
            if process.poll() is not None:
                process.communicate()
                processes[i] = self.start(TRIALS)
        return killed

    def test_kill__of_any_process_at_any_time_loses_nothing(self):
        rng = random.Random(1)
        processes = [self.start(TRIALS) for _ in range(PROCESSES)]
        killed = 0
        while killed < KILLS and self.count_done() < TRIALS:
            killed += self.kill_one(rng, processes)
        for process in processes:
            process.communicate(timeout=280)  # 1 if its worker was killed: that trial failed here
            self.assertIn(process.returncode, (0, 1, -signal.SIGKILL))
        # What a process killed last had in its hands, if nobody was left to take it over.
        last = self.start(TRIALS)
        said = last.communicate(timeout=280)[1]
        self.assertEqual(last.returncode, 0, said)
        sessions = self.check_all(TRIALS)
        self.check_again(TRIALS)
        print(f"{killed} kills; {TRIALS} trials in {sessions} sessions")
        self.assertGreater(sessions - TRIALS, killed // 4)
        self.assertGreater(killed, KILLS // 2)

    def test_kill__at_any_write_of_a_worker_loses_nothing(self):
        if not FAULT_LIB:
            self.skipTest("no fault library")
        rng = random.Random(3)
        hits = 0
        for n in sorted(rng.sample(range(1, 400), 6)):
            env = {"LD_PRELOAD": FAULT_LIB, "KILN_FAULT_AT": str(n), "KILN_FAULT_PATH": "sw/",
                   "KILN_FAULT_SIGNAL": "9"}
            process = self.start(6, env)
            process.communicate(timeout=120)
            hits += process.returncode != 0
        self.assertGreater(hits, 0)
        last = self.start(6)
        said = last.communicate(timeout=120)[1]
        self.assertEqual(last.returncode, 0, said)
        self.check_all(6)
        self.check_again(6)


if __name__ == "__main__":
    harness.main()

"""test_run_faults.py - whole runs on a machine that fails: every write once, a full disk, a folder
that cannot be written, damaged checkpoints, no memory."""
import concurrent.futures
import errno
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import harness  # noqa: E402
from harness import KILN, TINY  # noqa: E402

KEYS = ["--steps", "4", "--checkpoint-every", "2", "--hash-steps", "1", "--eval-every", "-1",
        "--keep-last", "1", "--threads", "1"]
BUDGET = 30.0  # seconds of one loop; a slow machine tries every k-th call and says so


class Faults(harness.Case):
    def faulty(self, out, call, sticky, number=errno.ENOSPC, path="", keys=()):
        """Trains into `out` with the Nth call under out/path failing. Returns status, stderr, the
        report."""
        report = self.folder / f"{out}.report"
        env = harness.clean_environment(
            LD_PRELOAD=harness.FAULT_LIB, KILN_FAULT_AT=str(call),
            KILN_FAULT_PATH=str(self.folder / out) + path, KILN_FAULT_ERRNO=str(number),
            KILN_FAULT_REPORT=str(report))
        if sticky:
            env["KILN_FAULT_STICKY"] = "1"
        done = subprocess.run([KILN, "train", *TINY, *KEYS, *keys, "--quiet",
                               "--out", str(self.folder / out)], cwd=self.folder, env=env,
                              text=True, capture_output=True, timeout=300)
        return done.returncode, done.stderr, report.read_text() if report.exists() else ""

    def check(self, out, call, sticky, wanted):
        """One failing call: one sentence, nothing damaged, and a resume that reaches the same
        weights. Returns whether the call came at all."""
        status, stderr, report = self.faulty(out, call, sticky)
        where = f"call {call} ({report.strip()}), status {status}: {stderr}"
        if not report:
            self.assertEqual((status, stderr), (0, ""), where)
            return False
        self.assertIn(status, (0, 1), where)
        if status == 1:
            lines = stderr.splitlines()
            self.assertTrue(lines[-1].startswith("kiln: "), where)
            self.assertIn("no space left on device", stderr, where)
        else:
            self.check_whole(out, wanted, where)
        run = self.folder / out
        if status == 1 and (run / "config.ini").exists() and (run / "manifest.json").exists():
            # "again": from scratch if it never had a checkpoint, else from the last good one.
            again = self.json("resume", out, "--steps", "4", "--threads", "1")
            self.assertEqual(again["weights_hash"], wanted, where)
        shutil.rmtree(run, ignore_errors=True)
        return True

    def check_whole(self, out, wanted, where):
        """A run that went on through a failure has recorded everything."""
        steps = [r["step"] for r in self.records(out) if r["kind"] == "train"]
        self.assertEqual(steps, [1, 2, 3, 4], where)
        manifest = json.loads(self.read(f"{out}/manifest.json"))
        self.assertEqual(manifest["result"]["weights_hash"], wanted, where)

    def loop(self, sticky):
        if not harness.FAULT_LIB:
            self.skipTest("KILN_FAULT_LIB is not set")
        start = time.monotonic()
        wanted = self.json("train", *TINY, *KEYS, "--out", "whole")["weights_hash"]
        seconds = time.monotonic() - start
        # A run that fails is followed by one that resumes; two at a time.
        stride = int(os.environ.get("KILN_FAULT_STRIDE", 0)) or \
            max(1, int(2 * seconds * 150 / 2 / BUDGET + 0.5))
        calls, call = 0, 1
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            more = True
            while more:
                batch = range(call, call + 4 * stride, stride)
                came = list(pool.map(
                    lambda n: self.check(f"n{n}", n, sticky, wanted), batch))
                calls += sum(came)
                more = all(came)
                call += 4 * stride
        print(f"{calls} failing calls, one in {stride}", file=sys.stderr)
        self.assertGreater(calls * stride, 80)

    def test_writes__each_may_fail_once(self):
        self.loop(sticky=False)

    def test_writes__a_disk_may_be_full_from_any_call_on(self):
        self.loop(sticky=True)

    def test_probes__each_write_may_fail(self):
        """What probes measured is a record like any other: it waits for room, for nothing else."""
        if not harness.FAULT_LIB:
            self.skipTest("KILN_FAULT_LIB is not set")
        keys = ["--probes", "norms", "--probe-budget", "1000000", "--set", "epochs=10"]
        self.train(*KEYS, *keys)
        whole = self.read("run/probes.jsonl")
        came = [self.check_probes(keys, call, number, whole.count("\n"))
                for number in (errno.ENOSPC, errno.EIO) for call in range(1, 20)]
        self.assertGreater(sum(came), 6, "writes were made to fail")
        self.assertFalse(came[18] or came[37], "and all of them were tried")

    def check_probes(self, keys, call, number, rows):
        """Whether that call came: a write without room is made up for, any other failure ends the
        run, and so does a file that cannot be made."""
        out = f"n{number}-{call}"
        status, stderr, report = self.faulty(out, call, False, number, path="/probes.jsonl",
                                             keys=keys)
        where = f"call {call} ({report.strip()}), status {status}: {stderr}"
        what = report.split()[0] if report else "nothing"
        if what in ("nothing", "close"):
            self.assertEqual((status, stderr), (0, ""), where)
            return bool(report)
        self.assertIn("probes.jsonl", stderr, where)
        if what == "fsync" and number == errno.ENOSPC:
            self.assertIn(status, (0, 1), where)  # the last one has nobody to try it again
        elif what != "open" and number == errno.ENOSPC:
            self.assertEqual(status, 0, where)
            self.assertEqual(self.read(f"{out}/probes.jsonl").count("\n"), rows, where)
        else:
            self.assertEqual(status, 1, where)
        return True

    def test_folder__read_only(self):
        status, stderr, _ = self.faulty("run", 1, True, errno.EROFS)
        self.assertEqual(status, 1)
        self.assertIn("cannot make folder", stderr)
        self.assertIn("read-only file system", stderr)

    def test_run_folder__no_permission(self):
        """As root, who may write everywhere, the run is somebody else's."""
        os.mkdir(self.folder / "runs", 0o555)
        os.chmod(self.folder, 0o755)
        before = (lambda: os.setuid(65534)) if os.geteuid() == 0 else None
        try:
            subprocess.run([KILN, "net", "show", TINY[2]], preexec_fn=before, check=True,
                           capture_output=True)
        except (PermissionError, subprocess.CalledProcessError):
            self.skipTest("nobody may not run kiln where it is")
        self.fails(1, "permission denied", "train", *TINY, before=before)
        self.assertEqual(os.listdir(self.folder / "runs"), [])


class Checkpoints(harness.Case):
    def setUp(self):
        super().setUp()
        self.train(*KEYS)
        self.weights = self.folder / "run/checkpoints/step_00000004.safetensors"
        self.state = self.folder / "run/checkpoints/step_00000004.state.safetensors"

    def damage(self, path, change):
        """Damages a file; resume must say so with exit code 3 and change nothing."""
        whole = path.read_bytes()
        path.write_bytes(change(whole))
        before = self.read("run/metrics.jsonl")
        self.fails(3, "; 'run' has none that is older", "resume", "run", "--steps", "6")
        self.assertEqual(self.read("run/metrics.jsonl"), before)
        path.write_bytes(whole)

    def test_checkpoint__damaged(self):
        for path in (self.weights, self.state):
            with self.subTest(path.name):
                self.damage(path, lambda b: b[:len(b) // 2])
                self.damage(path, lambda b: b[:4])
                self.damage(path, lambda b: b"")
                self.damage(path, lambda b: b + b"more")
                self.damage(path, lambda b: b"\xff" * 8 + b[8:])
                self.damage(path, lambda b: b[:40] + b"\0" + b[41:])
        self.assertEqual(self.json("resume", "run", "--steps", "6")["steps"], 6)

    def test_checkpoint__damaged_with_an_older_one_beside_it(self):
        """The sentence ends in a command that does go on, to the same bits."""
        wanted = self.json("resume", "run", "--steps", "6", "--keep-last", "2")["weights_hash"]
        newest = self.folder / "run/checkpoints/step_00000006.safetensors"
        newest.write_bytes(newest.read_bytes()[:-4])
        done = self.kiln("resume", "run", "--steps", "8", "--quiet", status=3)
        command = re.fullmatch(r"kiln: cannot use 'run/\S+6\.safetensors': .*; 'kiln (resume run "
                               r"--from \S+4\.safetensors)' goes on from the one before it\n",
                               done.stderr)
        self.assertTrue(command, done.stderr)
        again = self.json(*command[1].split(), "--steps", "6")
        self.assertEqual(again["weights_hash"], wanted)

    def test_checkpoint__of_another_network(self):
        done = self.kiln("eval", self.weights, "--data", "synthetic", "--net", "resnet20",
                         "--width", "0.25", status=3)
        self.assertIn("it has no tensor 'conv1.weight'", done.stderr)

    def test_checkpoint__missing_state(self):
        os.unlink(self.state)
        self.kiln("resume", "run", status=3)
        self.assertIn("test_accuracy", self.json("eval", self.weights))


class Memory(harness.Case):
    def test_plan__no_memory_for_it(self):
        if harness.sanitized():
            self.skipTest("the sanitizer needs the address space")
        room = 400 << 20
        done = self.kiln("train", harness.RECIPE, "--net", "resnet9", "--batch", "320", "--out",
                         "run", "--threads", "1", status=1,
                         before=lambda: resource.setrlimit(resource.RLIMIT_AS, (room, room)))
        self.assertIn("kiln: no memory for", done.stderr)


if __name__ == "__main__":
    harness.main()

"""test_full_disk.py - training on a disk that is full: it goes on, records wait in memory, nothing
that was written is lost. The disk is a small tmpfs; where none can be mounted this is skipped."""
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import harness  # noqa: E402
from harness import KILN, TINY  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
WARNING = "kiln: warning: "


class FullDisk(harness.Case):
    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        if LIBC.mount(b"tmpfs", bytes(self.disk), b"tmpfs", 0, b"size=1m"):
            harness.skip(f"cannot mount a tmpfs: {os.strerror(ctypes.get_errno())}")
        self.addCleanup(LIBC.umount2, bytes(self.disk), 2)

    def fill(self, leave):
        """A ballast that leaves so many bytes of room."""
        room = os.statvfs(self.disk)
        self.ballast = self.disk / "ballast"
        self.ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - leave))

    def start(self, *keys):
        return subprocess.Popen([KILN, "train", *TINY, *keys, "--out", self.disk / "run"],
                                cwd=self.folder, env=harness.clean_environment(), text=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def read_until(self, process, text):
        lines = []
        for line in process.stderr:
            lines.append(line)
            if text in line:
                return lines
        self.fail(f"never said '{text}':\n" + "".join(lines))

    def test_training__goes_on_and_records_everything_once_there_is_room(self):
        """Too many steps for the disk; it is made room on while they are trained."""
        keys = ["--set", "epochs=150", "--eval-every", "-1", "--checkpoint-every", "1500"]
        wanted = self.train(*keys, out="beside")["weights_hash"]
        self.fill(leave=100_000)
        process = self.start(*keys)
        warning = self.read_until(process, WARNING)[-1]
        self.assertIn("no space left on device", warning)
        self.assertIn("training goes on", warning)
        self.ballast.unlink()
        LIBC.mount(b"tmpfs", bytes(self.disk), b"tmpfs", 32, b"size=64m")  # MS_REMOUNT
        said = process.stderr.read()
        self.assertEqual(process.wait(), 0, said)
        self.assertTrue("there is room again" in said, said[-2000:])
        steps = [r["step"] for r in self.records("disk/run") if r["kind"] == "train"]
        self.assertEqual(steps, list(range(1, 1501)))
        self.assertEqual(len(self.read("disk/run/epochs.csv").splitlines()), 151)
        manifest = json.loads(self.read("disk/run/manifest.json"))
        self.assertEqual(manifest["result"]["weights_hash"], wanted)

    def test_training__ends_with_a_sentence_when_there_never_is_room(self):
        wanted = self.train("--eval-every", "-1", out="beside")["weights_hash"]
        self.fill(leave=40_000)
        process = self.start("--eval-every", "-1")
        said = process.stderr.read()
        self.assertEqual(process.wait(), 1, said)
        self.assertIn("training goes on", said)
        self.assertIn("\n     3 ", said)  # the last epoch was trained
        last = said.rstrip("\n").split("\n")[-1]
        self.assertTrue(last.startswith("kiln: cannot write the checkpoint of step 30"), said)
        self.assertTrue(last.endswith("no space left on device"), said)
        self.ballast.unlink()
        again = self.json("resume", self.disk / "run")
        self.assertEqual(again["weights_hash"], wanted)
        steps = [r["step"] for r in self.records("disk/run") if r["kind"] == "train"]
        self.assertEqual(steps, list(range(1, 31)))


if __name__ == "__main__":
    harness.main()

"""harness.py - runs the real kiln binary in a folder of its own; for tests/cli and tests/fault.

A test program calls main(). The binary's path is its first argument; KILN_FAULT_LIB names the
library that makes chosen calls fail (tests/fault/fault.h).
"""
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
KILN = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""
FAULT_LIB = os.environ.get("KILN_FAULT_LIB", "")
RECIPE = str(HERE / "tiny.ini")
TINY = [RECIPE, "--net", str(HERE / "tiny.net")]


@functools.lru_cache
def sanitized():
    """Whether kiln was built with a sanitizer: then everything takes many times as long."""
    binary = pathlib.Path(KILN).read_bytes()
    return b"__asan_init" in binary or b"__tsan_init" in binary


def patience(seconds):
    """How long to wait for what takes less than `seconds` on a busy machine."""
    return seconds * (10 if sanitized() else 1)


@functools.lru_cache
def best_tier():
    """The highest kernel tier of this machine."""
    done = subprocess.run([KILN, "doctor", "--json"], capture_output=True, text=True, check=True)
    tiers = json.loads(done.stdout)["cpu"]["tiers"]
    return [name for name, there in tiers.items() if there][-1]


def clean_environment(**extra):
    """The environment without what would configure kiln, and with `extra` (None: unset). Tier and
    precision are pinned, so that no test but that of the measurement depends on one."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("KILN_")}
    env["KILN_HOME"] = str(HERE.parent.parent)
    env["KILN_PRECISION"] = "fp32"
    env["XDG_CACHE_HOME"] = "/nonexistent"
    if "KILN_ISA" not in extra:
        env["KILN_ISA"] = best_tier()
    env["ASAN_OPTIONS"] = "verify_asan_link_order=0:" + env.get("ASAN_OPTIONS", "")
    env.update(extra)
    return {k: v for k, v in env.items() if v is not None}


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kiln-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def kiln(self, *args, status=0, env=None, limit=120, before=None):
        """Runs kiln and checks its exit status; returns what it printed."""
        done = subprocess.run([KILN, *map(str, args)], cwd=self.folder, text=True,
                              env=clean_environment(**(env or {})), capture_output=True,
                              timeout=patience(limit), preexec_fn=before)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def fails(self, status, sentence, *args, **more):
        """kiln must fail with this status, this sentence (without the folder's name), nothing on
        stdout."""
        done = self.kiln(*args, status=status, **more)
        said = done.stderr.replace(str(self.folder) + "/", "")
        self.assertIn(sentence, said)
        self.assertEqual(done.stdout, "")
        last = said.rstrip("\n").split("\n")[-1]
        self.assertTrue(last.startswith("kiln: "), said)

    def json(self, *args, **more):
        """Runs with --json; stdout must be one object and nothing else."""
        done = self.kiln(*args, "--json", **more)
        value = json.loads(done.stdout)
        self.assertIsInstance(value, dict)
        return value

    def train(self, *args, out="run", **more):
        """Trains the tiny recipe; returns the object that --json prints."""
        return self.json("train", *TINY, "--out", out, *args, **more)

    def read(self, name):
        return (self.folder / name).read_text()

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name

    def records(self, run="run"):
        return [json.loads(line) for line in self.read(f"{run}/metrics.jsonl").splitlines()]


def read_terminal(fd):
    """All that is written to a terminal until its other end is closed, as text; closes fd."""
    seen = b""
    try:
        while part := os.read(fd, 65536):
            seen += part
    except OSError:  # the other end is closed
        pass
    os.close(fd)
    return seen.decode()


def skip(reason):
    print("skipped: " + reason)
    sys.exit(77)


def main():
    """Runs the tests of the program."""
    if not KILN:
        skip("no binary given")
    unittest.main(verbosity=2)

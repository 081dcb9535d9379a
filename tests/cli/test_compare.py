"""test_compare.py - bench/compare.py with stand-ins for kiln and PyTorch that say fixed speeds."""
import json
import pathlib
import subprocess
import sys

import harness

COMPARE = pathlib.Path(__file__).resolve().parents[2] / "bench" / "compare.py"

# Prints a speed that its arguments decide, and notes that it ran.
STAND_IN = '''
import json, os, signal, sys
words = sys.argv[1:]
kiln = words[0] == "bench"
value = lambda key, other=None: words[words.index(key) + 1] if key in words else other
runs = open("runs.txt").read().splitlines() if os.path.exists("runs.txt") else []
name = "kiln" if kiln else "torch"
name += " " + value("--precision", "auto") + (" compiled" if "--compile" in words else "")
held = os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2"
open("runs.txt", "a").write(name + (" held" if held else "") + "\\n")
turn = sum(r.startswith("kiln" if kiln else "torch") for r in runs)
if not kiln and "--compile" in words and value("--precision") == "fp32":
    sys.exit("no compiler")
if not kiln and value("--precision") in SLOW:
    signal.pause()
speed = KILN[turn % len(KILN)] if kiln else {"fp32": 100, "bf16": 250}[value("--precision")]
if kiln:
    speed *= int(value("--threads"))
    speed *= 0.5 if value("--batch") == "64" else 1
if "--compile" in words:
    speed = 240
frozen = "--freeze-whitening" in words or (FREEZE and kiln)
print(json.dumps({"program": "kiln" if kiln else "pytorch", "version": "9", "isa": "any",
                  "precision": value("--precision", "auto"), "images_per_second": speed,
                  "whitening_bias": "frozen" if frozen else "trains"}))
'''


class Compare(harness.Case):
    def compare(self, *args, kiln=(500, 650, 400), freeze=False, slow=(), status=0):
        """Runs compare.py on airbench94 with 2 threads; kiln says these speeds in turn, PyTorch
        never ends in the precisions `slow`."""
        code = f"KILN = {list(kiln)!r}\nFREEZE = {freeze!r}\nSLOW = {slow!r}\n" + STAND_IN
        self.write("step.py", code)
        stand_in = self.folder / "kiln"
        stand_in.write_text(f"#!/bin/sh\nexec {sys.executable} step.py \"$@\"\n")
        stand_in.chmod(0o755)
        done = subprocess.run(
            [sys.executable, COMPARE, "--python", sys.executable, "--kiln", stand_in,
             "--torch-step", "step.py", "--net", "airbench94", "--threads", "2", "--json",
             "result.json", *map(str, args)],
            cwd=self.folder, text=True, capture_output=True, timeout=60,
            env=harness.clean_environment())
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.said = done.stderr
        self.table = done.stdout
        return json.loads(self.read("result.json"))["claims"] if status == 0 else None

    def runs(self):
        return self.read("runs.txt").splitlines()

    def test_compare__median_and_spread_of_ratios(self):
        claim, = self.compare("--claim", "best", "--pairs", 3)
        ratio = claim["ratio"]
        self.assertEqual((ratio["least"], ratio["median"], ratio["greatest"], ratio["n"]),
                         (800 / 250, 1000 / 250, 1300 / 250, 3))
        self.assertIn("| 4.00 (3.20 ... 5.20) | 3 |", self.table)

    def test_compare__fastest_configuration_stands_and_failed_one_is_reported(self):
        claim, = self.compare("--claim", "best", "--pairs", 1)
        self.assertEqual(claim["right"]["label"], "PyTorch bf16")
        tried = json.loads(self.read("result.json"))["surveys"]["airbench94"]["all"]
        self.assertEqual([t["images_per_second"] for t in tried], [250, 240, 100, None])
        self.assertIn("PyTorch fp32 compiled failed", self.said)
        self.assertIn("PyTorch fp32 compiled failed", self.table)

    def test_compare__configuration_that_takes_too_long_is_stopped_and_reported(self):
        claim, = self.compare("--claim", "best", "--pairs", 1, "--no-compile", "--patience", 5,
                              slow=("bf16",))
        self.assertEqual(claim["right"]["label"], "PyTorch fp32")
        self.assertIn("PyTorch bf16 is left out: stopped after 5 s", self.said)
        self.assertIn("PyTorch bf16 stopped after 5 s", self.table)

    def test_compare__no_configuration_in_time_is_an_error(self):
        self.compare("--claim", "best", "--no-compile", "--patience", 1, slow=("fp32", "bf16"),
                     status=1)
        self.assertIn("no configuration of PyTorch ran for airbench94", self.said)

    def test_compare__sides_take_turns(self):
        self.compare("--claim", "best", "--pairs", 3, "--no-compile")
        order = [r.split()[0] for r in self.runs()[2:]]
        self.assertEqual(order, ["kiln", "torch", "torch", "kiln", "kiln", "torch"])

    def test_compare__fp32_stands_against_fp32(self):
        best, fp32 = self.compare("--claim", "best", "--claim", "fp32", "--pairs", 1, kiln=(500,))
        self.assertEqual(best["ratio"]["median"], 4)
        self.assertEqual(fp32["right"]["label"], "PyTorch fp32")
        self.assertEqual(fp32["ratio"]["median"], 10)
        self.assertEqual(self.runs()[-2:], ["kiln fp32", "torch fp32"])

    def test_compare__avx2_holds_pytorch_back(self):
        claim, = self.compare("--claim", "avx2", "--pairs", 1)
        self.assertEqual(set(self.runs()) - {"kiln fp32"},
                         {"torch fp32 held", "torch fp32 compiled held"})
        self.assertEqual(claim["left"]["command"][-2:], ["--isa", "avx2"])

    def test_compare__threads_and_batch_need_no_pytorch(self):
        threads, batch = self.compare("--claim", "threads", "--claim", "batch", "--pairs", 1,
                                      kiln=(500,))
        self.assertEqual(threads["ratio"]["median"], 2)
        self.assertEqual(batch["ratio"]["median"], 0.5)
        self.assertEqual({r.split()[0] for r in self.runs()}, {"kiln"})
        steps = batch["left"]["command"]
        self.assertEqual(steps[steps.index("--steps") + 1], str(3 * 1024 // 64))

    def test_compare__different_work_is_refused(self):
        self.compare("--pairs", 1, freeze=True, status=1)
        self.assertIn("whitening bias of one side is 'frozen', of the other 'trains'", self.said)

    def test_compare__frozen_on_both_sides_is_said(self):
        claim, *_ = self.compare("--pairs", 1, "--freeze-whitening")
        self.assertEqual(claim["whitening_bias"], "frozen")
        self.assertIn("is frozen on both sides", self.table)


harness.main()

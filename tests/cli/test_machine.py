"""test_machine.py - kernels chosen by measurement: the cache, the choice, and that resumes obey."""
import json
import os
import pathlib
import shutil
import tempfile

import harness
from harness import TINY


class Machine(harness.Case):
    AUTO = {"KILN_ISA": None, "KILN_PRECISION": None}
    measured = None              # the text of a cache that kiln wrote, and its name

    def setUp(self):
        super().setUp()
        self.env = {**self.AUTO, "XDG_CACHE_HOME": str(self.folder / "cache")}
        if not Machine.measured:
            self.assertIn("measured which kernels", self.run_step().stderr)
            file, = (self.folder / "cache" / "kiln").iterdir()
            content = json.loads(file.read_text())
            self.assertEqual(content["measurements"], 1)
            Machine.measured = file.name, json.dumps({**content, "measurements": 4})
            shutil.rmtree(self.folder / "cache")

    def run_step(self, *args, **more):
        out = tempfile.mkdtemp(dir=self.folder) + "/run"
        return self.kiln("train", *TINY, "--steps", 1, "--eval-every", -1, "--out", out, *args,
                         env=self.env, **more)

    def cache(self, text=None):
        """Puts a cache file there: the one that kiln wrote, unless a text is given."""
        path = self.folder / "cache" / "kiln" / Machine.measured[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Machine.measured[1] if text is None else text)
        return path

    def cache_with(self, **seconds):
        """A cache that says these seconds of tier_precision, and much more of all others."""
        content = json.loads(Machine.measured[1])
        for speed in content["speeds"]:
            name = f"{speed['tier']}_{speed['precision']}"
            speed.update(seconds=seconds.get(name, 9), stopped=name not in seconds)
        content["measurements"] = 4
        names = [f"{s['tier']}_{s['precision']}" for s in content["speeds"]]
        if not set(seconds) <= set(names):
            self.skipTest("this machine has not the tiers: " + " ".join(seconds))
        return self.cache(json.dumps(content))

    def train_auto(self, out, *args):
        self.json("train", *TINY, "--eval-every", -1, "--out", out, *args, env=self.env)
        manifest = json.loads(self.read(f"{out}/manifest.json"))
        return manifest, manifest["sessions"][-1]

    def test_machine__second_run_reads_what_the_first_measured(self):
        path = self.cache()
        before = os.stat(path).st_mtime_ns
        self.assertNotIn("measured which", self.run_step("--isa", "auto").stderr)
        self.assertEqual(os.stat(path).st_mtime_ns, before)

    def test_machine__torn_file_is_measured_anew(self):
        path = self.cache(Machine.measured[1][:200])
        said = self.run_step().stderr
        self.assertIn("measuring again", said)
        self.assertEqual(len(json.loads(path.read_text())["speeds"]),
                         len(json.loads(Machine.measured[1])["speeds"]))

    def test_machine__file_of_another_build_is_measured_anew(self):
        content = json.loads(Machine.measured[1])
        content["build"] = "an older one"
        path = self.cache(json.dumps(content))
        self.assertIn("is of another build: measuring again", self.run_step().stderr)
        self.assertNotEqual(json.loads(path.read_text())["build"], "an older one")

    def test_machine__highest_tier_that_lost_gets_another_turn(self):
        content = json.loads(Machine.measured[1])
        first, last = content["speeds"][0], content["speeds"][-1]
        if first["tier"] == last["tier"]:
            self.skipTest("this machine has one tier")
        wanted = "bf16" if last["tier"] in ("avx512bf16", "amx") else "fp32"
        lost, = (s for s in content["speeds"]
                 if (s["tier"], s["precision"]) == (last["tier"], wanted))
        first.update(seconds=1e-9, stopped=False)
        lost.update(seconds=9, stopped=False)
        content["measurements"] = 1
        path = self.cache(json.dumps(content))
        for count in (2, 3, 4):
            self.assertIn(f"{lost['tier']} in {wanted} lost in", self.run_step().stderr)
            kept = json.loads(path.read_text())
            self.assertEqual(kept["measurements"], count)
            self.assertEqual(kept["speeds"][0]["seconds"], 1e-9)
            self.assertLess(kept["speeds"][content["speeds"].index(lost)]["seconds"], 9)
        self.assertNotIn("measured which", self.run_step().stderr)
        self.assertEqual(json.loads(path.read_text())["measurements"], 4)

    def test_machine__bf16_without_an_instruction_may_lose(self):
        content = json.loads(Machine.measured[1])
        if content["speeds"][-1]["tier"] in ("avx512bf16", "amx"):
            self.skipTest("this machine multiplies bf16")
        for speed in content["speeds"]:
            best = (speed["tier"], speed["precision"]) == (content["speeds"][-1]["tier"], "fp32")
            speed.update(seconds=0.5 if best else 1, stopped=False)
        content["measurements"] = 1
        path = self.cache(json.dumps(content))
        self.assertNotIn("measuring again", self.run_step().stderr)
        self.assertEqual(json.loads(path.read_text())["measurements"], 1)

    def test_machine__what_cannot_be_kept_is_no_error(self):
        self.write("file", "")
        self.env["XDG_CACHE_HOME"] = str(self.folder / "file")
        self.assertIn("it cannot be kept", self.run_step().stderr)

    def test_machine__pinned_kernels_touch_no_cache(self):
        self.run_step("--isa", "ref", "--precision", "fp32")
        self.run_step("--precision", "fp64")
        self.kiln("schedule", *TINY, env=self.env)
        self.assertFalse((self.folder / "cache").exists())

    def test_machine__fastest_is_taken_recorded_and_said(self):
        self.cache_with(avx2_fp32=0.5, avx2_bf16=0.25)
        manifest, session = self.train_auto("run")
        self.assertEqual((session["tier"], manifest["precision"]), ("avx2", "bf16"))
        self.assertIn("avx2 in bf16 measured 2.00 times as fast as with avx2 in fp32",
                      session["kernels_why"])
        ini = self.read("run/config.ini")
        self.assertRegex(ini, r"(?m)^isa = avx2$")
        self.assertRegex(ini, r"(?m)^precision = bf16$")
        self.assertIn("times as fast", self.run_step().stderr)

    def test_machine__noise_does_not_choose(self):
        self.cache_with(avx2_fp32=0.50, avx2_bf16=0.49)
        self.assertEqual(self.train_auto("run")[0]["precision"], "fp32")

    def test_machine__pinned_half_restricts_the_choice(self):
        self.cache_with(avx2_fp32=0.5, avx2_bf16=0.25)
        manifest, session = self.train_auto("run", "--precision", "fp32")
        self.assertEqual((session["tier"], manifest["precision"]), ("avx2", "fp32"))

    def test_machine__resume_keeps_the_recorded_kernels(self):
        self.cache_with(avx2_fp32=0.5)
        whole = self.train_auto("whole")[0]["result"]["weights_hash"]
        self.train_auto("run", "--steps", 7)
        self.cache_with(avx2_bf16=0.25)
        self.json("resume", "run", env=self.env)
        manifest = json.loads(self.read("run/manifest.json"))
        self.assertEqual([s["tier"] for s in manifest["sessions"]], ["avx2", "avx2"])
        self.assertEqual(manifest["result"]["weights_hash"], whole)

    def test_machine__run_of_a_tier_that_is_not_there_says_so(self):
        tiers = self.json("doctor")["cpu"]["tiers"]
        missing = [name for name, there in tiers.items() if not there]
        if not missing:
            self.skipTest("this machine has every tier")
        self.train("--steps", 3)
        manifest = json.loads(self.read("run/manifest.json"))
        manifest["sessions"][0]["tier"] = missing[-1]
        self.write("run/manifest.json", json.dumps(manifest))
        self.fails(2, f"tier '{missing[-1]}', which this machine cannot run", "resume", "run",
                   "--quiet")
        self.fails(2, f"tier '{missing[-1]}', which this machine cannot run", "verify", "run")
        done = self.kiln("resume", "run", "--isa", "ref")
        self.assertIn("with others its bits will be others", done.stderr)
        self.write("run/config.ini", self.read("run/config.ini").replace(
            f"isa = {harness.best_tier()}", f"isa = {missing[-1]}"))
        self.assertIn("others are taken", self.kiln("eval", "run", env=self.AUTO).stderr)

    def test_machine__doctor_shows_and_measures(self):
        kernels = self.json("doctor", env=self.env)["kernels"]
        self.assertEqual((kernels["speeds"], kernels["tier"]), ([], None))
        self.assertIn("not measured yet", self.kiln("doctor", env=self.env).stdout)
        path = self.cache("torn")
        kernels = self.json("doctor", "--measure", env=self.env)["kernels"]
        self.assertEqual(pathlib.Path(kernels["cache"]), path)
        self.assertIn(kernels["tier"], [s["tier"] for s in kernels["speeds"]])
        shown = self.kiln("doctor", env=self.env).stdout
        self.assertRegex(shown, rf"(?m)^  {kernels['tier']} .* ms   taken by default$")
        self.assertIn(str(path), shown)


harness.main()

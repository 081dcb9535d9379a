"""test_report.py - kiln report as a file: the same bytes, nothing from outside, names unharmed."""
import base64
import html
import json
import math
import os
import pathlib
import re
import shlex
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import harness  # noqa: E402
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from make_runs import make_runs  # noqa: E402

NASTY = "\"><script>alert(1)</script>' & 🔥 größe"


class Report(harness.Case):
    def page(self, *args, **more):
        self.kiln("report", *args, "--out", "page.html", **more)
        return self.read("page.html")

    def text(self, page):
        """What a reader sees, without tags and entities."""
        page = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.S)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())

    def test_seeds__are_averaged_and_drawn_the_same_every_time(self):
        results = [self.train("--seed", str(seed), out=f"run{seed}") for seed in (1, 2, 3)]
        page = self.page("run1", "run2", "run3")
        self.assertEqual(page, self.page("run1", "run2", "run3"))
        accuracies = [100 * r["test_accuracy"] for r in results]
        mean = sum(accuracies) / 3
        sd = (sum((a - mean) ** 2 for a in accuracies) / 2) ** 0.5
        said = re.search(r"tiny reaches (\S+) ± (\S+) % test accuracy .*n = 3 runs",
                         self.text(page))
        self.assertAlmostEqual(float(said[1]), mean, places=1)
        self.assertAlmostEqual(float(said[2]), sd, places=1)
        self.assertNotIn("Few seeds", page)
        self.assertNotRegex(page, r'(src|href)="(https?:)?//')

    def test_one_run__says_what_is_not_known(self):
        self.train()
        page = self.page("run")
        self.assertIn("one run, so its spread is not known", self.text(page))
        self.assertIn("Few seeds", page)
        charts = re.findall(r'<script type="application/json">(.*?)</script>', page)
        self.assertEqual(len(charts), 4)
        loss = json.loads(charts[0])["data"]["datasets"]
        steps = [r["train/loss"] for r in self.records() if r["kind"] == "train"]
        raw = next(s for s in loss if s["role"] == "raw")
        self.assertEqual([round(v, 4) for v in raw["xy"][1::2]], [round(v, 4) for v in steps])

    def test_configurations__are_compared_and_their_differences_named(self):
        for lr in ("0.01", "0.1", "0.4"):
            for seed in ("1", "2"):
                self.train("--lr", lr, "--seed", seed, out=f"runs/lr{lr}-{seed}")
        text = self.text(self.page("runs"))
        self.assertIn("Best of 3 configurations: lr ", text)
        self.assertIn("6 runs of 3 configurations", text)
        self.assertIn("Loss against lr", text)

    def test_configurations_that_differ_in_much__have_short_names_of_their_own(self):
        knots = ", ".join(f"{i / 100:.2f}:1" for i in range(14))
        for i in "123":
            self.train("--knots", f"{knots}, 1:0.{i}", "--lr", f"0.{i}", "--momentum", f"0.{i}",
                       "--epochs", "1", out=f"runs/{i}")
        page = self.page("runs")
        labels = {s["label"] for s in self.chart(page, "fig-loss")
                  if s["label"].endswith("(test)")}
        self.assertEqual({re.search(r" · … \((\d)\) ", label)[1] for label in labels}, set("123"))
        self.assertLess(max(map(len, labels)), 140)
        families = {s["label"] for s in self.chart(page, "fig-optimum")}
        self.assertEqual(len(families), 3)
        self.assertTrue(all(re.search(r" · … \(\d\)$", label) for label in families), families)

    def figures(self, page):
        return {m[1]: m[0] for m in
                re.finditer(r'<figure class="\w+" id="([\w-]+)">.*?</figure>', page, flags=re.S)}

    def test_every_figure__says_what_it_shows_and_how_to_draw_it_again(self):
        for lr in ("0.01", "0.1", "0.4"):
            for batch in ("32", "64"):
                for seed in ("1", "2"):
                    self.train("--lr", lr, "--batch", batch, "--seed", seed, "--epochs", "1",
                               out=f"runs/{lr}-{batch}-{seed}")
        self.ramps()
        self.write("range/find-lr.json", json.dumps({
            "format": 1, "batch": 32, "range": [1, 2], "lr": [1, 2, 3], "points": {},
            "ramps": [{"seed": 1}, {"seed": 2}],
            "mean": {"loss": [3, 2, 1], "sd": [0.1] * 3, "slope": [-1, -1, -1]}}))
        drawn = set()
        for path in ("runs", "runs/0.1-32-1", "range"):
            figures = self.figures(self.page(path))
            drawn |= set(figures)
            for name, figure in figures.items():
                text = self.text(figure)
                self.assertRegex(figure, r'class="takeaway">[^<]{10}', name)
                # A heat map and a picture of images have their n elsewhere.
                self.assertRegex(text, r"\bn (= )?\d|on its \d+ test images", name)
                self.assertRegex(text, r"[Bb]and|± their standard|no spread|seen once", name)
                if "<canvas" in figure:
                    self.assertRegex(figure,
                                     r'<canvas role="img" tabindex="0" aria-label="[^"]{20}')
                command = re.search(r"kiln report (.* --only \w+) --out report.html", text)[1]
                again = self.figures(self.page(*shlex.split(command)))
                self.assertEqual(again[name], figure)
        self.assertEqual(drawn, {"fig-heat", "fig-optimum", "fig-parallel", "fig-loss", "fig-rate",
                                 "fig-accuracy", "fig-speed", "fig-hardest", "fig-confused",
                                 "fig-range", "fig-slope"})

    def test_runs__are_named_as_elsewhere_and_compared_without_a_name(self):
        self.fails(3, "there is no 'runs'", "report")
        self.train("--lr", "0.1", out="runs/20261123-101010-tiny-0a1b2c3d")
        self.train("--lr", "0.2", out="runs/20261123-101010-tiny-4e682d54")
        self.assertIn("kiln report runs/20261123-101010-tiny-0a1b2c3d --out",
                      self.text(self.page("0a1b")))
        self.assertIn("Best of 2 configurations", self.text(self.page()))

    def test_a_run_given_twice__is_one(self):
        self.train(out="run")
        os.symlink("run", self.folder / "link")
        for twice in (("run", "run/"), ("run", "./run"), ("run", "link")):
            self.assertIn("one run, so its spread is not known", self.text(self.page(*twice)))
        shutil.copytree(self.folder / "run", self.folder / "copy")
        self.assertIn("The same run twice. run and copy have the same configuration, seed and "
                      "weights", self.text(self.page("run", "copy")))

    def change(self, run, **members):
        """Changes the last session of a run's manifest."""
        manifest = json.loads(self.read(f"{run}/manifest.json"))
        manifest["sessions"][-1].update(members)
        self.write(f"{run}/manifest.json", json.dumps(manifest))

    def test_other_builds_and_tiers__are_a_warning(self):
        for seed in ("1", "2", "3"):
            self.train("--seed", seed, "--epochs", "1", out="run" + seed)
        runs = ("run1", "run2", "run3")
        self.assertNotIn("More than one build", self.page(*runs))
        self.change("run2", tier="other")
        self.assertIn("More than one build. 1 of 3 runs come from another build of kiln",
                      self.text(self.page(*runs)))

    def test_names__pass_through_unharmed(self):
        self.train("--set", "name=" + NASTY, out="run")
        shutil.move(self.folder / "run", self.folder / "a <i> 'b'")
        page = self.page("a <i> 'b'")
        self.assertNotIn("<script>alert", page)
        markup = re.sub(r"(<script[^>&]*>).*?</script>", r"\1", page, flags=re.S)
        self.assertNotRegex(markup, r"<(i\b|script(?!>| type=))")  # a bare '<' is enough
        self.assertIn(NASTY, html.unescape(page))
        self.assertIn("kiln report 'a <i> '\\''b'\\''' --out", html.unescape(page))

    def test_other_bits_of_the_same_run__are_a_warning(self):
        self.train(out="one")
        shutil.copytree(self.folder / "one", self.folder / "two")
        self.assertNotIn("Not the same bits", self.page("one", "two"))
        manifest = json.loads(self.read("two/manifest.json"))
        manifest["result"]["weights_hash"] = "0" * 64
        self.write("two/manifest.json", json.dumps(manifest))
        self.assertIn("Not the same bits", self.page("one", "two"))

    def test_a_diverged_run__is_a_result_but_in_no_mean(self):
        good = self.train(out="good")
        shutil.copytree(self.folder / "good", self.folder / "bad")
        for name, key in (("manifest.json", "result"), ("status.json", None)):
            value = json.loads(self.read("bad/" + name))
            (value[key] if key else value)["reason" if key else "state"] = "diverged"
            self.write("bad/" + name, json.dumps(value))
        text = self.text(self.page("good", "bad"))
        self.assertIn("1 of 2 runs diverged", text)
        self.assertIn(f"reaches {100 * good['test_accuracy']:.2f} % test accuracy", text)

    def test_a_diverged_run_alone__says_so_in_every_figure(self):
        self.kiln("train", *harness.TINY, "--weight-decay", "1e6", "--epochs", "2", "--out", "run",
                  status=4)
        page = self.page("run")
        text = self.text(page)
        self.assertIn("no accuracy was measured; it diverged", text)
        self.assertRegex(text, r"It diverged: after step \d+ its loss or a gradient was not finite")
        self.assertIn("No accuracy on test images was measured.", text)
        self.assertNotRegex(text, "(with|at) —")
        self.assertNotIn("Few seeds", text)
        self.assertIn('"y":{"type":"logarithmic"', self.figures(page)["fig-loss"])

    def ramps(self):
        """A find-lr folder with two ramps and a third that is not begun; returns their names."""
        trials = [("0" * 15 + str(seed), str(seed)) for seed in (1, 2)]
        for name, seed in trials:
            self.train("--seed", seed, "--knots", "0:0.001, 3:1", "--lr", "2",
                       out=f"range/trials/{name}")
        self.write("range/sweep.json", json.dumps({
            "format": 1, "kind": "find-lr", "recipe": "tiny", "argv": [], "created": "",
            "sampler": {"kind": "list"}, "axes": [], "seeds": ["1", "2"], "base": {},
            "trials": [{"id": name, "label": "", "set": {"seed": seed}}
                       for name, seed in trials + [("f" * 16, "3")]]}))
        return [name for name, _ in trials]

    def chart(self, page, figure):
        text = re.findall(figure + r'".*?json">(.*?)</script>', page, flags=re.S)[0]
        return json.loads(text)["data"]["datasets"]

    def test_a_range_test__that_is_not_done_shows_its_ramps(self):
        names = self.ramps()
        page = self.page("range")
        self.assertIn("2 of 3 ramps are begun", self.text(page))
        self.assertIn("n = 2 ramps, one a seed.", page)
        self.assertIn("1 trial of the sweep is not begun", page)
        sets = [s for s in self.chart(page, "fig-range") if s["xy"]]
        self.assertEqual([s["role"] for s in sets], ["raw", "raw"])
        rates = sets[0]["xy"][::2]
        self.assertEqual(rates, sorted(rates))
        self.assertGreater(rates[-1], 0.5)
        self.assertNotIn("fig-slope", page)
        self.assertNotIn('id="fig-range"', self.page(*[f"range/trials/{n}" for n in names]))
        sweep = json.loads(self.read("range/sweep.json"))
        self.write("range/sweep.json", json.dumps(dict(sweep, trials=sweep["trials"][:2])))
        text = self.text(self.page("range"))
        self.assertIn("its 2 ramps are done, but nothing was read off them", text)
        self.assertIn("the loss never fell by a tenth", text)

    def test_a_range_test__shows_what_find_lr_found(self):
        self.ramps()
        lr = [0.001 * 1.5 ** i for i in range(20)]
        loss = [3 + (i - 12) ** 2 / 100 for i in range(20)]
        slope = [(b - a) / math.log(1.5) for a, b in zip(loss, loss[1:])] + [None]

        def place(i, n=2):
            return {"lr": lr[i], "seeds": [lr[i]] * n, "n": n, "geometric_mean": lr[i] * 1.1,
                    "sd_factor": 1.25}
        points = {"steepest": place(2), "plateau_begin": place(6), "minimum_tenth": place(5),
                  "minimum": place(12), "plateau_end": place(16),
                  "blow_up": dict(place(18), lr=None)}
        self.write("range/find-lr.json", json.dumps({
            "format": 1, "recipe": "tiny", "batch": 32, "range": [lr[2], lr[16]], "lr": lr,
            "points": points, "ramps": [{"seed": 1}, {"seed": 2}], "confirm_steps": 10,
            "mean": {"loss": loss, "sd": [0.1] * 20, "slope": slope}, "confirmed": [
                {"lr": lr[2], "seed": s, "state": "finished", "test_loss": 2 + s,
                 "test_accuracy": 0.5} for s in (1, 2)] + [
                {"lr": lr[16], "seed": 1, "state": "diverged", "test_loss": None,
                 "test_accuracy": None}]}))
        page = self.page("range")
        text = self.text(page)
        self.assertIn(f"between {lr[2]:.2g} and {lr[16]:.2g} (mean curve of n = 2 seeds, batch 32)",
                      text)
        self.assertIn(f"minimum / 10 {lr[5]:.2g} {lr[5] * 1.1:.2g} ×÷ 1.25 2", text)
        self.assertRegex(text, rf"{lr[2]:.3g} 3.50 ± 0.71 50.0+ ± 0.0+ 2 0 {lr[16]:.3g} — — 0 1")
        self.assertIn("No blow-up seen", text)
        self.assertNotIn("Steepest at the edge", text)
        self.assertNotIn("Diverged", text)
        sets = {s["key"] + s["role"]: s["xy"] for s in self.chart(page, "fig-slope")}
        self.assertEqual(len(sets["slopeplain"]), 2 * 19)
        self.assertAlmostEqual(sets["falls fastestmark"][0], lr[2], places=6)
        zone = {s["role"]: s["xy"] for s in self.chart(page, "fig-range")}["zone"]
        self.assertAlmostEqual(zone[0], lr[2], places=6)
        self.assertAlmostEqual(zone[2], lr[16], places=4)
        drawn = {s["role"]: s["xy"] for s in self.chart(page, "fig-range")}["plain"]
        self.assertEqual([round(v, 4) for v in drawn[1::2]], [round(v, 4) for v in loss])
        found = json.loads(self.read("range/find-lr.json"))
        found["points"]["steepest"]["lr"] = found["lr"][0]
        self.write("range/find-lr.json", json.dumps(found))
        text = self.text(self.page("range"))
        self.assertIn("Steepest at the edge", text)
        self.assertNotIn("left of it", text)
        for rubbish in ("[]", "{}", '{"points": 3, "mean": [], "range": "x"}'):
            self.write("range/find-lr.json", rubbish)
            self.page("range")

    def study(self, **changes):
        """A study's folder around one run; returns what its study.json holds."""
        self.train(out="st/trials/" + "a" * 16)
        self.write("st/sweep.json", json.dumps({
            "format": 1, "kind": "lr-batch", "recipe": "tiny", "argv": [], "created": "",
            "sampler": {"kind": "list"}, "axes": [], "seeds": ["1"], "base": {},
            "trials": [{"id": "a" * 16, "label": "x", "set": {"seed": "1"}}]}))
        claim = {"id": "grows", "statement": "It <grows>.", "formula": "s > 0", "rule": "the rule",
                 "predicted": {"text": "above 0", "low": 0, "high": None, "unit": "slope"},
                 "falsified_by": "A flat line.", "counts": True, "verdict": "not supported",
                 "because": "none of the interval lies there",
                 "seen": {"text": "The slope is -1.", "value": -1, "low": -1.5, "high": -0.5,
                          "n": 3, "error": "95 % of something"}}
        s = {"format": 1, "study": "lr-batch", "title": "T", "scale": "tiny", "question": "Why?",
             "background": "Because.", "data": "synthetic", "recipe": "tiny",
             "command": "kiln study lr-batch --out 'a b'",
             "runs": {"total": 1, "finished": 1, "diverged": 0},
             "prediction": {"written": "2026-11-24T00:00:00Z", "hash": "0" * 64},
             "verdict": "not supported",
             "claims": [claim, dict(claim, id="two", verdict="supported", counts=False)],
             "figures": [{"id": "f", "title": "Figure <one>", "caption": "What one sees.",
                          "x": {"title": "batch", "log": True}, "y": {"title": "y", "log": False},
                          "series": [{"name": "ours", "style": "line", "source": "",
                                      "x": [1, 2, 4, 8], "mean": [1, None, 3, 4],
                                      "low": [0.5, None, 2, 3], "high": [2, None, 4, 5],
                                      "n": [3, 3, 2, 3]},
                                     {"name": "theirs", "style": "points", "source": "A paper",
                                      "x": [0, 2], "mean": [1, 2]}],
                          "references": [{"name": "limit", "axis": "x", "value": 4}]}],
             "tables": [{"id": "t", "title": "Table", "columns": ["a", "b"],
                         "rows": [["text", 0.25], [None, 3]]}],
             "caveats": ["Mind this."],
             "disagreements": [{"text": "old", "figures": "new", "here": "ours"}]}
        s.update(changes)
        self.write("st/study.json", json.dumps(s))
        return s

    def test_a_study__calls_its_runs_by_what_it_calls_them(self):
        trials = []
        for name, rate in (("a decay", "0.1"), ("b none", "0.2"), ("c <other>", "0.3")):
            trials.append({"id": name[0] * 16, "label": name, "set": {"seed": "1", "lr": rate}})
            self.train("--lr", rate, "--eval-every", "-1", out="st/trials/" + name[0] * 16)
        self.write("st/sweep.json", json.dumps({
            "format": 1, "kind": "lr-batch", "recipe": "tiny", "argv": [], "created": "",
            "sampler": {"kind": "list"}, "axes": [], "seeds": ["1"], "base": {},
            "trials": trials}))
        page = self.page("st")
        keys = {s["key"] for s in self.chart(page, "fig-loss")}
        self.assertEqual(keys, {"a decay (training)", "b none (training)", "c <other> (training)"})
        # Nothing was evaluated: there is no optimum to draw.
        self.assertNotIn("Where the optimum lies", page)

    def test_a_study__says_its_verdict_first_then_claims_and_figures(self):
        self.study()
        page = self.page("st")
        text = self.text(page)
        self.assertIn("Why? Not as predicted Of 1 claim that counts, 0 are supported, 1 not", text)
        self.assertLess(text.index("Not as predicted"), text.index("Its runs"))
        for said in ("It <grows>. not supported", "The slope is -1. -1 (-1.5 to -0.5), n = 3",
                     "A flat line.", "none of the interval lies there", "Mind this.",
                     "supported does not count", "text 0.25 — 3", "old new ours",
                     "theirs: A paper.", "n = 2 to 3 runs a point",
                     "kiln study lr-batch --out 'a b'"):
            self.assertIn(said, text)
        sets = self.chart(page, "fig-study-1")
        drawn = {(s["role"], s["key"]): s["xy"] for s in sets}
        self.assertEqual(drawn[("marked", "ours")], [1, 1, 4, 3, 8, 4])
        self.assertEqual(drawn[("points", "theirs")], [2, 2])  # 0 has no place on a log axis
        self.assertEqual(drawn[("mark", "limit")][::2], [4, 4])
        self.assertEqual(drawn[("band", "ours")], [1, 2, 4, 4, 8, 5])
        self.assertEqual(page, self.page("st"))

    def test_a_damaged_study__draws_what_it_can(self):
        s = self.study()
        for damage in ("[]", "{", "{}", json.dumps(dict(s, claims=3, figures=[1, {}], tables=[{}])),
                       json.dumps(dict(s, figures=[dict(s["figures"][0], series=[{"x": "a"}, 3])],
                                       claims=[{}], caveats=[1], command=3))):
            self.write("st/study.json", damage)
            self.page("st")

    def test_hard_images__are_in_the_page_with_their_labels(self):
        self.train()
        gallery = json.loads(self.read("run/gallery.json"))
        page = self.page("run")
        self.assertEqual(page.count("data:image/png;base64,"), 1)
        picture = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
        self.assertEqual(picture, (self.folder / "run/gallery.png").read_bytes())
        cuts = re.findall(r'viewBox="(\d+) (\d+) 32 32" aria-label="([^"]+)"', page)
        shown = gallery["hardest"] + [e for c in gallery["confused"] for e in c["examples"]]
        self.assertEqual([(int(x) // 32 + int(y) // 32 * 8) for x, y, _ in cuts],
                         [s["cell"] for s in shown])
        names = gallery["classes"]
        for (_, _, label), s in zip(cuts, shown):
            self.assertTrue(html.unescape(label).startswith(
                f"{names[s['label']]}, taken for {names[s['predicted']]} ("), label)
        self.assertIn(f"{gallery['wrong']} of {gallery['count']} are taken for something else",
                      self.text(page))

    def test_hard_images_of_many_runs__are_those_of_the_best(self):
        results = {name: self.train("--seed", seed, out=f"runs/{name}")["test_accuracy"]
                   for name, seed in (("one", "1"), ("two", "2"), ("three", "3"))}
        best = max(results, key=results.get)
        self.assertIn(f"Of the best run of the best configuration, {best} after step 30, on its",
                      self.text(self.page("runs")))
        for name in ("gallery.json", "gallery.png"):
            (self.folder / "runs" / best / name).unlink()
        text = self.text(self.page("runs"))
        self.assertIn(f"{best} has no gallery.json, so its hardest images are not known", text)
        self.assertNotIn("fig-hardest", text)

    def test_a_damaged_gallery__is_no_gallery(self):
        self.train()
        good = self.read("run/gallery.json")
        for damage in (good[:100], "{}", good.replace('"side": 32', '"side": -1'),
                       good.replace('"hardest"', '"softest"'),
                       good.replace('"predicted": ', '"predicted": 9999')):
            self.write("run/gallery.json", damage)
            self.page("run")
        self.write("run/gallery.json", good)
        (self.folder / "run/gallery.png").write_bytes(b"GIF89a, no picture")
        self.assertIn("has no gallery.json", self.page("run"))

    def test_damaged_and_missing_files__are_told(self):
        self.train()
        self.fails(3, "there is no 'nothing'", "report", "nothing")
        (self.folder / "empty").mkdir()
        self.fails(3, "is no run directory and holds none", "report", "empty")
        self.fails(2, "did you mean 'training'", "report", "run", "--only", "trainng")
        with open(self.folder / "run/metrics.jsonl", "a") as f:
            f.write("rubbish\n")
        self.assertIn("Damaged records", self.page("run"))

    def test_a_long_run__stays_below_two_megabytes(self):
        self.train()
        with open(self.folder / "run/metrics.jsonl", "w") as f:
            for step in range(1, 60001):
                f.write(json.dumps({"v": 1, "kind": "train", "step": step, "epoch": step / 1000,
                                    "train/loss": 2 + (step * 7919 % 1000) / 1e3,
                                    "train/accuracy": (step * 31 % 997) / 997, "opt/lr": step / 6e4,
                                    "perf/step_seconds": 0.01 + step % 7 / 1e3}) + "\n")
        page = self.page("run")
        self.assertLess(len(page), 2_000_000)
        spike = max(2 + (step * 7919 % 1000) / 1e3 for step in range(1, 60001))
        raw = next(s for s in self.chart(page, "fig-loss") if s["role"] == "raw")
        self.assertLessEqual(len(raw["xy"]), 2 * 2000)
        self.assertEqual(max(raw["xy"][1::2]), spike)

    def test_everything_at_once__stays_below_two_megabytes(self):
        """Thousands of configurations, the best of which have many seeds, steps and epochs."""
        make_runs(1500, self.folder / "runs")
        runs = sorted((self.folder / "runs").glob("2026*"))
        best = max(json.loads((run / "manifest.json").read_text())["result"]["test_accuracy"]
                   for run in runs)
        with open(self.folder / "metrics.jsonl", "w") as f:
            for step in range(1, 8001):
                f.write(json.dumps({"v": 1, "kind": "train", "step": step, "epoch": step / 4,
                                    "train/loss": 2 + (step * 7919 % 1000) / 1e3,
                                    "train/accuracy": (step * 31 % 997) / 997, "opt/lr": step / 6e4,
                                    "perf/step_seconds": 0.01 + step % 7 / 1e3}) + "\n")
                if step % 4 == 0:
                    f.write(json.dumps({"v": 1, "kind": "epoch", "step": step, "epoch": step / 4,
                                        "test/loss": 2 + (step * 7919 % 1000) / 1e3,
                                        "test/accuracy": (step * 31 % 997) / 997}) + "\n")
        best_runs = [run for run in runs if json.loads((run / "manifest.json").read_text())
                     ["result"]["test_accuracy"] == best][:6]
        for i, run in enumerate(best_runs):  # six configurations of ten seeds
            config = re.sub(r"(?m)^lr = .*$", f"lr = {2 + i}", (run / "config.ini").read_text())
            for seed in range(10):
                copy = self.folder / f"runs/best-{i}-{seed}"
                shutil.copytree(run, copy)
                (copy / "config.ini").write_text(
                    re.sub(r"(?m)^(seed|name) = .*$", lambda m: f"{m[1]} = {seed}", config))
                os.link(self.folder / "metrics.jsonl", copy / "metrics.jsonl")
        page = self.page("runs")
        library = max(re.findall(r"<script>(.*?)</script>", page, flags=re.S), key=len)
        self.assertGreater(len(library), 150_000)
        # Room for the hardest images, which made runs do not have.
        self.assertLess(len(page.encode()) - len(library), 2_000_000 - 350_000)
        lines = self.chart(page, "fig-parallel")
        self.assertEqual(len(lines), 800)
        ends = [line["xy"][-1] for line in lines]
        self.assertEqual(max(ends), 1)  # the best are drawn, not the worst
        self.assertEqual(ends, sorted(ends))
        self.assertIn("The 1000 best; ", self.text(page))

    def test_only__leaves_out_the_rest_and_json_counts(self):
        self.train()
        page = self.page("run", "--only", "training")
        self.assertIn('id="training"', page)
        self.assertNotIn('id="provenance"', page)
        told = self.json("report", "run", "--out", "x.html")
        self.assertEqual((told["report"], told["runs"], told["configurations"]), ("x.html", 1, 1))


if __name__ == "__main__":
    harness.main()

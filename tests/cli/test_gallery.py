"""test_gallery.py - what a run keeps of each held-out image, against what kiln says elsewhere."""
import json
import math
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
from png import read_png  # noqa: E402

FILES = ("predictions.safetensors", "gallery.json", "gallery.png")


class Gallery(harness.Case):
    def predictions(self, run="run"):
        """The tensors as lists, and the metadata."""
        data = (self.folder / run / "predictions.safetensors").read_bytes()
        size, = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + size])
        meta = header.pop("__metadata__")
        kinds = {"I64": "q", "F32": "f", "U8": "B"}
        columns = {}
        for name, t in header.items():
            begin, end = (8 + size + o for o in t["data_offsets"])
            columns[name] = struct.unpack(f"<{t['shape'][0]}{kinds[t['dtype']]}", data[begin:end])
        return columns, meta

    def gallery(self, run="run"):
        return json.loads(self.read(f"{run}/gallery.json"))

    def cell(self, gallery, picture, number):
        side, columns = gallery["side"], gallery["columns"]
        top, left = number // columns * side, number % columns * side
        return [row[left:left + side] for row in picture[top:top + side]]

    def test_predictions__add_up_to_the_result(self):
        result = self.train()
        p, meta = self.predictions()
        n = len(p["loss"])
        self.assertEqual(meta["images"], "test")
        self.assertEqual(meta["step"], "30")
        self.assertEqual(list(p["image"]), list(range(n)))
        self.assertAlmostEqual(sum(p["loss"]) / n, result["test_loss"], places=5)
        hits = sum(a == b for a, b in zip(p["label"], p["predicted"]))
        self.assertAlmostEqual(hits / n, result["test_accuracy"], places=12)
        self.assertLess(hits, n)
        for i in range(n):
            likely = math.exp(-p["loss"][i])  # of the true class
            if p["label"][i] == p["predicted"][i]:
                self.assertAlmostEqual(p["probability"][i], likely, places=5)
            else:
                self.assertLess(likely, p["probability"][i] + 1e-6)

    def test_hardest_and_confused__are_those_of_the_predictions(self):
        self.train()
        p, _ = self.predictions()
        g = self.gallery()
        n = len(p["loss"])
        worst = sorted(range(n), key=lambda i: (-p["loss"][i], i))[:24]
        self.assertEqual([h["image"] for h in g["hardest"]], worst)
        self.assertEqual([h["predicted"] for h in g["hardest"]], [p["predicted"][i] for i in worst])
        self.assertEqual(g["wrong"], sum(a != b for a, b in zip(p["label"], p["predicted"])))
        pairs = {}
        for i in range(n):
            if p["label"][i] != p["predicted"][i]:
                pairs.setdefault((p["label"][i], p["predicted"][i]), []).append(i)
        order = sorted(pairs, key=lambda k: (-len(pairs[k]), k))[:6]
        self.assertEqual([(c["label"], c["predicted"], c["count"]) for c in g["confused"]],
                         [(*k, len(pairs[k])) for k in order])
        for c in g["confused"]:
            of = pairs[(c["label"], c["predicted"])]
            self.assertEqual(c["of"], sum(label == c["label"] for label in p["label"]))
            self.assertEqual([e["image"] for e in c["examples"]],
                             sorted(of, key=lambda i: (-p["probability"][i], i))[:8])

    def test_picture__shows_the_images_that_the_list_names(self):
        self.train()
        g = self.gallery()
        picture = read_png((self.folder / "run/gallery.png").read_bytes())
        shown = g["hardest"] + [e for c in g["confused"] for e in c["examples"]]
        cells = [s["cell"] for s in shown]
        self.assertEqual(len(set(cells)), len(cells))
        self.assertEqual(len(picture), 32 * (max(cells) // 8 + 1))
        near = [s for s in shown if s["image"] < 200]  # enough, and quick to read
        self.assertGreater(len(near), 2)
        last = max(s["image"] for s in near)
        config = dict(line.split(" = ") for line in self.read("run/config.ini").splitlines()
                      if " = " in line)
        self.kiln("data", "show", "synthetic", "--split", "test", "--count", last + 1, "--scale",
                  1, "--columns", 1, "--png", "all.png", "--quiet", "--seed", config["data_seed"])
        every = read_png((self.folder / "all.png").read_bytes())
        height = 32 + 8 + 3 * 2  # image, label, gaps (src/cli/show_images.c)
        for s in near:
            top = s["image"] * height + 2
            self.assertEqual(self.cell(g, picture, s["cell"]),
                             [row[2:34] for row in every[top:top + 32]])

    def test_same_run__same_bytes(self):
        self.train(out="one")
        self.train(out="two", *("--threads", "1"))
        for name in FILES:
            self.assertEqual((self.folder / "one" / name).read_bytes(),
                             (self.folder / "two" / name).read_bytes(), name)

    def test_resume__replaces_them(self):
        self.train("--steps", "20", out="run")
        self.assertEqual(self.gallery()["step"], 20)
        self.kiln("resume", "run")
        self.assertEqual(self.gallery()["step"], 30)
        self.train(out="whole")
        self.assertEqual((self.folder / "run/gallery.png").read_bytes(),
                         (self.folder / "whole/gallery.png").read_bytes())

    def test_validation_images__decide_where_there_are_some(self):
        result = self.train("--validation", "64")
        p, meta = self.predictions()
        self.assertEqual((meta["images"], len(p["image"])), ("validation", 64))
        self.assertEqual(sorted(set(p["image"])), list(p["image"]))
        self.assertAlmostEqual(sum(p["loss"]) / 64, result["validation_loss"], places=5)
        self.assertEqual(self.gallery()["images"], "validation")

    def test_not_asked_for_or_not_evaluated__none(self):
        self.train("--set", "predictions=no", out="silent")
        self.train("--eval-every", "-1", out="blind")
        for run in ("silent", "blind"):
            self.assertEqual([f for f in FILES if (self.folder / run / f).exists()], [])


if __name__ == "__main__":
    harness.main()

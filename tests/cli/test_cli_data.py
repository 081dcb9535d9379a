"""kiln data, as a user meets it: exit codes, sentences, JSON, and the pixels of the picture.

usage: test_cli_data.py KILN
"""
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from png import read_png  # noqa: E402

KILN = sys.argv[1]
RECORDS, RECORD = 10000, 3073


def kiln(*args, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith("KILN_") and "proxy" not in k}
    env.update(environment)
    return subprocess.run([KILN, "data", *args], env=env, capture_output=True, text=True,
                          timeout=60, check=False)


def make_cifar(place):
    """CIFAR-10 in its official sizes, black, and sparse on the disk."""
    folder = os.path.join(place, "cifar-10-batches-bin")
    os.makedirs(folder)
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        with open(os.path.join(folder, name), "wb") as f:
            f.truncate(RECORDS * RECORD)
    with open(os.path.join(folder, "batches.meta.txt"), "w", encoding="ascii") as f:
        f.write("".join(f"thing{i}\n" for i in range(10)))
    return folder


def poke(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(bytes(data))


class Data(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="kiln-test-")
        cls.place = os.path.join(cls.scratch.name, "black")
        cls.folder = make_cifar(cls.place)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def expect(self, result, code, *words):
        self.assertEqual(result.returncode, code, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_wrong_usage_exits_with_2(self):
        self.expect(kiln(), 2)
        self.expect(kiln("show"), 2, "cifar10", "synthetic")
        self.expect(kiln("frobnicate", "cifar10"), 2, "'frobnicate'")
        self.expect(kiln("verify", "cifar-10"), 2, "'cifar10'")
        self.expect(kiln("fetch", "synthetic"), 2, "made, not fetched")
        self.expect(kiln("show", "synthetic", "--flip", "sideways"), 2, "sideways")
        self.expect(kiln("show", "synthetic", "--cutout", "33"), 2, "33")

    def test_missing_images_exit_with_3(self):
        empty = os.path.join(self.scratch.name, "empty")
        os.makedirs(empty)
        for what in "verify", "show":
            self.expect(kiln(what, "cifar10", "--data-dir", empty), 3, empty,
                        "kiln data fetch cifar10")

    def test_verify_tells_what_is_not_published(self):
        result = kiln("verify", "cifar10", "--data-dir", self.place)
        self.expect(result, 3, "not the published CIFAR-10")
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertIn("50000 for training", result.stdout)
        result = kiln("verify", "cifar10", "--data-dir", self.place, "--json")
        self.expect(result, 3)
        said = json.loads(result.stdout)
        self.assertEqual((said["train"], said["test"], said["published"]), (50000, 10000, False))
        self.assertIn(said["hash"], kiln("verify", "cifar10", KILN_DATA=self.place).stdout)

    def test_verify_finds_a_wrong_label(self):
        place = os.path.join(self.scratch.name, "labels")
        poke(os.path.join(make_cifar(place), "data_batch_4.bin"), 1234 * RECORD, [10])
        self.expect(kiln("verify", "cifar10", "--data-dir", place), 3, "data_batch_4.bin",
                    "record 1234", "label 10")

    def test_verify_says_nothing_it_does_not_know(self):
        result = kiln("verify", "synthetic", "--json", "--seed", "5")
        self.expect(result, 0)
        said = json.loads(result.stdout)
        self.assertIsNone(said["published"])
        self.assertEqual(said["source"], "seed 5")

    def test_show_draws_the_stored_pixels(self):
        place = os.path.join(self.scratch.name, "dots")
        png = os.path.join(self.scratch.name, "dots.png")
        path = os.path.join(make_cifar(place), "test_batch.bin")
        poke(path, 1 * RECORD, [7])                     # image 1 is of class 7
        poke(path, 1 * RECORD + 1 + 5 * 32 + 9, [200])  # its red at row 5, column 9
        poke(path, 1 * RECORD + 1 + 2 * 1024 + 31, [90])  # its blue at row 0, column 31
        for batch in range(1, 6):  # without some light in the training images nothing is normal
            poke(os.path.join(place, "cifar-10-batches-bin", f"data_batch_{batch}.bin"), 1,
                 range(256))
        for isa in "ref", "auto":  # the tiers cut alike
            result = kiln("show", "cifar10", "--data-dir", place, "--split", "test", "--count",
                          "2", "--scale", "2", "--pad", "4", "--png", png, "--isa", isa, "--quiet")
            self.expect(result, 0)
            self.assertEqual(result.stdout, png + "\n")
            rows = read_png(pathlib.Path(png).read_bytes())
            self.assertEqual((len(rows[0]), len(rows)), (2 * 68, 64 + 8 + 6))
            tiles = [[row[68 * i + 2 : 68 * i + 66] for row in rows[2:66]] for i in range(2)]
            self.assertEqual({v for row in tiles[0] for v in row}, {(0, 0, 0)})
            lit = {(y, x): tiles[1][y][x] for y in range(64) for x in range(64)
                   if tiles[1][y][x] != (0, 0, 0)}
            want = {(y, x): (200, 0, 0) for y in (10, 11) for x in (18, 19)}
            want |= {(y, x): (0, 0, 90) for y in (0, 1) for x in (62, 63)}
            self.assertEqual(lit, want)
            words = [sum(v == (235, 235, 235) for row in rows[66:] for v in row[a : a + 68])
                     for a in (0, 68)]
            self.assertTrue(words[0] > 30 and words[1] > 30)
        self.assertEqual([n for n in os.listdir(self.scratch.name) if "tmp" in n], [])

    def test_show_cuts_out_the_mean_colour(self):
        png = os.path.join(self.scratch.name, "cut.png")
        self.expect(kiln("show", "synthetic", "--cutout", "32", "--count", "3", "--scale", "1",
                         "--png", png), 0)
        mean = json.loads(kiln("verify", "synthetic", "--json").stdout)["mean"]
        rows = read_png(pathlib.Path(png).read_bytes())
        self.assertEqual({v for row in rows[2:34] for v in row[2:34]},
                         {tuple(round(m) for m in mean)})

    def test_show_depends_on_epoch_and_seed_only(self):
        def picture(*options):
            png = os.path.join(self.scratch.name, "same.png")
            self.expect(kiln("show", "synthetic", "--count", "6", "--scale", "1", "--flip",
                             "random", "--pad", "2", "--png", png, *options), 0)
            with open(png, "rb") as f:
                return f.read()

        first = picture()
        self.assertEqual(first, picture("--threads", "3"))
        self.assertNotEqual(first, picture("--epoch", "1"))
        self.assertNotEqual(first, picture("--seed", "2"))

    def test_show_tells_that_it_cannot_write(self):
        self.expect(kiln("show", "synthetic", "--png", "/no/such/folder/a.png"), 1,
                    "/no/such/folder/a.png")

    def test_fetch_takes_what_is_there(self):
        result = kiln("fetch", "cifar10", "--data-dir", self.place, "--json")
        self.expect(result, 0)
        self.assertEqual(json.loads(result.stdout)["fetched"], False)

    def test_fetch_says_why_it_failed(self):
        class Nothing(http.server.BaseHTTPRequestHandler):
            asked = []

            def do_GET(self):
                self.asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Nothing)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/mirror"
        target = os.path.join(self.scratch.name, "fetched")
        result = kiln("fetch", "mnist", "--data-dir", target, KILN_DATA_URL=url)
        self.expect(result, 3, "train-images-idx3-ubyte.gz", "127.0.0.1", "404")
        self.assertEqual(result.stdout, "")
        self.assertEqual(Nothing.asked, ["/mirror/train-images-idx3-ubyte.gz"])
        self.assertEqual(os.listdir(os.path.join(target, "mnist")), [])
        server.shutdown()
        server.server_close()


unittest.main(argv=sys.argv[:1])

"""test_bench.py - kiln bench: what it prints, and that its parts add up."""
import harness


class Bench(harness.Case):
    BENCH = ["bench", *harness.TINY, "--batch", 64, "--steps", 3, "--threads", 1]

    def test_bench__json_has_rates_and_rows(self):
        o = self.json(*self.BENCH)
        self.assertEqual(o["batch"], 64)
        self.assertEqual(len(o["seconds"]), 3)
        self.assertEqual(o["seconds"], sorted(o["seconds"]))
        self.assertAlmostEqual(o["images_per_second"] * o["seconds"][1], 64, places=3)
        phases = {r["phase"] for r in o["rows"]}
        for phase in ("augment", "forward", "loss", "backward-weights", "update"):
            self.assertIn(phase, phases)
        self.assertGreater(o["peak_flops"], 1e8)
        for row in o["rows"]:
            self.assertGreaterEqual(row["seconds"], 0)

    def test_bench__table_only_when_asked(self):
        self.assertIn("backward-weights", self.kiln(*self.BENCH).stdout)
        self.assertNotIn("backward-weights", self.kiln(*self.BENCH, "--no-table").stdout)

    def test_bench__unknown_network_is_a_usage_error(self):
        self.fails(2, "resnet9x", "bench", "--net", "resnet9x")


harness.main()

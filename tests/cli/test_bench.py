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

    def test_bench__totals_are_the_sums_of_their_rows(self):
        o = self.json(*self.BENCH)
        for group, total in o["totals"].items():
            rows = [r for r in o["rows"] if r["group"] == group]
            self.assertAlmostEqual(total["seconds"], sum(r["seconds"] for r in rows))
            self.assertAlmostEqual(total["bytes"] / 1e6, sum(r["bytes"] for r in rows) / 1e6,
                                   places=3)
        self.assertAlmostEqual(sum(t["share"] for t in o["totals"].values()), 1, places=5)
        convolution = [r for r in o["rows"] if r["group"] == "convolution"]
        self.assertEqual({r["phase"] for r in convolution},
                         {"pack", "forward", "backward-data", "backward-weights"})

    def test_bench__what_stands_around_the_step_is_measured(self):
        around = self.json(*self.BENCH)["around"]
        for key in ("ema", "lookahead", "logging"):
            self.assertGreater(around[key + "_seconds"], 0)
        self.assertGreater(around["six_views_seconds_per_image"],
                           2 * around["evaluation_seconds_per_image"])

    def test_bench__frozen_whitening_spares_backward_data_of_the_first_convolution(self):
        def passes(*more):
            o = self.json("bench", "airbench94", "--width", 0.25, "--batch", 32, "--steps", 1,
                          "--warmup-steps", 1, *more)
            return o["whitening_bias"], " ".join(r["phase"] for r in o["rows"]
                                                 if r["layer"] == "layers.1.conv1")
        self.assertEqual(passes()[0], "trains")
        self.assertIn("backward-data", passes()[1])
        self.assertEqual(passes("--freeze-whitening")[0], "frozen")
        self.assertNotIn("backward-data", passes("--freeze-whitening")[1])
        self.assertIn("whitening bias frozen", self.kiln(
            "bench", "airbench94", "--width", 0.25, "--batch", 32, "--steps", 1, "--no-table",
            "--freeze-whitening").stdout)

    def test_bench__more_steps_than_the_recipe_has_are_measured_all_the_same(self):
        out = self.kiln("bench", "airbench94", "--width", 0.25, "--batch", 32, "--epochs", 0.02,
                        "--steps", 5, "--warmup-steps", 0, "--no-table").stdout
        self.assertIn("median of 5 steps", out)

    def plan(self, *more):
        o = self.json("bench", "airbench94", "--width", 0.25, "--batch", 32, "--threads", 1,
                      "--plan", *more)
        passes = {}
        for c in o["plan"]:
            passes.setdefault((c["layer"], c["pass"]), {})[c["algorithm"]] = c
        return passes

    def test_bench__plan_takes_one_of_the_candidates_of_each_pass(self):
        passes = self.plan()
        self.assertIn(("layers.2.conv1", "backward-data"), passes)
        self.assertNotIn(("whiten", "backward-data"), passes)
        for candidates in passes.values():
            taken = [c for c in candidates.values() if c["taken"]]
            self.assertEqual(len(taken), 1)
            self.assertEqual(taken[0]["predicted_seconds"],
                             min(c["predicted_seconds"] for c in candidates.values()))
            self.assertIn("direct", candidates)
            self.assertGreater(min(c["measured_seconds"] for c in candidates.values()), 0)

    def test_bench__plan_shows_which_convolutions_pool(self):
        for (layer, _), candidates in self.plan("--convolution", "winograd4").items():
            pooled = [c["algorithm"] for c in candidates.values() if c["pooled"]]
            expected = layer.endswith("conv1")
            self.assertEqual(pooled, ["winograd4"] if expected else [])

    def test_bench__plan_shows_what_was_asked_for(self):
        for candidates in self.plan("--convolution", "direct").values():
            self.assertTrue(candidates["direct"]["taken"])
        self.assertRegex(self.kiln("bench", *harness.TINY, "--plan").stdout,
                         r"(?m)^conv +forward +direct +[0-9.]+ +[0-9.]+  taken$")

    def test_bench__table_only_when_asked(self):
        self.assertIn("backward-weights", self.kiln(*self.BENCH).stdout)
        self.assertNotIn("backward-weights", self.kiln(*self.BENCH, "--no-table").stdout)

    def test_bench__unknown_network_is_a_usage_error(self):
        self.fails(2, "resnet9x", "bench", "--net", "resnet9x")


harness.main()

"""test_pages.py - the report as a browser shows it: drawn, hovered, clicked, zoomed, typed at."""
import pathlib
import sys

import browser
import harness
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from png import read_png  # noqa: E402

NASTY = "\"><img src=x onerror=alert(1)> ' 🔥"


class Report(browser.Page):
    def setUp(self):
        super().setUp()
        self.requests()
        self.browser.get_log("browser")

    def show(self, *args):
        self.kiln("report", *args, "--out", "page.html")
        self.browser.get((self.folder / "page.html").as_uri())

    def seeds(self):
        for seed in (1, 2, 3):
            self.train("--seed", str(seed), "--eval-every", "1", "--set", "name=" + NASTY,
                       out=f"run{seed}")
        self.show("run1", "run2", "run3")

    def tooltip(self, figure):
        """Title and lines of the chart's tooltip, [] when there is none."""
        return self.js("""
            const tip = document.querySelector(arguments[0]).kiln.chart.tooltip;
            if (!tip || tip.opacity === 0) return [];
            return tip.title.concat(tip.body.flatMap((b) => b.lines));""", figure)

    def range(self, figure):
        return self.js("const s = document.querySelector(arguments[0]).kiln.chart.scales.x;"
                       "return [s.min, s.max];", figure)

    def canvas(self, figure):
        canvas = self.browser.find_element(By.CSS_SELECTOR, figure + " canvas")
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
        return canvas

    def test_seeds__drawn_hovered_toggled_zoomed(self):
        self.seeds()
        self.assertEqual([u for u in self.requests() if not u.startswith("data:")],
                         [(self.folder / "page.html").as_uri()])
        for figure in ("#fig-loss", "#fig-accuracy", "#fig-rate", "#fig-speed"):
            self.assertGreater(self.ink(figure), 20, figure)
        self.assertEqual(self.js("return document.querySelectorAll('main img').length"), 0)
        self.assertIn(NASTY, self.js("return document.querySelector('h1').textContent"))
        self.picture("seeds")

        # Hovering shows the values of all curves near there, with the spread over seeds.
        canvas = self.canvas("#fig-loss")
        ActionChains(self.browser).move_to_element_with_offset(canvas, 60, 0).perform()
        lines = self.until("a tooltip", lambda: self.tooltip("#fig-loss"))
        self.assertRegex(lines[0], r"^epochs \d")
        self.assertRegex(" ".join(lines[1:]), r"images: \d\.\d+ ± ")

        # The legend's buttons hide and show a curve and tell that they do.
        key = self.browser.find_element(By.CSS_SELECTOR, "#fig-loss .legend .key")
        hidden = "return document.querySelector('#fig-loss').kiln.chart.data.datasets" \
                 ".filter((d) => d.hidden).length"
        self.assertEqual(self.js(hidden), 0)
        key.click()
        self.assertGreater(self.js(hidden), 2)  # line, band, raw lines
        key = self.browser.find_element(By.CSS_SELECTOR, "#fig-loss .legend .key")
        self.assertEqual(key.get_attribute("aria-pressed"), "false")
        key.click()
        self.assertEqual(self.js(hidden), 0)

        # Dragging zooms into what was covered; the button shows all again.
        whole = self.range("#fig-loss")
        ActionChains(self.browser).move_to_element_with_offset(canvas, -80, 0).click_and_hold() \
            .move_by_offset(60, 2).move_by_offset(60, 0).release().perform()
        part = self.until("a zoom", lambda: self.range("#fig-loss") != whole
                          and self.range("#fig-loss"))
        self.assertGreater(part[0], whole[0])
        self.assertLess(part[1], whole[1])
        self.picture("zoomed")
        self.browser.find_element(By.XPATH, "//*[@id='fig-loss']//button[.='Show all']").click()
        self.assertEqual(self.range("#fig-loss"), whole)
        self.assert_quiet()

    def test_keyboard_and_scales(self):
        self.seeds()
        canvas = self.canvas("#fig-loss")
        canvas.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        said = self.js("return document.querySelector('#fig-loss .readout').textContent")
        self.assertRegex(said, r"epochs .*images: ")
        whole = self.range("#fig-loss")
        canvas.send_keys("+")
        self.assertNotEqual(self.range("#fig-loss"), whole)
        canvas.send_keys("0")
        self.assertEqual(self.range("#fig-loss"), whole)
        kind = "return document.querySelector('#fig-loss').kiln.chart.scales.y.type"
        self.assertEqual(self.js(kind), "linear")
        self.browser.find_element(By.XPATH, "//*[@id='fig-loss']//button[.='y linear']").click()
        self.assertEqual(self.js(kind), "logarithmic")
        self.assertGreater(self.ink("#fig-loss"), 20)
        self.assert_quiet()

    def test_themes__change_the_colours_of_charts(self):
        self.train()
        self.show("run")
        colour = "return document.querySelector('#fig-rate').kiln.chart.data.datasets[0]" \
                 ".borderColor"
        before = self.js(colour), self.js("return getComputedStyle(document.body).backgroundColor")
        self.browser.find_element(By.ID, "theme").click()
        after = self.js(colour), self.js("return getComputedStyle(document.body).backgroundColor")
        self.assertNotEqual(before[0], after[0])
        self.assertNotEqual(before[1], after[1])
        self.picture("other-theme")
        self.browser.find_element(By.ID, "theme").click()
        self.assert_quiet()

    def test_sweep__heat_map_with_lines_and_optimum(self):
        for batch in ("32", "64"):
            for lr in ("0.025", "0.05", "0.1", "0.2"):
                self.train("--batch", batch, "--lr", lr, "--epochs", "1", out=f"s/{batch}-{lr}")
        self.show("s")
        cells = self.js("return [...document.querySelectorAll('.heat td')].map("
                        "(c) => getComputedStyle(c).backgroundColor)")
        self.assertEqual(len(cells), 8)
        self.assertGreater(len(set(cells)), 2)
        self.assertEqual(self.js("return document.querySelectorAll('.heat td.ring').length"), 1)
        self.assertEqual(self.js("return document.querySelectorAll('.heat polyline').length"), 2)
        for figure in ("#fig-optimum", "#fig-parallel"):
            self.assertGreater(self.ink(figure), 20, figure)
        self.picture("sweep")
        self.paper()
        self.brush()
        self.assert_quiet()

    def wider(self):
        """What reaches out of its figure or out of the page."""
        return self.js("""
            const out = (inner, outer) => inner.getBoundingClientRect().right >
                outer.getBoundingClientRect().right + 1;
            return [...document.querySelectorAll('figure canvas, figure table')]
                .filter((c) => out(c, c.closest('figure')) ||
                               out(c, document.querySelector('main')))
                .map((c) => c.closest('figure').id);""")

    def paper(self):
        """What printing makes of the page: light, charts as wide as paper, cells with colours."""
        self.browser.find_element(By.ID, "theme").click()
        theme = self.js("return document.documentElement.dataset.theme")
        widths = "return [...document.querySelectorAll('canvas')].map((c) => c.clientWidth)"
        before = self.js(widths)
        # Printing tells the page first, and then lays it out as wide as the paper.
        self.js("dispatchEvent(new Event('beforeprint'))")
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 717, "height": 1000, "deviceScaleFactor": 1, "mobile": False})
        self.assertEqual(self.js("return document.documentElement.dataset.theme"), "light")
        self.assertLess(max(self.js(widths)), 690)
        self.assertEqual(self.wider(), [])
        self.assertEqual(self.js("return getComputedStyle(document.querySelector('.heat td'))"
                                 ".printColorAdjust"), "exact")
        self.assertEqual(self.js("return document.querySelector('.scroll').scrollHeight - "
                                 "document.querySelector('.scroll').clientHeight"), 0)
        self.picture("paper")
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        self.js("dispatchEvent(new Event('afterprint'))")
        self.assertEqual(self.js("return document.documentElement.dataset.theme"), theme)
        self.until("charts as wide as before", lambda: self.js(widths) == before)
        self.browser.find_element(By.ID, "theme").click()

    def brushed(self):
        """What is said of the choice, and how many lines do not step back."""
        return self.js("""
            const figure = document.querySelector('#fig-parallel');
            return [figure.querySelector('.brushes p').textContent,
                    figure.kiln.chart.data.datasets.filter((d) => d.hover !== false).length];""")

    def brush(self):
        """Chooses lines of the parallel coordinates by the keyboard, then by dragging."""
        self.assertEqual(self.brushed(), ["all 8 configurations", 8])
        least = self.browser.find_element(
            By.CSS_SELECTOR, "#fig-parallel input[aria-label='batch, at least']")
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", least)
        least.send_keys(Keys.END)  # batch 64 alone
        self.assertEqual(self.brushed(), ["4 of 8 configurations", 4])
        self.assertEqual(least.get_attribute("aria-valuetext"), "64")
        self.picture("brushed")
        self.browser.find_element(By.XPATH, "//*[@id='fig-parallel']//button[.='Show all']").click()
        self.assertEqual(self.brushed(), ["all 8 configurations", 8])
        canvas = self.canvas("#fig-parallel")
        # The upper half of the axis lr: 0.1 and 0.2 of 0.025 ... 0.2, each with two batches.
        x, top, middle = self.js("""
            const chart = document.querySelector('#fig-parallel').kiln.chart, {x, y} = chart.scales;
            const names = document.querySelector('#fig-parallel').kiln.source.kiln.categories;
            const box = chart.canvas.getBoundingClientRect();
            return [x.getPixelForValue(names.findIndex((c) => c.name === 'lr')) - box.width / 2,
                    y.getPixelForValue(1.02) - box.height / 2,
                    y.getPixelForValue(0.5) - box.height / 2];""")
        ActionChains(self.browser).move_to_element_with_offset(canvas, round(x), round(middle)) \
            .click_and_hold().move_by_offset(0, round((top - middle) / 2)) \
            .move_by_offset(0, round((top - middle) / 2)).release().perform()
        self.until("a brush", lambda: self.brushed() == ["4 of 8 configurations", 4])

    def test_units__of_the_x_axis_turn_from_epochs_to_steps_and_time(self):
        self.train()
        self.show("run")
        last = "const c = document.querySelector('#fig-loss').kiln.chart;" \
               "const p = c.data.datasets[0].data;" \
               "return [c.options.scales.x.title.text, p[p.length - 1].x];"
        title, epochs = self.js(last)
        self.assertEqual(title, "epochs")
        press = "//*[@id='fig-loss']//button[.='x %s']"
        self.browser.find_element(By.XPATH, press % "epochs").click()
        title, steps = self.js(last)
        self.assertEqual(title, "steps")
        self.assertAlmostEqual(steps, 10 * epochs, places=3)  # 10 steps an epoch
        self.browser.find_element(By.XPATH, press % "steps").click()
        title, seconds = self.js(last)
        self.assertEqual(title, "seconds of training")
        trained = [r["perf/step_seconds"] for r in self.records() if r["kind"] == "train"]
        self.assertAlmostEqual(seconds / sum(trained), epochs / 3, places=2)
        self.browser.find_element(By.XPATH, press % "seconds of training").click()
        self.assertEqual(self.js(last), ["epochs", epochs])
        self.assert_quiet()

    def test_images__are_cut_out_of_the_one_picture(self):
        self.train()
        self.show("run")
        cuts = self.browser.find_elements(By.CSS_SELECTOR, "#fig-hardest svg")
        self.assertEqual(len(cuts), 24)
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", cuts[0])
        seen = []
        picture = read_png((self.folder / "run/gallery.png").read_bytes())
        for i in (0, 3):  # the middle of cell i, as the screen shows it
            shown = read_png(cuts[i].screenshot_as_png)
            height, width = len(shown), len(shown[0])
            self.assertGreater(width, 40)
            for y, x in ((8, 8), (16, 20), (24, 5)):
                seen.append(shown[height * (2 * y + 1) // 64][width * (2 * x + 1) // 64])
                wanted = picture[y][32 * i + x]
                self.assertLess(max(abs(a - b) for a, b in zip(seen[-1], wanted)), 12)
        self.assertGreater(len(set(seen)), 2)
        self.assertRegex(cuts[0].get_attribute("aria-label"), r"^.+, taken for .+ \(.+\s%\)$")
        self.assert_quiet()

    def test_narrow_window__nothing_is_wider_than_it(self):
        self.train()
        self.show("run")
        self.browser.set_window_size(500, 900)
        self.addCleanup(self.browser.set_window_size, 1280, 1400)
        # Charts follow their frames a moment later.
        self.until("nothing is wider than the window", lambda: self.js(
            "return document.documentElement.scrollWidth <= innerWidth"))
        self.assert_quiet()


class Live(browser.Page):
    """The page of kiln serve, while a run's records grow."""

    def setUp(self):
        super().setUp()
        self.browser.get("about:blank")  # the page of the test before misses its server
        self.browser.get_log("browser")

    def count(self, figure):
        """Points of the figure's first curve."""
        return self.js("const d = document.querySelector(arguments[0]).kiln.chart.data.datasets;"
                       "return d[0].data.length;", figure)

    def test_report__grows_and_keeps_what_was_chosen(self):
        self.train(out="run")
        url = self.serve()
        self.requests()
        self.browser.get(url + "report?run=run")
        points = self.count("#fig-loss")
        self.browser.find_element(By.CSS_SELECTOR, "#fig-loss .legend .key:nth-child(2)").click()
        with open(self.folder / "run/metrics.jsonl", "a") as f:
            for step in (31, 32):
                f.write(f'{{"v":1,"kind":"train","step":{step},"epoch":{step / 10},'
                        '"train/loss":1.5}\n')
        self.until("more points", lambda: self.count("#fig-loss") == points + 2)
        key = self.browser.find_element(By.CSS_SELECTOR, "#fig-loss .legend .key:nth-child(2)")
        self.assertEqual(key.get_attribute("aria-pressed"), "false")
        self.assertEqual([u for u in self.requests() if not u.startswith((url, "data:"))], [])
        self.picture("live")
        self.assert_quiet()

    def until_live(self):
        """A list's rows are made anew when it first looks for changes: what was found before is
        stale."""
        self.until("the first look", lambda: self.js(
            "return document.querySelector('[data-state=live]') !== null"))

    def test_list__shows_filters_and_compares(self):
        for lr in ("0.1", "0.2"):
            self.train("--lr", lr, "--epochs", "1", "--set", "name=<i>" + lr, out="lr" + lr)
        self.browser.get(self.serve())
        rows = "return [...document.querySelectorAll('#list tbody th')].map((h) => h.textContent)"
        self.assertEqual(sorted(self.js(rows)), ["<i>0.1", "<i>0.2"])
        self.train("--lr", "0.3", "--epochs", "1", out="lr0.3")
        self.until("the new run", lambda: "lr0.3" in self.js(rows))
        where = self.browser.find_element(By.ID, "where")
        where.send_keys("lr < 0.25", Keys.ENTER)
        self.until("the filter", lambda: len(self.js(rows)) == 2)
        self.picture("list")
        self.until("its address", lambda: "where=" in self.browser.current_url)
        self.browser.refresh()
        self.until_live()
        self.assertEqual(len(self.js(rows)), 2)
        for box in self.browser.find_elements(By.CSS_SELECTOR, "#list input"):
            box.click()
        self.browser.find_element(By.ID, "compare").click()
        self.until("the comparison", lambda: "2 configurations" in self.js(
            "const h = document.querySelector('.headline'); return h ? h.textContent : '';"))
        self.assert_quiet()

    def test_list__leads_from_a_trial_to_its_sweep(self):
        self.kiln("sweep", *harness.TINY, "--epochs", "1", "--vary", "lr=0.1,0.2", "--quiet",
                  "--out", "runs/my <sweep>")
        self.train("--epochs", "1", out="runs/trials/alone")  # called so, but of no sweep
        self.browser.get(self.serve("runs"))
        self.until_live()
        links = self.browser.find_elements(By.CSS_SELECTOR, "#list a.sweep")
        self.assertEqual([link.text for link in links], ["my <sweep>"] * 2)
        links[0].click()
        self.until("the sweep", lambda: "2 configurations" in self.js(
            "const h = document.querySelector('.headline'); return h ? h.textContent : '';"))
        self.assert_quiet()


if __name__ == "__main__":
    harness.main()

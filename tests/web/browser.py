"""browser.py - a headless Chromium for the tests of pages, or a loud skip without one."""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
except ImportError:
    # Debian's packages are for Debian's Python, which need not be the first in PATH.
    if sys.executable != "/usr/bin/python3" and "KILN_TEST_AGAIN" not in os.environ:
        os.environ["KILN_TEST_AGAIN"] = "1"
        try:
            os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv)
        except OSError:
            pass
    print("skipped: no selenium (Debian: python3-selenium chromium chromium-driver)")
    sys.exit(77)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
if not CHROMIUM or not DRIVER:
    print("skipped: no chromium or no chromedriver (Debian: chromium chromium-driver)")
    sys.exit(77)

import harness  # noqa: E402


def open_browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--window-size=1280,1400", "--force-device-scale-factor=1"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    driver.set_page_load_timeout(120)
    driver.set_script_timeout(60)
    return driver


class Page(harness.Case):
    """Tests that look at a page. One browser serves a whole class."""

    @classmethod
    def setUpClass(cls):
        cls.browser = open_browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def serve(self, folder="."):
        """Starts kiln serve on a free port; ends it with the test. Returns its address."""
        self.server = subprocess.Popen(
            [harness.KILN, "serve", folder, "--port", "0", "--json"], cwd=self.folder, text=True,
            env=harness.clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.stop_server)
        text = ""
        while not text.endswith("}\n"):
            line = self.server.stdout.readline()
            if not line:
                harness.skip("kiln serve does not start: " + self.server.stderr.read())
            text += line
        return json.loads(text)["url"]

    def stop_server(self):
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()
        self.server.stderr.close()

    def js(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def until(self, what, condition, limit=60):
        """Waits for something to become true; fails saying what did not."""
        end = time.monotonic() + limit
        while not (value := condition()):
            self.assertLess(time.monotonic(), end, "never happened: " + what)
            time.sleep(0.05)
        return value

    def requests(self):
        """Addresses that were asked for since the last call."""
        events = [json.loads(e["message"])["message"] for e in
                  self.browser.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events
                if e["method"] == "Network.requestWillBeSent"]

    def assert_quiet(self):
        """Nothing was complained about in the console."""
        self.assertEqual(self.browser.get_log("browser"), [])

    def picture(self, name):
        """Keeps a picture of the window where KILN_SHOTS names a folder."""
        folder = os.environ.get("KILN_SHOTS")
        if folder:
            self.browser.save_screenshot(os.path.join(folder, name + ".png"))

    def ink(self, figure):
        """How many different colours the figure's canvas shows: 1 is a blank one."""
        return self.js("""
            const canvas = document.querySelector(arguments[0] + ' canvas');
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(pixels.data.buffer)).size;""", figure)

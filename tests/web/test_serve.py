"""test_serve.py - the live page's server: what it answers, what it refuses, and that runs do not
notice it."""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import harness  # noqa: E402


class Server(harness.Case):
    def serve(self, folder="."):
        """Starts kiln serve on a free port; ends it with the test."""
        self.server = subprocess.Popen(
            [harness.KILN, "serve", folder, "--port", "0", "--json"], cwd=self.folder, text=True,
            env=harness.clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.stop)
        text = ""
        while not text.endswith("}\n"):
            line = self.server.stdout.readline()
            if not line:
                said = self.server.stderr.read()
                if "built without libmicrohttpd" in said:
                    harness.skip("kiln was built without libmicrohttpd")
                self.fail("kiln serve ended: " + said)
            text += line
        self.port = int(re.search(r":(\d+)/", json.loads(text)["url"])[1])

    def stop(self, number=signal.SIGTERM):
        if self.server.poll() is None:
            self.server.send_signal(number)
        self.server.wait(30)
        self.server.stdout.close()
        self.server.stderr.close()

    def get(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, headers={k.replace("_", "-"): v
                                                  for k, v in headers.items()})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        self.headers = answer.headers
        return answer.status, body

    def raw(self, request):
        """Sends bytes; returns the first line of what comes back, b"" if nothing does."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as s:
            s.sendall(request)
            try:
                return s.recv(4096).split(b"\r\n")[0]
            except ConnectionResetError:
                return b""

    def alive(self):
        self.assertEqual(self.get("/api/runs")[0], 200)
        self.assertIsNone(self.server.poll())

    def test_pages__list_and_report(self):
        self.train(out="runs/a")
        self.train("--set", "name=<b>\"'&", out="runs/b")
        self.serve("runs")
        status, page = self.get("/")
        self.assertEqual(status, 200)
        self.assertIn("2 of 2", page)
        self.assertIn("&lt;b&gt;&quot;&#39;&amp;", page)
        self.assertNotIn("<b>\"", page)
        self.assertEqual(self.headers["X-Frame-Options"], "DENY")
        self.assertIsNone(self.headers["Access-Control-Allow-Origin"])
        self.assertIn("script-src 'sha256-", page)
        status, page = self.get("/report?run=a&run=b")
        self.assertEqual(status, 200)
        self.assertIn('id="fig-loss"', page)
        told = json.loads(self.get("/api/report?run=a")[1])
        self.assertEqual(told["title"], "a")
        self.assertIn("training", [s["id"] for s in told["sections"]])
        version = urllib.parse.quote(told["version"])
        self.assertEqual(self.get(f"/api/report?run=a&version={version}")[0], 304)
        with open(self.folder / "runs/a/metrics.jsonl", "a") as f:
            f.write('{"v":1,"kind":"train","step":31,"epoch":3.1,"train/loss":9.5}\n')
        status, body = self.get(f"/api/report?run=a&version={version}")
        self.assertEqual(status, 200)
        self.assertIn("9.5]", body)

    def test_list__filters_sorts_and_explains_mistakes(self):
        for lr in ("0.1", "0.2"):
            self.train("--lr", lr, "--epochs", "1", out=f"lr{lr}")
        self.serve()
        rows = json.loads(self.get("/api/runs?where=" + urllib.parse.quote("lr > 0.15"))[1])
        self.assertEqual((rows["total"], rows["shown"]), (1, 1))
        self.assertIn("lr0.2", rows["html"])
        status, body = self.get("/api/runs?where=nonsense")
        self.assertEqual(status, 400)
        self.assertIn("error", json.loads(body))
        order = [json.loads(self.get("/api/runs?sort=lr" + end)[1])["html"].find("lr0.1")
                 for end in ("", "&reverse=1")]
        self.assertNotEqual(order[0], order[1])

    def test_refuses__what_leaves_the_folder(self):
        self.train(out="inside/run")
        self.train("--lr", "0.07", out="outside")
        (self.folder / "inside/link").symlink_to(self.folder / "outside")
        shutil.copytree(self.folder / "inside/run", self.folder / "inside/tainted")
        os.remove(self.folder / "inside/tainted/config.ini")
        (self.folder / "inside/tainted/config.ini").symlink_to(self.folder / "outside/config.ini")
        self.serve("inside")
        self.assertEqual(self.get("/report?run=run")[0], 200)
        for run in ("../outside", "run/../../outside", "/etc", str(self.folder / "outside"),
                    "%2e%2e/outside", "..%2foutside", "link", "tainted", ".", "./run", "run//", "",
                    "run/%00", "nothing", "a" * 3000, ".index.sqlite", "run\\..\\x"):
            for path in ("/report", "/api/report"):
                status, body = self.get(f"{path}?run={run}")
                self.assertEqual(status, 404, run[:50])
                self.assertNotIn("0.07", body)
        for path in ("/../outside/config.ini", "/run/config.ini", "/%2e%2e/outside/config.ini",
                     "/runs", "//"):
            self.assertEqual(self.get(path)[0], 404, path)
        listed = json.loads(self.get("/api/runs")[1])
        self.assertNotIn("link", listed["html"])
        self.alive()

    def test_refuses__a_sweep_whose_files_lead_out(self):
        sweep = ("sweep", *harness.TINY, "--epochs", "1", "--vary", "lr=0.1,0.2", "--quiet")
        self.kiln(*sweep, "--out", "inside/good")
        self.write("secret.json", '{"format": 1, "title": "SECRET"}')
        for name in ("sweep.json", "find-lr.json", "study.json", "trials"):
            shutil.copytree(self.folder / "inside/good", self.folder / "inside" / name)
            place = self.folder / "inside" / name / name
            outside = self.folder / "secret.json"
            if place.exists():
                outside = self.folder / ("outside-" + name)
                shutil.move(place, outside)
            place.symlink_to(outside)
        self.serve("inside")
        self.assertEqual(self.get("/report?run=good")[0], 200)
        for name in ("sweep.json", "find-lr.json", "study.json", "trials"):
            status, body = self.get("/report?run=" + name)
            self.assertEqual(status, 404, name)
            self.assertNotIn("SECRET", body)
        self.alive()

    def test_a_report__notices_what_a_range_test_found(self):
        # Loud logits: the loss begins high, and falls as soon as the weights move at all.
        self.write("loud.net", (harness.HERE / "tiny.net").read_text() + "logits scale 20\n")
        self.kiln("find-lr", harness.RECIPE, "--net", self.folder / "loud.net", "--ramp", "60",
                  "--min", "1e-6", "--max", "1", "--confirm", "0", "--out", "range", "--quiet",
                  "--set", "train_count=2000")
        found = self.folder / "range/find-lr.json"
        text = found.read_bytes()
        found.unlink()
        self.serve()
        told = json.loads(self.get("/api/report?run=range")[1])
        self.assertNotIn("fig-slope", json.dumps(told))
        again = "/api/report?run=range&version=" + urllib.parse.quote(told["version"])
        self.assertEqual(self.get(again)[0], 304)
        found.write_bytes(text)
        status, body = self.get(again)
        self.assertEqual(status, 200)
        self.assertIn("fig-slope", body)

    def test_refuses__other_hosts_methods_and_bodies(self):
        self.serve()
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "127.0.0.1:",
                     "127.0.0.1:1x", "127.0.0.1:999999"):
            self.assertEqual(self.get("/", Host=host)[0], 403, host)
        for host in ("localhost", "127.0.0.1:1234", "[::1]:80", f"localhost:{self.port}"):
            self.assertEqual(self.get("/", Host=host)[0], 200, host)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE"):
            self.assertEqual(self.get("/", method)[0], 405, method)
        self.assertEqual(self.get("/", "GET", Content_Length="5")[0], 413)
        self.assertEqual(self.get("/", "HEAD"), (200, ""))
        self.alive()

    def test_refuses__what_is_no_request(self):
        self.serve()
        host = b"Host: localhost\r\n"
        for request in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x00\xff\xfe\r\n\r\n",
                        b"GET / HTTP/9.9\r\n\r\n",
                        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + host + b"\r\n",
                        b"GET / HTTP/1.1\r\n" + host + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
                        b"GET /report?" + b"run=a&" * 5000 + b" HTTP/1.1\r\n" + host + b"\r\n",
                        b"GET / HTTP/1.1\r\n\r\n"):
            line = self.raw(request)
            self.assertNotIn(b" 200 ", line, request[:40])
        self.alive()

    def test_listens__on_the_loopback_alone(self):
        self.serve()
        table = pathlib.Path("/proc/net/tcp").read_text().split("\n")
        mine = [line.split()[1] for line in table if f":{self.port:04X} " in line
                and line.split()[3] == "0A"]
        self.assertEqual(mine, [f"0100007F:{self.port:04X}"])
        self.fails(3, "there is no folder 'nothing'", "serve", "nothing")

    def test_runs_do_not_notice__readers_that_are_killed(self):
        command = [harness.KILN, "train", *harness.TINY, "--epochs", "12", "--out", "run",
                   "--quiet", "--json"]
        run = subprocess.Popen(command, cwd=self.folder, text=True, stdout=subprocess.PIPE,
                               env=harness.clean_environment(), stderr=subprocess.DEVNULL)
        while not (self.folder / "run/metrics.jsonl").exists():
            self.assertIsNone(run.poll())
        self.serve()
        watch = subprocess.Popen([harness.KILN, "watch", "run", "--every", "0.1"], text=True,
                                 cwd=self.folder, env=harness.clean_environment(),
                                 stdout=subprocess.PIPE)
        self.assertIn("run", watch.stdout.readline())
        self.assertEqual(self.get("/report?run=run")[0], 200)
        watch.kill()
        watch.communicate()
        self.stop(signal.SIGKILL)
        told = json.loads(run.communicate(timeout=120)[0])
        self.assertEqual(told["reason"], "finished")
        alone = self.train("--epochs", "12", out="alone")
        self.assertEqual(told["weights_hash"], alone["weights_hash"])

    def test_thousands_of_runs__are_listed_without_delay(self):
        self.train("--epochs", "1", out="many/run00000")
        first = self.folder / "many/run00000"
        for name in ("checkpoints", "metrics.jsonl"):
            target = first / name
            shutil.rmtree(target) if target.is_dir() else target.unlink()
        for i in range(1, 10000):
            copy = self.folder / f"many/run{i:05}"
            copy.mkdir()
            for name in ("config.ini", "manifest.json", "status.json", "epochs.csv"):
                os.link(first / name, copy / name)
        self.serve("many")
        self.assertIn("of 10000", self.get("/")[1])
        times = []
        for _ in range(5):
            start = time.monotonic()
            self.assertIn("of 10000", self.get("/")[1])
            times.append(time.monotonic() - start)
        print(f"the list of 10,000 runs: {sorted(times)[2]:.3f} s (median of 5)")
        self.assertLess(min(times), 1.0)


class Watch(harness.Case):
    def test_a_finished_run__is_one_whole_line(self):
        result = self.train()
        done = self.kiln("watch", "run")
        self.assertEqual(done.stdout.count("\n"), 1)
        self.assertNotIn("\033", done.stdout)
        self.assertNotIn("\r", done.stdout)
        self.assertIn("finished  step 30/30", done.stdout)
        self.assertIn(f"test accuracy {100 * result['test_accuracy']:.2f} %", done.stdout)
        self.fails(3, "is not a run directory", "watch", ".")
        told = self.json("watch", "run")
        self.assertEqual(told["state"], "finished")
        self.assertAlmostEqual(told["newest"]["test/loss"], result["test_loss"], places=6)

    def draw(self, **environment):
        """What watch writes to a terminal."""
        import pty
        main, other = pty.openpty()
        done = subprocess.run([harness.KILN, "watch", "run"], cwd=self.folder, stdout=other,
                              timeout=60, env=harness.clean_environment(TERM="xterm",
                                                                        **environment))
        os.close(other)
        text = harness.read_terminal(main)
        self.assertEqual(done.returncode, 0)
        return text

    def test_a_terminal__gets_curves_in_what_it_can_show(self):
        self.train()
        drawn = self.draw(LC_ALL="C.UTF-8", NO_COLOR="1")
        self.assertIn("train loss", drawn)
        self.assertIn("█", drawn)
        self.assertNotRegex(drawn, "\033\\[[0-9;]*m")
        self.assertTrue(self.draw(LC_ALL="C").isascii())


if __name__ == "__main__":
    harness.main()

"""test_runs.py - kiln runs: lists, shows, compares and removes runs, whatever they are called."""
import csv
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from make_runs import make_runs  # noqa: E402

NAME = "<b>\"it's\"</b> & =1+1, 'x' -- \N{FIRE} \u202e%s"


def quick_folder(other):
    """A folder in memory if there is room for 10,000 runs, as some disks take minutes to remove
    them; else `other`."""
    memory = "/dev/shm"
    if os.access(memory, os.W_OK):
        room = os.statvfs(memory)
        if room.f_bavail * room.f_frsize > 300 << 20 and room.f_favail > 50000:
            return pathlib.Path(tempfile.mkdtemp(prefix="kiln-test-", dir=memory))
    return other


class Runs(harness.Case):
    def two_runs(self):
        """Untrained: runs/...0a1b2c3d has a name and lr 0.1, runs/sweep/trials/77aa lr 0.2."""
        make_runs(2, self.folder / "made")
        targets = (("runs/20261123-101010-tiny-0a1b2c3d", "0.1", NAME),
                   ("runs/sweep/trials/77aa", "0.2", ""))
        made = sorted((self.folder / "made").glob("2026*"))
        for run, (to, lr, name) in zip(made, targets, strict=True):
            config = (run / "config.ini").read_text()
            for key, value in (("lr", lr), ("name", name), ("net", "resnet9"), ("batch", 64),
                               ("seed", 1)):
                config = re.sub(f"(?m)^{key} =.*$", lambda _, k=key, v=value: f"{k} = {v}", config)
            (run / "config.ini").write_text(config)
            shutil.copytree(run, self.folder / to)

    def listed(self, *args):
        runs = self.json("runs", "list", "--columns", "path", *args)["runs"]
        return [run["path"] for run in runs]

    def test_a_name_comes_through_unharmed(self):
        self.train("--epochs", 1, "--name", NAME, out="runs/20261123-101010-tiny-0a1b2c3d")
        where = ("--where", "name ~ '</b> & =1+1'")
        run, = self.json("runs", "list", *where)["runs"]
        self.assertEqual(run["name"], NAME)
        self.assertEqual(run["config"]["name"], NAME)
        text = self.kiln("runs", "list", "--csv", *where).stdout
        row, = csv.DictReader(io.StringIO(text, newline=""))
        self.assertEqual(row["name"], NAME)
        self.assertEqual(float(row["lr"]), 0.1)
        with sqlite3.connect(self.folder / "runs/.index.sqlite") as db:
            rows = db.execute("SELECT name, json_extract(config, '$.name') FROM run "
                              "WHERE name != ''").fetchall()
        self.assertEqual(rows, [(NAME, NAME)])
        self.assertEqual(self.json("runs", "show", "0a1b")["name"], NAME)
        # What would turn a terminal's text round is shown as a question mark.
        table = self.kiln("runs", "list").stdout
        self.assertIn(NAME.replace("\u202e", "?"), table)
        # Read back from config.ini, it is the same once more.
        self.json("train", "runs/20261123-101010-tiny-0a1b2c3d/config.ini", "--out", "again")
        self.assertIn(f"name = {NAME}\n", self.read("again/config.ini"))

    def test_a_name_that_is_not_utf8_is_refused(self):
        done = self.kiln("train", *harness.TINY, "--out", "run", "--set", b"name=\xff".decode(
            errors="surrogateescape"), status=2)
        self.assertIn("name: not UTF-8", done.stderr)
        self.assertFalse((self.folder / "run").exists())

    def test_lists_what_training_said(self):
        said = self.train("--epochs", 1, out="runs/a")
        run, = self.json("runs", "list")["runs"]
        for key in ("test_loss", "test_accuracy", "train_loss", "weights_hash", "seconds"):
            self.assertEqual(run[key], said[key], key)
        self.assertEqual(run["state"], "finished")
        self.assertEqual(run["step"], said["steps"])
        self.assertEqual(run["path"], "runs/a")
        self.assertEqual(self.json("runs", "show", "a"), run)

    def test_other_commands_know_runs_by_name(self):
        said = self.train("--epochs", 1, "--steps", 4, out="runs/20261123-101010-tiny-0a1b2c3d")
        self.assertEqual(self.json("eval", "0a1b")["weights_hash"], said["weights_hash"])
        self.assertEqual(self.kiln("verify", "0a1b", "--quiet").returncode, 0)
        self.assertEqual(self.json("resume", "0a1b")["steps"], 10)
        self.assertEqual(self.json("watch", "0a1b")["state"], "finished")
        make_runs(1, self.folder / "runs/more")
        self.fails(2, "'20261123' could be any of 2 runs", "eval", "20261123")
        self.fails(3, "there is no run directory or checkpoint 'nothing'", "eval", "nothing")
        self.fails(3, "there is no run directory 'nothing'", "resume", "nothing")

    def test_diff_shows_what_differs_only(self):
        self.two_runs()
        o = self.json("runs", "diff", "0a1b", "77aa")
        self.assertEqual(o["settings"], {"lr": [0.1, 0.2], "name": [NAME, ""]})
        self.assertEqual(len(o["facts"]["test_loss"]), 2)
        self.assertNotIn("data_hash", o["facts"])
        self.assertNotIn("id", o["facts"])
        self.assertIn("lr ", self.kiln("runs", "diff", "0a1b", "77aa").stdout)

    def test_rm_removes_runs_and_nothing_else(self):
        self.two_runs()
        runs = self.folder / "runs"
        (runs / "notes").mkdir()
        (runs / "notes/mine.txt").write_text("mine")
        os.symlink(runs / "sweep/trials/77aa", runs / "link")
        self.fails(2, "1 run would be removed; --yes does so without asking", "runs", "rm", "77aa")
        self.fails(3, "there is no run 'notes'", "runs", "rm", "notes", "--yes")
        self.fails(2, "'runs/link' is a link", "runs", "rm", "runs/link", "--yes")
        self.assertEqual(len(self.json("runs", "rm", "77aa", "--dry-run")["would_remove"]), 1)
        self.assertEqual(len(self.listed()), 3)
        os.unlink(runs / "link")
        self.json("runs", "rm", "--where", "lr = 0.2", "--yes")
        self.assertEqual(self.listed(), ["20261123-101010-tiny-0a1b2c3d"])
        self.assertTrue((runs / "notes/mine.txt").exists())
        self.assertTrue((runs / "sweep/trials").exists())
        self.fails(2, "takes runs or --where, not both", "runs", "rm", "x", "--where", "lr=1")
        self.fails(2, "wants runs, or --where", "runs", "rm", "--yes")

    def on_terminal(self, *args, answer="", columns=80):
        """Runs kiln on a terminal of that width, types the answer; returns what stood there."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        os.write(ours, answer.encode())
        done = subprocess.Popen([harness.KILN, *args], cwd=self.folder, stdin=theirs,
                                stdout=theirs, stderr=theirs, env=harness.clean_environment())
        os.close(theirs)
        seen = harness.read_terminal(ours)
        return done.wait(), seen

    def test_rm_asks_on_a_terminal(self):
        self.two_runs()
        status, seen = self.on_terminal("runs", "rm", "77aa", answer="n\n")
        self.assertEqual(status, 1)
        self.assertIn("remove this run with everything in it? [y/N]", seen)
        self.assertIn("kiln: nothing was removed", seen)
        self.assertEqual(len(self.listed()), 2)
        self.assertEqual(self.on_terminal("runs", "rm", "77aa", answer="y\n")[0], 0)
        self.assertEqual(len(self.listed()), 1)

    def test_a_table_fits_the_terminal(self):
        make_runs(5, self.folder / "runs")
        wide = self.kiln("runs", "list").stdout.splitlines()
        for columns in (30, 60, 79, 300):
            _, seen = self.on_terminal("runs", "list", columns=columns)
            lines = re.sub(r"(\r\x1b\[K)?kiln: [^\r]*", "", seen).split("\r\n")
            lines = [line for line in lines if line]
            self.assertEqual(len(lines), 6)
            self.assertLessEqual(max(map(len, lines)), columns)
            # What tells runs apart is at the end of their names, and is not cut off.
            self.assertEqual([line.split()[0][-8:] for line in lines[1:]],
                             [line.split()[0][-8:] for line in wide[1:]])
            self.assertEqual("did not fit" in seen, columns < 300)
        self.assertEqual([line.rstrip() for line in lines], [line.rstrip() for line in wide])

    def test_rm_touches_nothing_if_one_is_being_written(self):
        make_runs(3, self.folder / "runs")
        first = sorted((self.folder / "runs").glob("2026*"))[0]
        with open(first / "LOCK", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.fails(1, "is being written by another process", "runs", "rm", "--where",
                       "step > 0", "--yes")
        self.assertEqual(len(self.listed()), 3)
        self.json("runs", "rm", "--where", "step > 0", "--yes")
        self.assertEqual(self.listed(), [])

    def test_rm_of_more_runs_than_a_process_may_open_files(self):
        make_runs(200, self.folder / "runs")

        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024))

        done = self.kiln("runs", "rm", "--where", "step > 0", "--yes", before=few)
        self.assertIn("removed 200 runs", done.stderr)
        self.assertEqual(self.listed(), [])

    def test_rm_that_was_cut_short_can_be_done_again(self):
        make_runs(1, self.folder / "runs")
        run = next((self.folder / "runs").glob("2026*"))
        (run / "checkpoints").mkdir()
        (run / "checkpoints/a.safetensors").write_text("")
        for name in ("status.json", "manifest.json"):
            (run / name).unlink()
        self.assertEqual(self.listed("--where", "state = dead"), [run.name])
        self.json("runs", "rm", run.name, "--yes")
        self.assertFalse(run.exists())

    def test_refuses_what_it_does_not_know(self):
        (self.folder / "runs").mkdir()
        self.fails(2, "no 'lst' here; did you mean 'kiln runs list'?", "runs", "lst")
        self.fails(2, "--where: column 1: no key 'lrr'; did you mean 'lr'?", "runs", "list",
                   "--where", "lrr > 1")
        self.fails(2, "--columns: no key 'stat'; did you mean 'state'?", "runs", "list",
                   "--columns", "stat")
        self.fails(2, "--sort: no key 'lrr'", "runs", "list", "--sort", "lrr")
        self.fails(2, "wants from 2 to", "runs", "diff", "a", "b", *"c" * 40)
        self.fails(3, "cannot look for runs in 'nowhere': no such file", "runs", "list", "--runs",
                   "nowhere")

    def faulty(self, number, *args):
        """Runs kiln where nothing called .index can be written."""
        if not harness.FAULT_LIB:
            self.skipTest("KILN_FAULT_LIB is not set")
        env = {"KILN_FAULT_AT": "1", "KILN_FAULT_PATH": ".index", "KILN_FAULT_STICKY": "1",
               "KILN_FAULT_ERRNO": str(number), "LD_PRELOAD": harness.FAULT_LIB}
        return self.kiln(*args, env=env)

    def test_a_folder_that_cannot_be_written_is_read(self):
        make_runs(20, self.folder / "runs")
        wanted = self.faulty(30, "runs", "list", "--json")  # EROFS
        self.assertEqual(wanted.stderr, "")
        self.assertFalse((self.folder / "runs/.index.sqlite").exists())
        full = self.faulty(28, "runs", "list", "--json")  # ENOSPC
        self.assertRegex(full.stderr, r"\Akiln: .*no space left on device; every run is read "
                                      r"instead\n\Z")
        self.assertEqual(full.stdout, wanted.stdout)
        self.assertEqual(self.kiln("runs", "list", "--json").stdout, wanted.stdout)
        self.assertTrue((self.folder / "runs/.index.sqlite").exists())
        self.assertEqual(self.faulty(30, "runs", "list", "--json").stdout, wanted.stdout)

    def test_a_disk_that_fills_up_while_the_index_is_made(self):
        if not harness.FAULT_LIB:
            self.skipTest("KILN_FAULT_LIB is not set")
        make_runs(5, self.folder / "runs")
        wanted = self.kiln("runs", "list", "--json").stdout
        report = self.folder / "report"
        for at in range(1, 1000):
            for index in (self.folder / "runs").glob(".index*"):
                index.unlink()
            report.unlink(missing_ok=True)
            env = {"KILN_FAULT_AT": str(at), "KILN_FAULT_PATH": ".index", "KILN_FAULT_STICKY": "1",
                   "KILN_FAULT_REPORT": str(report), "LD_PRELOAD": harness.FAULT_LIB}
            done = self.kiln("runs", "list", "--json", env=env)
            self.assertEqual(done.stdout, wanted)
            self.assertLessEqual(done.stderr.count("\n"), 1, done.stderr)
            if not report.exists():
                break
        self.assertGreater(at, 5)
        self.assertLess(at, 999)

    def test_ten_thousand_runs_are_the_same_without_the_index(self):
        self.folder = quick_folder(self.folder)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        make_runs(10000, self.folder / "runs")
        queries = (["--json", "--where", "lr > 0.5 and net = dawn", "--sort", "test_accuracy",
                    "--limit", "500", "--reverse"],
                   ["--csv", "--columns", "path,state,lr,batch,seed,name,test_loss"])
        before = [self.kiln("runs", "list", *q).stdout for q in queries]
        self.assertEqual(before[1].count("\n"), 10001)
        rows = list(csv.DictReader(io.StringIO(before[1], newline="")))
        self.assertEqual(len({row["path"] for row in rows}), 10000)
        chosen = json.loads(before[0])["runs"]
        self.assertEqual(len(chosen), 500)
        accuracies = [run["test_accuracy"] for run in chosen]
        self.assertEqual(accuracies, sorted(accuracies, reverse=True))
        for index in (self.folder / "runs").glob(".index*"):
            index.unlink()
        self.assertEqual([self.kiln("runs", "list", *q).stdout for q in queries], before)
        self.assertEqual(self.json("runs", "reindex")["runs"], 10000)
        self.assertEqual([self.kiln("runs", "list", *q).stdout for q in queries], before)
        shutil.rmtree(self.folder / "runs/sweep")
        self.assertEqual(len(self.listed("--where", "path ~ sweep")), 0)
        self.assertEqual(len(self.listed()), 9000)


if __name__ == "__main__":
    harness.main()

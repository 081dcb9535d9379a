"""test_cli.py - the command line without training: usage errors, recipes, precedence, help."""
import re
import shutil
import subprocess

import harness
from harness import RECIPE, TINY


class Usage(harness.Case):
    def test_command__unknown_ones_get_the_nearest(self):
        self.fails(2, "no command 'trian'; did you mean 'train'?", "trian")
        self.fails(2, "unknown option '--weigth-decay'; did you mean '--weight-decay'?", "train",
                   *TINY, "--weigth-decay", "0")
        self.fails(2, "--set: unknown key 'bacth'; did you mean 'batch'?", "train", *TINY,
                   "--set", "bacth=1")
        self.fails(2, "no recipe 'quikstart'; did you mean 'quickstart'?", "train", "quikstart")
        self.fails(2, "no command 'trian'; did you mean 'train'?", "help", "trian")
        self.fails(2, "something is missing; usage: kiln train RECIPE", "train")
        self.fails(2, "option '--lr' wants a value", "train", *TINY, "--lr")

    def test_command__none_prints_usage(self):
        done = self.kiln(status=2)
        self.assertIn("usage: kiln COMMAND", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_help__names_every_command_and_key(self):
        page = self.kiln("help", "--man").stdout
        words = self.kiln("completion", "bash").stdout
        for name in ("train", "resume", "eval", "schedule", "doctor", "verify"):
            self.assertIn(f"usage: kiln {name} ", self.kiln(name, "--help").stdout)
            self.assertIn(f".SS kiln {name} ", page)
            self.assertIn(f"    {name}) words=", words)
        self.assertIn("--weight-decay X", self.kiln("train", "--help").stdout)
        self.assertIn(r".B \-\-weight\-decay X", page)
        self.assertIn(" --weight-decay ", words)
        self.assertIn("kernel tiers:", self.kiln("--version").stdout)

    def test_completion__bash_offers_commands_then_their_options(self):
        self.write("words", self.kiln("completion", "bash").stdout)

        def offers(*line):
            script = ('. ./words; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kiln; '
                      'printf "%s\n" "${COMPREPLY[@]}"')
            done = subprocess.run(["bash", "-c", script, "bash", *line], cwd=self.folder,
                                  capture_output=True, text=True, check=True)
            self.assertEqual(done.stderr, "")
            return done.stdout.split()

        self.assertEqual(offers("kiln", "tr"), ["train"])
        self.assertEqual(offers("kiln", "net", "sh"), ["show"])
        self.assertEqual(offers("kiln", "train", "quickstart", "--weight-d"), ["--weight-decay"])
        self.assertEqual(offers("kiln", "doctor", "--weight-d"), [])

    def test_completion__zsh_gets_a_script_that_parses(self):
        """Summaries have apostrophes. Where zsh is not there, bash stands in: the script keeps to
        what both understand."""
        self.write("words", self.kiln("completion", "zsh").stdout)
        for shell in ("bash", "zsh"):
            if shutil.which(shell):
                subprocess.run([shell, "-n", "words"], cwd=self.folder, check=True)

    def test_manual__is_clean_to_groff(self):
        if not shutil.which("groff"):
            self.skipTest("groff is not there")
        page = self.kiln("help", "--man").stdout
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=page, capture_output=True,
                              text=True, check=True)
        self.assertEqual(done.stderr, "")

    def test_stdout__a_full_one_is_a_failure(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([harness.KILN, "help"], stdout=full, stderr=subprocess.PIPE,
                                  text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write to standard output", done.stderr)


class Recipes(harness.Case):
    def test_recipe__errors_have_file_and_line(self):
        def recipe(text, sentence):
            self.write("a.ini", text)
            self.fails(2, sentence, "train", "a.ini")

        recipe("lr = 0.1\nlearning_rat = 3\n", "a.ini:2: unknown key 'learning_rat'")
        recipe("batch = 0\n", "a.ini:1: batch is 0, but must be from 1 to 65536 images")
        recipe("batch = many\n", "a.ini:1: batch is 'many', but must be an integer")
        recipe("schedule = linear\n", "schedule = linear needs knots")
        self.fails(2, "no recipe 'nowhere'; give the path of an .ini file, or one of airbench94, ",
                   "train", "nowhere")
        self.fails(2, "cannot open 'nowhere.ini'", "train", "nowhere.ini")

    def test_recipe__a_network_that_does_not_fit_leaves_no_run(self):
        self.write("a.net", "a conv 5x5 8\nb conv 40x40 8\nc linear classes\n")
        done = self.kiln("train", RECIPE, "--net", "./a.net", status=2)
        self.assertIn("a.net:2:", done.stderr)
        self.assertFalse((self.folder / "runs").exists())

    def test_recipe__more_images_than_there_are_leave_no_run(self):
        for key, sentence in (("--train-count", "20000 training images asked for"),
                              ("--validation", "20000 validation images asked for")):
            self.fails(2, sentence + ", but only 10000 are there", "train", *TINY, key, 20000,
                       *([] if key == "--train-count" else ["--train-count", 0]))
            self.assertFalse((self.folder / "runs").exists())
        self.fails(2, "but only 9700 are there beside", "train", *TINY, "--train-count", "9800",
                   "--validation", "300", "--dry-run")

    def test_precedence__option_set_environment_recipe_default(self):
        def plan(*args, **env):
            return self.json("schedule", *TINY, *args, env=env)

        def lr(*args, **env):
            return max(plan(*args, **env)["lr"])

        self.assertAlmostEqual(lr(), 0.1)
        self.assertAlmostEqual(plan()["momentum"], 0.9)
        self.assertAlmostEqual(lr(KILN_LR="0.2"), 0.2)
        self.assertAlmostEqual(lr("--set", "lr=0.3", KILN_LR="0.2"), 0.3)
        self.assertAlmostEqual(lr("--lr", "0.4", "--set", "lr=0.3", KILN_LR="0.2"), 0.4)
        # KILN_DATA is where images lie, not the key `data`.
        self.assertEqual(plan(KILN_DATA="/nowhere")["steps"], 30)
        self.fails(2, "KILN_LR: lr is 'fast', but must be a number", "schedule", *TINY,
                   env={"KILN_LR": "fast"})
        self.fails(2, "KILN_LRR: unknown key 'lrr'; did you mean 'lr'?", "schedule", *TINY,
                   env={"KILN_LRR": "0.2"})
        self.assertAlmostEqual(lr(KILN_OF_SOMEBODY_ELSE="1", KILN_DATA_URL="http://x"), 0.1)

    def test_schedule__draws_in_ascii_too(self):
        drawing = self.kiln("schedule", *TINY, "--ascii").stdout
        self.assertTrue(drawing.isascii())
        self.assertIn("#", drawing)
        self.assertIn("3 epochs", drawing)
        wide = self.kiln("schedule", *TINY, env={"LC_ALL": "C.UTF-8"}).stdout
        self.assertFalse(wide.isascii())

    def test_doctor__says_of_every_tier_what_it_lacks(self):
        cpu = self.json("doctor")["cpu"]
        self.assertEqual(list(cpu["tiers"]),
                         ["ref", "avx2", "avx512", "avx512bf16", "amx"])
        shown = self.kiln("doctor").stdout
        for tier, there in cpu["tiers"].items():
            lacks = cpu["tiers_lack"][tier]
            self.assertEqual(there, lacks is None)
            self.assertRegex(shown, rf"(?m)^.{{10}} {tier} +{re.escape(lacks or 'available')}$")
            if lacks:
                self.fails(2, lacks, "train", *TINY, "--isa", tier, "--steps", "1")

    def test_json__whatever_reads_prints_one_object(self):
        self.assertIn("cpu", self.json("doctor"))
        self.assertEqual(self.json("net", "show", "resnet9")["parameters"], 6573120)
        rates = self.json("schedule", *TINY)["lr"]
        self.assertEqual(len(rates), 30)
        self.assertAlmostEqual(rates[0], 0.02)


if __name__ == "__main__":
    harness.main()

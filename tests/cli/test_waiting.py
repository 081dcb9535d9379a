"""test_waiting.py - threads do not spin for long, unless the environment says how they wait."""
import re

import harness
from harness import TINY


class Waiting(harness.Case):
    def spins(self, *args, **env):
        """What GNU OpenMP says of its spinning, each time that the program starts."""
        env = {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": None, "OMP_DISPLAY_ENV": "verbose", **env}
        said = self.kiln(*args, env=env).stderr
        if "GOMP_SPINCOUNT" not in said:
            self.skipTest("not GNU's OpenMP")
        return re.findall(r"GOMP_SPINCOUNT = '(\d+)'", said)

    def test_waiting__training_starts_again_with_a_short_wait(self):
        train = ["train", *TINY, "--dry-run"]
        self.assertEqual(self.spins(*train)[1:], ["3000"])

    def test_waiting__environment_is_obeyed(self):
        train = ["train", *TINY, "--dry-run"]
        self.assertEqual(self.spins(*train, GOMP_SPINCOUNT="77"), ["77"])
        self.assertEqual(self.spins(*train, OMP_WAIT_POLICY="passive"), ["0"])

    def test_waiting__what_does_not_train_starts_once(self):
        self.assertEqual(len(self.spins("doctor")), 1)


harness.main()

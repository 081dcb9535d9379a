#!/usr/bin/env python3
"""peers.py - finds a Python that has what kiln is compared with, and runs a script with it.

The tests need nothing but kiln itself; where another program is there to compare with, they do.
KILN_PEERS lists interpreters to try, separated by colons; then the one that script/bench made, and
the system's. Exits with 77 if none has all the modules.

usage: peers.py MODULE[,MODULE...] SCRIPT [ARGUMENT...]
"""
import os
import pathlib
import subprocess
import sys


def find(*modules):
    """The first interpreter that can import all of them, or None."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    candidates = [p for p in os.environ.get("KILN_PEERS", "").split(":") if p]
    looks = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {modules!r})))"
    for python in candidates + [f"{cache}/kiln/pytorch/bin/python", sys.executable]:
        if pathlib.Path(python).exists() and subprocess.run(
                [python, "-c", looks], capture_output=True, check=False).returncode == 0:
            return python
    return None


def main():
    python = find(*sys.argv[1].split(","))
    if not python:
        print(f"skipped: no Python of KILN_PEERS has {sys.argv[1]}")
        return 77
    return subprocess.run([python, *sys.argv[2:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

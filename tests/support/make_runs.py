#!/usr/bin/env python3
"""make_runs.py - makes many run directories without training, to try what looks at runs.

usage: make_runs.py COUNT FOLDER
"""
import json
import os
import pathlib
import random
import sys

CONFIG = """[data]
data = synthetic
[network]
net = {net}
[training]
batch = {batch}
epochs = 3
seed = {seed}
[optimiser]
lr = {lr}
momentum = 0.9
weight_decay = 0.0005
[schedule]
schedule = linear
knots = 0:0.2, 1:1, 3:0
[record]
name = {name}
"""

def manifest(i, rng):
    session = {"host": "made", "pid": i, "start": f"2026-11-{1 + i % 28:02}T{i % 24:02}:00:00Z",
               "end": f"2026-11-{1 + i % 28:02}T{i % 24:02}:01:00Z", "reason": "finished",
               "exit_status": 0, "tier": "ref", "threads": 2}
    result = {"reason": "finished", "steps": 30, "epochs": 3.0,
              "weights_hash": f"{rng.getrandbits(256):064x}", "train_loss": rng.uniform(1, 3),
              "test_loss": rng.uniform(1, 3), "test_accuracy": rng.random(), "seconds": 3.5}
    return {"format": 1, "recipe": "made.ini", "config_hash": f"{rng.getrandbits(256):064x}",
            "data": {"name": "synthetic", "hash": "0" * 64}, "sessions": [session],
            "total_steps": 30, "result": result}


def make_runs(count, folder):
    """Every tenth lies in a folder of its own, as the trials of a sweep do. Files that are alike
    are links to one: making them takes longer than all that is tried on them."""
    rng = random.Random(1)
    folder = pathlib.Path(folder)
    shared = folder / ".shared"
    shared.mkdir(parents=True)
    for i, state in enumerate(("finished", "finished", "finished", "diverged", "stopped")):
        (shared / f"status{i}").write_text(json.dumps(
            {"state": state, "step": 30, "total_steps": 30, "epoch": 3.0,
             "heartbeat": "2026-11-23T21:35:35Z"}))
    for i in range(min(count, 97)):
        (shared / f"manifest{i}").write_text(json.dumps(manifest(i, rng)))
    for i in range(count):
        name = f"20261123-{i:06}-made-{rng.getrandbits(32):08x}"
        run = folder / (f"sweep/trials/{name}" if i % 10 == 9 else name)
        run.mkdir(parents=True)
        (run / "config.ini").write_text(CONFIG.format(
            net=rng.choice(("resnet9", "dawn")), batch=2 ** (5 + i % 5), seed=i % 7,
            lr=f"{rng.uniform(0.01, 1):.4g}", name=f"number {i}" if i % 3 else ""))
        os.link(shared / f"manifest{i % 97}", run / "manifest.json")
        os.link(shared / f"status{i % 5}", run / "status.json")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    make_runs(int(sys.argv[1]), os.fspath(sys.argv[2]))

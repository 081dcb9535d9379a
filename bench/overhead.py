#!/usr/bin/env python3
"""overhead.py - what is spent between the steps of runs: records, heartbeats, the progress line.

usage: overhead.py RUN...

The record of a step says when it was written (t, in milliseconds) and how long the step took. Over
a stretch of steps without evaluation, checkpoint or hash of the weights, what the clock moved on
beyond the steps is overhead; the clock's rounding makes that uncertain by a millisecond a stretch.
"""
import json
import pathlib
import statistics
import sys


def stretches(run):
    """Lists of records of steps in a row."""
    found = [[]]
    for line in (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "train" and (not found[-1] or record["t"] > found[-1][-1]["t"]):
            found[-1].append(record)
        else:
            found.append([record] if record["kind"] == "train" else [])
    return [s for s in found if len(s) > 1]


def measure(run):
    """Steps, and of their time in per cent: the overhead, and how uncertain that is."""
    whole = steps = overhead = 0
    parts = stretches(run)
    if not parts:
        sys.exit(f"overhead.py: '{run}' has no two steps in a row")
    for part in parts:
        seconds = sum(r["perf/step_seconds"] for r in part[1:])
        overhead += part[-1]["t"] - part[0]["t"] - seconds
        whole += seconds
        steps += len(part) - 1
    return steps, 100 * overhead / whole, 100 * 1e-3 * len(parts) / whole


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    shares = []
    for run in sys.argv[1:]:
        steps, share, doubt = measure(run)
        shares.append(share)
        print(f"{run}: {share:.3f} % +- {doubt:.3f} of {steps} steps")
    print(f"n = {len(shares)} runs: median {statistics.median(shares):.3f} %, "
          f"{min(shares):.3f} to {max(shares):.3f}")


if __name__ == "__main__":
    main()

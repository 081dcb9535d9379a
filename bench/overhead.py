#!/usr/bin/env python3
"""overhead.py - what is spent between the steps of a run: records, heartbeats, the progress line.

usage: overhead.py RUN...

Each record of a step says when it was written (t) and how long its step took; what lies between
two records besides the step is overhead. Pairs with an evaluation, a checkpoint or a hash of the
weights between them are left out.
"""
import json
import pathlib
import statistics
import sys


def gaps(run):
    """(overhead, step) in seconds of each pair of neighbouring steps."""
    found, before = [], None
    for line in (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["kind"] != "train":
            before = None
            continue
        seconds = record["perf/step_seconds"]
        if before is not None and record["t"] > before:
            found.append((record["t"] - before - seconds, seconds))
        before = record["t"]
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for run in sys.argv[1:]:
        pairs = gaps(run)
        if not pairs:
            sys.exit(f"overhead.py: '{run}' has no two steps in a row")
        over = sorted(1e6 * o for o, _ in pairs)
        share = sum(o for o, _ in pairs) / sum(s for _, s in pairs)
        print(f"{run}: n = {len(over)} steps of {1e3 * statistics.median(s for _, s in pairs):.1f} "
              f"ms (median); between them {statistics.median(over):.0f} us (median, "
              f"{over[0]:.0f} to {over[-1]:.0f}), in all {100 * share:.4f} % of the steps")


if __name__ == "__main__":
    main()

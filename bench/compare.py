#!/usr/bin/env python3
"""Times full training steps of kiln and of PyTorch in turn, and prints the ratios.

A *claim* compares two ways of running one training step:

    best      kiln as it chooses itself, against the fastest configuration of PyTorch
    fp32      kiln in fp32, against the fastest configuration of PyTorch in fp32
    avx2      kiln in fp32 with --isa avx2, against PyTorch in fp32 held to AVX2
    threads   kiln on all threads, against kiln on one
    batch     kiln at batch 64, against kiln at the network's own batch

PyTorch's configurations (fp32 and bf16 autocast, each eager and compiled; channels_last and the
tuned allocator always) are tried first, once each; the fastest stands in the claims. One that fails
is reported and left out, and so is one that takes too long: without instructions for it, bf16 is
many times slower than fp32.

Each pair is two fresh processes, the left one first in one pair and the right one first in the
next, so that a slow drift of the machine falls on both alike. The ratio of a pair is the left's
images per second over the right's; the result is the median over the pairs, with the least and
the greatest. Tables go to stdout, everything to --json FILE.
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
NETS = {"airbench94": ("airbench94", 1024), "resnet9": ("resnet9-24", 512)}
CLAIMS = ("best", "fp32", "avx2", "threads", "batch")
SMALL_BATCH = 64
CONFIGURATIONS = [(precision, compiled) for precision in ("fp32", "bf16")
                  for compiled in (False, True)]
HELD_TO_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--python", default=sys.executable, help="a python3 that has PyTorch")
    add("--kiln", default=os.path.join(ROOT, "build", "release", "kiln"))
    add("--torch-step", default=os.path.join(ROOT, "bench", "peers", "torch_step.py"),
        help="the program that times PyTorch's step")
    add("--claim", action="append", choices=CLAIMS, help="default: best and fp32")
    add("--net", action="append", choices=NETS, help="default: all")
    add("--pairs", type=int, default=7)
    add("--steps", type=int, default=3,
        help="timed steps of each process; of small batches, as many images")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)))
    add("--isa", help="kiln's kernel tier in claim best; default: its own choice")
    add("--precision", help="kiln's precision in claim best; likewise")
    add("--freeze-whitening", action="store_true",
        help="on both sides the whitening bias does not train (airbench freezes it after three "
             "epochs), which spares the first convolution's backward-data; default: it trains")
    add("--no-compile", action="store_true", help="do not try torch.compile")
    add("--patience", type=float, default=300, metavar="S",
        help="stop a trial of PyTorch after so many seconds, starting and compiling included "
             "(default: 300)")
    add("--json", metavar="FILE", help="write everything there")
    return parser.parse_args()


class Side:
    """One way of running the step: a label, a command, and what it adds to the environment."""

    def __init__(self, label, command, environment=None):
        self.label, self.environment = label, environment or {}
        self.command = [str(word) for word in command]

    def run(self, timeout=None):
        done = subprocess.run(self.command, stdout=subprocess.PIPE, text=True, check=True,
                              timeout=timeout, env={**os.environ, **self.environment})
        return json.loads(done.stdout)


def kiln_side(options, net, label, batch=None, threads=None, extra=()):
    recipe, own_batch = NETS[net]
    batch = batch or own_batch
    steps = options.steps * max(1, own_batch // batch)
    command = [options.kiln, "bench", recipe, "--batch", batch, "--threads",
               threads or options.threads, "--steps", steps, "--warmup-steps", 1, "--no-table",
               "--json", *extra]
    return Side(label, command + ["--freeze-whitening"] * options.freeze_whitening)


def torch_side(options, net, precision, compiled, environment=None):
    label = f"PyTorch {precision}{' compiled' if compiled else ''}"
    command = [options.python, options.torch_step, "--net", net, "--batch", NETS[net][1],
               "--threads", options.threads, "--steps", options.steps, "--warmup",
               3 if compiled else 1, "--precision", precision]
    return Side(label, command + ["--compile"] * compiled
                + ["--freeze-whitening"] * options.freeze_whitening, environment)


def survey(options, net, precisions, environment=None):
    """Tries PyTorch's configurations once each; returns what was found, the fastest first."""
    tried = []
    for precision, compiled in CONFIGURATIONS:
        if precision not in precisions or (compiled and options.no_compile):
            continue
        side = torch_side(options, net, precision, compiled, environment)
        try:
            speed, failure = side.run(options.patience)["images_per_second"], None
            print(f"{net}: {side.label}: {speed:.1f} images/s", file=sys.stderr)
        except subprocess.TimeoutExpired:
            speed, failure = None, f"stopped after {options.patience:g} s"
            print(f"{net}: {side.label} is left out: {failure}", file=sys.stderr)
        except (subprocess.CalledProcessError, json.JSONDecodeError) as why:
            speed, failure = None, "failed"
            print(f"{net}: {side.label} failed and is left out: {why}", file=sys.stderr)
        tried.append({"label": side.label, "precision": precision, "compiled": compiled,
                      "images_per_second": speed, "failure": failure})
    tried.sort(key=lambda t: -(t["images_per_second"] or 0))
    if tried[0]["images_per_second"] is None:
        sys.exit(f"compare.py: no configuration of PyTorch ran for {net}")
    return tried


def fastest(options, net, surveys, key):
    """PyTorch's fastest of all configurations, of those in fp32, or of those held to AVX2."""
    environment = HELD_TO_AVX2 if key == "avx2" else None
    if key not in surveys:
        known = [t for t in surveys.get("all", []) if t["precision"] == "fp32"
                 and t["images_per_second"]] if key == "fp32" else []
        precisions = ("fp32", "bf16") if key == "all" else ("fp32",)
        surveys[key] = known or survey(options, net, precisions, environment)
    best = surveys[key][0]
    return torch_side(options, net, best["precision"], best["compiled"], environment)


def sides(options, net, claim, surveys):
    """The left and the right of a claim."""
    fp32 = ["--precision", "fp32"]
    if claim == "best":
        pinned = [word for key in ("isa", "precision") if getattr(options, key)
                  for word in ("--" + key, getattr(options, key))]
        return (kiln_side(options, net, "kiln", extra=pinned),
                fastest(options, net, surveys, "all"))
    if claim == "fp32":
        return (kiln_side(options, net, "kiln", extra=fp32),
                fastest(options, net, surveys, "fp32"))
    if claim == "avx2":
        return (kiln_side(options, net, "kiln", extra=[*fp32, "--isa", "avx2"]),
                fastest(options, net, surveys, "avx2"))
    if claim == "threads":
        return (kiln_side(options, net, f"kiln, {options.threads} threads"),
                kiln_side(options, net, "kiln, 1 thread", threads=1))
    return (kiln_side(options, net, f"kiln, batch {SMALL_BATCH}", batch=SMALL_BATCH),
            kiln_side(options, net, f"kiln, batch {NETS[net][1]}"))


def check_same_work(net, left, right):
    if left.get("whitening_bias") != right.get("whitening_bias"):
        sys.exit(f"compare.py: {net}: the whitening bias of one side is "
                 f"'{left.get('whitening_bias')}', of the other '{right.get('whitening_bias')}'")


def run_pairs(options, net, claim, left, right):
    pairs = []
    for i in range(options.pairs):
        if i % 2 == 0:
            a, b = left.run(), right.run()
        else:
            b, a = right.run(), left.run()
        check_same_work(net, a, b)
        ratio = a["images_per_second"] / b["images_per_second"]
        print(f"{net}, {claim}, pair {i + 1}: {left.label} {a['images_per_second']:.1f}, "
              f"{right.label} {b['images_per_second']:.1f} images/s, ratio {ratio:.3f}",
              file=sys.stderr)
        pairs.append({"left": a, "right": b, "ratio": ratio})
    return pairs


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values),
            "n": len(values)}


def compare(options, net, claim, surveys):
    left, right = sides(options, net, claim, surveys)
    pairs = run_pairs(options, net, claim, left, right)
    first = pairs[0]["left"]
    return {"net": net, "batch": NETS[net][1], "claim": claim,
            "left": {"label": f"{left.label} ({first['precision']}, {first['isa']})",
                     "command": left.command},
            "right": {"label": right.label + (" held to AVX2" if right.environment else ""),
                      "command": right.command, "environment": right.environment},
            "whitening_bias": first.get("whitening_bias"),
            "left_images_per_second": spread([p["left"]["images_per_second"] for p in pairs]),
            "right_images_per_second": spread([p["right"]["images_per_second"] for p in pairs]),
            "ratio": spread([p["ratio"] for p in pairs]), "pairs": pairs}


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def revision():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def show_surveys(all_surveys):
    print("PyTorch's configurations, one process each, images/s:\n")
    for net, surveys in all_surveys.items():
        for key, tried in surveys.items():
            held = " held to AVX2" if key == "avx2" else ""
            found = [t["label"] + (f" {t['images_per_second']:.0f}" if t["images_per_second"]
                                   else f" {t['failure']}") for t in tried]
            print(f"- {net}{held}: {', '.join(found)}")
    print()


def show(result):
    versions = {p["right"]["version"] for c in result["claims"] for p in c["pairs"]
                if p["right"]["program"] == "pytorch"}
    print(f"{result['cpu']}, {result['threads']} threads, load {result['load_before']:.1f} "
          f"before; kiln {result['kiln_revision']}"
          + "".join(f", PyTorch {v}" for v in sorted(versions)))
    for bias in sorted({c["whitening_bias"] for c in result["claims"]} - {None}):
        verb = "trains" if bias == "trains" else "is frozen"
        print(f"The whitening bias of airbench94 {verb} on both sides.")
    print("Full training step, images/s: median (least ... greatest) over pairs of processes.\n")
    if any(result["surveys"].values()):
        show_surveys(result["surveys"])
    print("| claim | network, batch | left | images/s | right | images/s | ratio | pairs |")
    print("|---|---|---|---|---|---|---|---|")
    for c in result["claims"]:
        cells = [f"{c[k]['median']:{f}} ({c[k]['least']:{f}} ... {c[k]['greatest']:{f}})"
                 for k, f in (("left_images_per_second", ".0f"),
                              ("right_images_per_second", ".0f"), ("ratio", ".2f"))]
        print(f"| {c['claim']} | {c['net']}, {c['batch']} | {c['left']['label']} | {cells[0]} | "
              f"{c['right']['label']} | {cells[1]} | {cells[2]} | {c['ratio']['n']} |")


def main():
    options = arguments()
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "cpu": cpu_model(), "threads": options.threads, "kiln_revision": revision(),
              "load_before": os.getloadavg()[0], "surveys": {}, "claims": []}
    for net in options.net or list(NETS):
        surveys = result["surveys"].setdefault(net, {})
        for claim in options.claim or ["best", "fp32"]:
            result["claims"].append(compare(options, net, claim, surveys))
    show(result)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()

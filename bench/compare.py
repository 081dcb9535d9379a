#!/usr/bin/env python3
"""Times a full training step in kiln and in PyTorch in turn, and prints the ratio.

Each pair is two fresh processes, kiln first in one pair and PyTorch first in the next, so that a
slow drift of the machine falls on both alike. The ratio of a pair is kiln's images per second over
PyTorch's; the result is the median over the pairs, with the least and the greatest. The whole is
printed as a table on stdout, and written as JSON with --json FILE.
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


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="a python3 that has PyTorch")
    parser.add_argument("--kiln", default=os.path.join(ROOT, "build", "release", "kiln"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each process")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--net", action="append", choices=NETS, help="default: all")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32",
                        help="of PyTorch")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    parser.add_argument("--json", metavar="FILE", help="write everything there")
    return parser.parse_args()


def run_json(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def run_kiln(options, net):
    recipe, batch = NETS[net]
    return run_json([options.kiln, "bench", recipe, "--batch", str(batch), "--threads",
                     str(options.threads), "--steps", str(options.steps), "--warmup-steps", "1",
                     "--no-table", "--json"])


def run_torch(options, net):
    command = [options.python, os.path.join(ROOT, "bench", "peers", "torch_step.py"), "--net", net,
               "--batch", str(NETS[net][1]), "--threads", str(options.threads), "--steps",
               str(options.steps), "--warmup", "1", "--precision", options.precision]
    return run_json(command + (["--compile"] if options.compile else []))


def run_pairs(options, net):
    pairs = []
    for i in range(options.pairs):
        if i % 2 == 0:
            kiln, torch = run_kiln(options, net), run_torch(options, net)
        else:
            torch, kiln = run_torch(options, net), run_kiln(options, net)
        ratio = kiln["images_per_second"] / torch["images_per_second"]
        print(f"{net} pair {i + 1}: kiln {kiln['images_per_second']:.1f}, PyTorch "
              f"{torch['images_per_second']:.1f} images/s, ratio {ratio:.3f}", file=sys.stderr)
        pairs.append({"kiln": kiln, "pytorch": torch, "ratio": ratio})
    return pairs


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values),
            "n": len(values)}


def summary(pairs):
    return {"kiln": spread([p["kiln"]["images_per_second"] for p in pairs]),
            "pytorch": spread([p["pytorch"]["images_per_second"] for p in pairs]),
            "ratio": spread([p["ratio"] for p in pairs])}


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def revision():
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def main():
    options = arguments()
    nets = options.net or list(NETS)
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "cpu": cpu_model(), "threads": options.threads, "kiln_revision": revision(),
              "load_before": os.getloadavg()[0], "nets": {}}
    for net in nets:
        pairs = run_pairs(options, net)
        result["nets"][net] = {**summary(pairs), "pairs": pairs}
    first = result["nets"][nets[0]]["pairs"][0]
    print(f"{result['cpu']}, {options.threads} threads, load {result['load_before']:.1f} before; "
          f"kiln {result['kiln_revision']} {first['kiln']['precision']} {first['kiln']['isa']}, "
          f"PyTorch {first['pytorch']['version']} {options.precision}"
          f"{' compiled' if options.compile else ''}")
    print("full training step, images/s: median (least ... greatest) over pairs of processes\n")
    print("| network, batch | kiln | PyTorch | ratio | pairs |")
    print("|---|---|---|---|---|")
    for net in nets:
        r = result["nets"][net]
        cells = [f"{r[k]['median']:{f}} ({r[k]['least']:{f}} ... {r[k]['greatest']:{f}})"
                 for k, f in (("kiln", ".0f"), ("pytorch", ".0f"), ("ratio", ".2f"))]
        print(f"| {net}, {NETS[net][1]} | {' | '.join(cells)} | {r['ratio']['n']} |")
    if options.json:
        with open(options.json, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()

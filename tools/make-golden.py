#!/usr/bin/env python3
"""Makes the golden files of tests/golden/ with PyTorch: what kiln's training must reproduce.

    tools/make-golden.py [--out tests/golden] [CASE...]

Each file holds one case: a network, where its weights and batches come from (kiln's own random
streams, so that no file carries them), and what PyTorch makes of them in double precision: logits,
the loss of every step, every gradient of the first step, and every parameter and running statistic
after the last step. Of the big networks a tensor is represented by its norm and four
projections on random signs.

Beside each tensor stands `bound`: how far, in the Euclidean norm, a single-precision
implementation may be from the truth (see golden/rounding.py), and `torch32`: how far PyTorch's own
single precision is, for comparison. docs/numerics.md tells how tests/golden/test_golden.c uses
them.
"""
import argparse
import datetime
import json
import os
import platform
import sys

import numpy as np
import torch
from torch.nn import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, "golden"), os.path.join(HERE, "..", "bench", "peers")]
import every_layer  # noqa: E402
import networks  # noqa: E402
import philox  # noqa: E402
import rounding  # noqa: E402
import small_cases  # noqa: E402

SEED = 1
PROJECTIONS = 4
WHOLE_TENSOR_MAX = {"every_layer": 4000}  # for the others, 100
BOUND_FACTOR = 2   # the bound is this many times the largest change that a draw made

# Learning rates change each step, so that their use one step too early or late shows.
LR_SHAPE = [0.2, 0.4, 0.6, 0.8, 1.0, 0.9, 0.7, 0.5, 0.3, 0.1]

# `draws` is how often the rounding model is run.
NETWORK_CASES = {
    "every_layer": dict(net="every_layer", images=270, input=[3, 14, 14], smoothing=0.2,
                        reduction="mean", lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-3,
                        norm_bias_factor=8.0, draws=8),
    "every_layer_sum": dict(net="every_layer", images=33, input=[3, 14, 14], smoothing=0.0,
                            reduction="sum", lr=2e-3, momentum=0.8, nesterov=False,
                            weight_decay=0.0, norm_bias_factor=1.0, draws=8),
    "airbench94": dict(net="airbench94", images=12, input=[3, 32, 32], smoothing=0.2,
                       reduction="sum", lr=1e-3, momentum=0.85, nesterov=True, weight_decay=0.4,
                       norm_bias_factor=64.0, draws=3),
    "resnet9": dict(net="resnet9", images=8, input=[3, 32, 32], smoothing=0.0, reduction="mean",
                    lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-3, norm_bias_factor=1.0,
                    draws=3),
    "dawn": dict(net="dawn", images=8, input=[3, 32, 32], smoothing=0.0, reduction="mean",
                 lr=0.004, momentum=0.9, nesterov=False, weight_decay=5e-4, norm_bias_factor=1.0,
                 draws=3),
}


def is_norm(name, net):
    return isinstance(net.get_submodule(name.rpartition(".")[0]), torch.nn.BatchNorm2d)


def start_range(name, net, tensor):
    """[low, high) of a tensor's first values."""
    if is_norm(name, net):
        return (0.5, 1.5) if name.endswith(("weight", "running_var")) else (-0.25, 0.25)
    weight = net.get_parameter(name.replace("bias", "weight"))
    bound = 1 / (weight[0].numel() ** 0.5)
    return -bound, bound


def plan_tensors(case, net):
    """Name, shape, random stream, range and optimiser factors of every tensor, in order."""
    trainable = {n for n, p in net.named_parameters() if p.requires_grad}
    plan = []
    for name, tensor in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        low, high = start_range(name, net, tensor)
        norm_bias = is_norm(name, net) and name.endswith(".bias")
        plan.append({
            "name": name, "shape": list(tensor.shape), "stream": len(plan), "low": low,
            "high": high, "trainable": name in trainable,
            "lr_factor": case["norm_bias_factor"] if norm_bias else 1.0,
        })
    return plan


def fill(net, plan):
    state = net.state_dict()
    for t in plan:
        u = philox.uniform(SEED, t["stream"], 0, state[t["name"]].numel())
        values = (t["low"] + (t["high"] - t["low"]) * u).astype(np.float32)
        state[t["name"]].copy_(torch.from_numpy(values).reshape(t["shape"]))


def batch(case, step, dtype):
    count = case["images"] * int(np.prod(case["input"]))
    pixels = philox.uniform(SEED, 1000 + step, 0, count) * 4 - 2
    shape = [case["images"]] + case["input"]
    labels = philox.labels(SEED, 2000 + step, 0, case["images"], 10)
    return torch.from_numpy(pixels).reshape(shape).to(dtype), torch.from_numpy(labels)


def train(case, plan, dtype, noisy):
    """Ten optimiser steps; returns the losses and, by (what, name), every tensor to compare."""
    net = make_net(case["net"]).to(dtype).train()
    fill(net, plan)
    if noisy:
        rounding.make_noisy(net)
    parameters = dict(net.named_parameters())
    groups = [dict(params=[parameters[t["name"]]], factor=t["lr_factor"],
                   weight_decay=case["weight_decay"] / t["lr_factor"])
              for t in plan if t["trainable"]]
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=case["momentum"],
                                nesterov=case["nesterov"])
    losses, seen = [], {}
    for step, shape in enumerate(LR_SHAPE):
        for group in optimizer.param_groups:
            group["lr"] = case["lr"] * shape * group["factor"]
        x, y = batch(case, step, dtype)
        logits = net(x)
        if noisy:
            logits = logits + rounding.ELEMENTWISE * rounding.draw(logits)
        loss = F.cross_entropy(logits, y, label_smoothing=case["smoothing"],
                               reduction=case["reduction"])
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            seen["logits", ""] = logits.detach().double()
            for t in plan:
                if t["trainable"]:
                    seen["gradient", t["name"]] = parameters[t["name"]].grad.double().clone()
        optimizer.step()
        if noisy:
            with torch.no_grad():
                for group in optimizer.param_groups:
                    p = group["params"][0]
                    p.mul_(1 + 2 * rounding.U * rounding.draw(p))
    state = net.state_dict()
    for t in plan:
        seen["after", t["name"]] = state[t["name"]].double().clone()
    return losses, seen


def make_net(name):
    return every_layer.EveryLayer() if name == "every_layer" else networks.make(name)


def distance(a, b):
    return float((a - b).norm())


def record(case, key, stream, truth, bound, torch32):
    """One tensor as it stands in the file."""
    what, name = key
    entry = {"what": what, "tensor": name, "count": truth.numel(), "norm": float(truth.norm()),
             "bound": bound, "torch32": torch32}
    flat = truth.reshape(-1).numpy()
    if len(flat) <= WHOLE_TENSOR_MAX.get(case["net"], 100):
        entry["values"] = flat.tolist()
    else:
        entry["projections"] = [
            float(flat @ philox.signs(SEED, 3000 + p, stream, len(flat)))
            for p in range(PROJECTIONS)]
    return entry


def network_case(case):
    plan = plan_tensors(case, make_net(case["net"]))
    stream = {t["name"]: t["stream"] for t in plan}
    losses, truth = train(case, plan, torch.float64, noisy=False)
    losses32, single = train(case, plan, torch.float32, noisy=False)
    bounds = {key: 0.0 for key in truth}
    loss_bounds = [0.0] * len(losses)
    for d in range(case["draws"]):
        torch.manual_seed(d)
        noisy_losses, noisy = train(case, plan, torch.float64, noisy=True)
        for key in truth:
            bounds[key] = max(bounds[key], BOUND_FACTOR * distance(noisy[key], truth[key]))
        loss_bounds = [max(b, BOUND_FACTOR * abs(n - t))
                       for b, n, t in zip(loss_bounds, noisy_losses, losses)]
    records = [record(case, key, stream.get(key[1], len(plan)), value, bounds[key],
                      distance(single[key], value)) for key, value in truth.items()]
    report(records)
    steps = [{"lr": case["lr"] * s, "loss": l, "bound": b, "torch32": abs(l32 - l)}
             for s, l, b, l32 in zip(LR_SHAPE, losses, loss_bounds, losses32)]
    return {**case, "seed": SEED, "classes": 10, "tensors": plan, "steps": steps,
            "records": records}


def report(records):
    """Says how the bounds compare with PyTorch's own single precision."""
    for what in ("logits", "gradient", "after"):
        chosen = [r for r in records if r["what"] == what and r["bound"] > 0]
        relative = [r["bound"] / r["norm"] for r in chosen if r["norm"] > 0]
        used = [r["torch32"] / r["bound"] for r in chosen]
        print(f"  {what}: bound / norm {min(relative):.1e} ... {max(relative):.1e}, "
              f"torch32 / bound at most {max(used):.2f}")


def provenance():
    return {"script": "tools/make-golden.py", "date": datetime.date.today().isoformat(),
            "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__}


def write(folder, name, content):
    path = os.path.join(folder, name + ".json")
    with open(path, "w") as f:
        json.dump({"made_by": provenance(), **content}, f, indent=None, separators=(",", ":"))
        f.write("\n")
    print(f"{path}: {os.path.getsize(path)} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=os.path.join(HERE, "..", "tests", "golden"))
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order, whatever the machine
    philox.self_test()
    for name, case in NETWORK_CASES.items():
        if not options.cases or name in options.cases:
            write(options.out, name, network_case(case))
    for name, make in small_cases.CASES.items():
        if not options.cases or name in options.cases:
            write(options.out, name, make())


if __name__ == "__main__":
    main()

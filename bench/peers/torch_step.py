#!/usr/bin/env python3
"""Times a full training step of one of the zoo's networks in PyTorch and prints one JSON object.

A step is what `kiln bench` times too: cut, flip and normalise the batch, forward, cross-entropy
with label smoothing, backward, SGD with Nesterov momentum over all parameter groups. Settings are
the best that were found for PyTorch on a CPU: channels_last, fused SGD, gradients set to None, and
an allocator that keeps freed activations instead of giving them back to the kernel and faulting
them in again (MALLOC below; without it PyTorch loses a third). The first steps, in which
torch.compile compiles and oneDNN makes its kernels, are not timed.
"""
import argparse
import json
import os
import sys
import time

MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "40000000000",
    "MALLOC_TOP_PAD_": "1000000000",
}


def with_tuned_allocator():
    """Starts this program again if the allocator's settings are not in the environment yet."""
    if any(os.environ.get(key) != value for key, value in MALLOC.items()):
        os.execve(sys.executable, [sys.executable] + sys.argv, {**os.environ, **MALLOC})


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--net", default="airbench94")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--steps", type=int, default=3, help="timed steps")
    parser.add_argument("--warmup", type=int, default=1, help="steps before the clock starts")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    parser.add_argument("--no-tune", action="store_true", help="leave the allocator as it is")
    parser.add_argument("--freeze-whitening", action="store_true",
                        help="the whitening layer's bias does not train")
    return parser.parse_args()


# Per network: label smoothing, momentum, learning rate, weight decay, factor of the biases'
# learning rate, padding, cutout. Speed does not depend on their values, only on what is done.
RECIPES = {
    "airbench": dict(smoothing=0.2, momentum=0.85, lr=1.4648e-3, wd=1.3623, bias_factor=64,
                     pad=2, cutout=0),
    "page": dict(smoothing=0.0, momentum=0.9, lr=1e-4, wd=0.256, bias_factor=1, pad=4, cutout=8),
}


def main():
    options = arguments()
    if not options.no_tune:
        with_tuned_allocator()
    import torch
    from networks import make

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    recipe = RECIPES["airbench" if options.net.startswith("airbench") else "page"]
    net = make(options.net).to(memory_format=torch.channels_last).train()
    whiten = getattr(net, "whiten", None)
    if whiten is not None:
        whiten.bias.requires_grad_(not options.freeze_whitening)
    call = torch.compile(net) if options.compile else net
    optimizer = make_optimizer(torch, net, recipe)
    images, labels = make_images(torch, recipe["pad"])

    def step():
        x, y = cut_batch(torch, images, labels, options.batch, recipe)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            logits = call(x)
        loss = torch.nn.functional.cross_entropy(
            logits.float(), y, label_smoothing=recipe["smoothing"], reduction="sum")
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    for _ in range(options.warmup):
        step()
    seconds = []
    for _ in range(options.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    bias = None if whiten is None else "frozen" if options.freeze_whitening else "trains"
    print(json.dumps(result(torch, options, seconds, bias)))


def result(torch, options, seconds, whitening_bias):
    ordered = sorted(seconds)
    median = ordered[len(ordered) // 2] if len(ordered) % 2 else \
        (ordered[len(ordered) // 2 - 1] + ordered[len(ordered) // 2]) / 2
    return {
        "program": "pytorch", "version": torch.__version__, "net": options.net,
        "batch": options.batch, "threads": options.threads, "precision": options.precision,
        "compiled": options.compile, "tuned_allocator": not options.no_tune,
        "isa": torch.backends.cpu.get_cpu_capability(), "whitening_bias": whitening_bias,
        "seconds": seconds, "images_per_second": options.batch / median,
    }


def make_optimizer(torch, net, recipe):
    """Parameter groups as in airbench: the norms' biases have a learning rate of their own."""
    biases = [p for n, p in net.named_parameters()
              if p.requires_grad and "norm" in n and n.endswith("bias")]
    chosen = {id(p) for p in biases}
    others = [p for p in net.parameters() if p.requires_grad and id(p) not in chosen]
    factor = recipe["bias_factor"]
    groups = [dict(params=others, lr=recipe["lr"], weight_decay=recipe["wd"]),
              dict(params=biases, lr=recipe["lr"] * factor, weight_decay=recipe["wd"] / factor)]
    return torch.optim.SGD([g for g in groups if g["params"]], momentum=recipe["momentum"],
                           nesterov=True, fused=True)


def make_images(torch, pad, count=5000):
    """Random bytes, normalised and reflect-padded once, as the published scripts do."""
    pixels = torch.randint(0, 256, (count, 3, 32, 32)).float()
    pixels = (pixels - 125.0) / 63.0
    padded = torch.nn.functional.pad(pixels, (pad,) * 4, mode="reflect")
    return padded.permute(0, 2, 3, 1).contiguous(), torch.randint(0, 10, (count,))


def cut_batch(torch, images, labels, batch, recipe):
    """A random batch: crop, flip, cutout, by one gather; returns channels_last images."""
    pad, side = recipe["pad"], 32
    chosen = torch.randint(0, len(images), (batch,))
    shift = torch.randint(0, 2 * pad + 1, (2, batch, 1))
    along = torch.arange(side).expand(batch, side)
    flipped = torch.rand(batch, 1) < 0.5
    rows = along + shift[0]
    columns = torch.where(flipped, side - 1 - along, along) + shift[1]
    x = images[chosen[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if recipe["cutout"]:
        corner = torch.randint(0, side - recipe["cutout"] + 1, (2, batch, 1))
        inside = [(along >= c) & (along < c + recipe["cutout"]) for c in corner]
        hole = inside[0][:, :, None] & inside[1][:, None, :]
        x = x.masked_fill(hole[:, None], 0.0)
    return x, labels[chosen]


if __name__ == "__main__":
    main()

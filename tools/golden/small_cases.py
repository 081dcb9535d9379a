"""Cases that need no network: the optimiser and the loss, with worst-case error bounds.

Every bound here is a running error analysis (Wilkinson): beside each value stands how far a
single-precision evaluation can be from it, u = 2^-24 per operation.
"""
import numpy as np
import torch
from torch.nn import functional as F

import philox

SEED = 1
U = 2.0**-24
COUNT = 37


def sgd_case():
    """Ten steps of torch.optim.SGD for each combination of options, a new rate at each step."""
    runs = []
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.85, True)):
        for weight_decay in (0.0, 0.02):
            runs.append(sgd_run(momentum, nesterov, weight_decay))
    return {"seed": SEED, "count": COUNT, "runs": runs}


def test_values(stream, low, high):
    u = philox.uniform(SEED, stream, 0, COUNT)
    return (low + (high - low) * u).astype(np.float32).astype(np.float64)


def sgd_run(momentum, nesterov, weight_decay):
    w = torch.nn.Parameter(torch.from_numpy(test_values(100, -1, 1)))
    optimizer = torch.optim.SGD([w], lr=1.0, momentum=momentum, nesterov=nesterov,
                                weight_decay=weight_decay)
    m, m_error, w_error = np.zeros(COUNT), np.zeros(COUNT), np.zeros(COUNT)
    rates = [0.1 / (1 + step) for step in range(10)]
    for step, lr in enumerate(rates):
        before, g = w.detach().numpy().copy(), test_values(101 + step, -2, 2)
        optimizer.param_groups[0]["lr"] = lr
        w.grad = torch.from_numpy(g)
        optimizer.step()
        # d = g + weight_decay * w; m = momentum * m + d; w -= lr * step. Each product and sum
        # rounds once, and so do the options when they become single precision: 3 u per product.
        d = g + weight_decay * before
        d_error = weight_decay * w_error + U * (3 * abs(weight_decay * before) + abs(d))
        m_error = momentum * m_error + d_error + U * 4 * abs(momentum * m)
        m = momentum * m + d
        m_error += U * abs(m)
        size, error = abs(m), m_error
        if nesterov:
            size = abs(d) + momentum * abs(m)
            error = d_error + momentum * m_error + U * 4 * size
        w_error = w_error + lr * error + U * (4 * lr * size + abs(before) + lr * size)
    return {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay,
            "lr": rates, "values": w.detach().numpy().tolist(),
            "bounds": (1.01 * w_error).tolist()}


ROWS = 5  # the tensor of the LARS case is [ROWS, COLUMNS]
COLUMNS = 9


def lars_case():
    """Ten steps of LARS per layer and per filter: torch.optim.SGD on scaled gradients."""
    runs = [lars_run(scope, momentum, nesterov, weight_decay, trust, eps)
            for scope, trust, eps in (("layer", 0.02, 1e-8), ("filter", 0.5, 0.01))
            for momentum, nesterov in ((0.0, False), (0.9, False), (0.85, True))
            for weight_decay in (0.0, 0.02)]
    return {"seed": SEED, "rows": ROWS, "columns": COLUMNS, "runs": runs}


def lars_values(stream, low, high):
    u = philox.uniform(SEED, stream, 0, ROWS * COLUMNS)
    x = (low + (high - low) * u).astype(np.float32).astype(np.float64)
    return x.reshape(ROWS, COLUMNS)


def lars_ratio(scope, w, g, weight_decay, trust, eps):
    """The factor of each row, and the length of its weights; one for all per layer."""
    axis = None if scope == "layer" else 1
    w_norm = np.sqrt((w * w).sum(axis=axis, keepdims=True))
    g_norm = np.sqrt((g * g).sum(axis=axis, keepdims=True))
    decay = weight_decay * w_norm if scope == "layer" else 0.0
    return np.broadcast_to(trust * w_norm / (g_norm + decay + eps), (ROWS, 1)), w_norm


def lars_run(scope, momentum, nesterov, weight_decay, trust, eps):
    w = torch.nn.Parameter(torch.from_numpy(lars_values(300, -1, 1)))
    optimizer = torch.optim.SGD([w], lr=1.0, momentum=momentum, nesterov=nesterov)
    m, m_error = np.zeros((ROWS, COLUMNS)), np.zeros((ROWS, COLUMNS))
    w_error = np.zeros((ROWS, COLUMNS))
    axis = None if scope == "layer" else 1
    rates = [0.5 / (1 + step) for step in range(10)]
    for step, lr in enumerate(rates):
        before, g = w.detach().numpy().copy(), lars_values(301 + step, -2, 2)
        ratio, w_norm = lars_ratio(scope, before, g, weight_decay, trust, eps)
        d = g + weight_decay * before
        optimizer.param_groups[0]["lr"] = lr
        w.grad = torch.from_numpy(ratio * d)
        optimizer.step()
        # d as in sgd_run; |w| is off by at most |w_error|, the ratio by that relative error (its
        # denominator only damps it) and a rounding; the product rounds once more.
        d_error = weight_decay * w_error + U * (3 * abs(weight_decay * before) + abs(d))
        off = np.sqrt((w_error * w_error).sum(axis=axis, keepdims=True)) / w_norm
        s = ratio * d
        s_error = ratio * d_error * (1 + 4 * U) + abs(s) * (off + 2 * U)
        m_error = momentum * m_error + s_error + U * 4 * abs(momentum * m)
        m = momentum * m + s
        m_error += U * abs(m)
        size, error = abs(m), m_error
        if nesterov:
            size = abs(s) + momentum * abs(m)
            error = s_error + momentum * m_error + U * 4 * size
        w_error = w_error + lr * error + U * (4 * lr * size + abs(before) + lr * size)
    return {"scope": scope, "trust": trust, "eps": eps, "momentum": momentum,
            "nesterov": nesterov, "weight_decay": weight_decay, "lr": rates,
            "values": w.detach().numpy().reshape(-1).tolist(),
            "bounds": (1.01 * w_error).reshape(-1).tolist()}


def loss_case():
    """Cross-entropy over 10 and 100 classes, with and without smoothing, with large logits."""
    runs = []
    for classes in (10, 100):
        for smoothing in (0.0, 0.2):
            for size in (1.0, 30.0):
                runs.append(loss_run(classes, smoothing, size))
    return {"seed": SEED, "images": COUNT, "runs": runs}


def loss_run(classes, smoothing, size):
    u = philox.uniform(SEED, 200, classes, COUNT * classes)
    logits = ((2 * u - 1) * size).astype(np.float32).astype(np.float64).reshape(COUNT, classes)
    labels = philox.labels(SEED, 201, classes, COUNT, classes)
    x = torch.from_numpy(logits).requires_grad_()
    losses = F.cross_entropy(x, torch.from_numpy(labels), label_smoothing=smoothing,
                             reduction="none")
    losses.sum().backward()
    # x - max rounds once (u * 2 size), which exp turns into a relative error; exp itself is good
    # to 4 u; the sum over classes adds at most `classes` u, the quotient and difference 3 u.
    relative = U * (2 * size + 4 + classes + 3)
    p = torch.softmax(x.detach(), 1).numpy()
    target = smoothing / classes + (1 - smoothing) * (np.arange(classes) == labels[:, None])
    gradient_bound = relative * p + 4 * U * (p + target)
    # log of a sum with that relative error, then a mean of terms at most 2 size in magnitude.
    loss_bound = relative + U * (classes + 4) * (4 * size + np.log(classes))
    return {"classes": classes, "smoothing": smoothing, "size": size, "labels": labels.tolist(),
            "losses": losses.detach().numpy().tolist(), "loss_bound": loss_bound,
            "gradient": x.grad.numpy().reshape(-1).tolist(),
            "gradient_bound": float(gradient_bound.max())}


CASES = {"sgd": sgd_case, "lars": lars_case, "cross_entropy": loss_case}

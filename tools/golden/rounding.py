"""How far may a single-precision implementation be from the truth? Measured, not guessed.

The truth is a run in double precision. A rounding model is then put into that run, in PyTorch, by
replacing the convolutions, linear layers and batch norms of a network by noisy ones: every sum of
k products gets an error of standard deviation

    u * sqrt(k) * (|sum| + sqrt(sum of squared terms)),        u = 2^-24.

Adding k terms one after the other, in any order, makes k rounding errors, each at most u times a
partial sum. As random variables they add up to at most u * sqrt(k) * (largest partial sum)
(Higham and Mary 2019, "A new approach to probabilistic rounding error analysis"), and a partial
sum of independent terms stays within a few |sum| + sqrt(sum of squared terms). Blocked sums and
sums with several accumulators do better. Elementwise steps between sums (activation, pooling,
addition, normalisation) are covered by a relative error of 8 u on what the next layer reads, in
both passes.

The largest change that some draws of this noise cause in a tensor is the bound for that tensor.
It includes what no forward error analysis gives: how the network itself amplifies errors, in
depth, over optimiser steps, and through a maximum that moves to its neighbour.
"""
import torch
from torch import nn
from torch.nn import functional as F

U = 2.0**-24
ELEMENTWISE = 8 * U


def draw(like):
    return torch.randn(like.shape, dtype=like.dtype)


def rough_sum(value, squares, k):
    """`value` with the error of a sum of k terms whose squares sum up to `squares`."""
    return value + U * k**0.5 * draw(value) * (value.abs() + squares.clamp_min(0).sqrt())


class NoisyConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, stride, padding):
        x = x * (1 + ELEMENTWISE * draw(x))
        ctx.save_for_backward(x, w)
        ctx.has_bias, ctx.stride, ctx.padding = b is not None, stride, padding
        y = F.conv2d(x, w, b, stride, padding)
        return rough_sum(y, F.conv2d(x * x, w * w, None, stride, padding), w[0].numel() + 1)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        dy = dy * (1 + ELEMENTWISE * draw(dy))
        out_terms = w.shape[0] * w.shape[2] * w.shape[3]
        pixels = dy.shape[0] * dy.shape[2] * dy.shape[3]
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            grad = lambda a, c: nn.grad.conv2d_input(x.shape, a, c, ctx.stride, ctx.padding)
            dx = rough_sum(grad(w, dy), grad(w * w, dy * dy), out_terms)
        if ctx.needs_input_grad[1]:
            grad = lambda a, c: nn.grad.conv2d_weight(a, w.shape, c, ctx.stride, ctx.padding)
            dw = rough_sum(grad(x, dy), grad(x * x, dy * dy), pixels)
        if ctx.has_bias:
            db = rough_sum(dy.sum((0, 2, 3)), (dy * dy).sum((0, 2, 3)), pixels)
        return dx, dw, db, None, None


def over(x):
    return x.sum((0, 2, 3))


class NoisyNorm(torch.autograd.Function):
    """Batch norm of one group with its own statistics, or with given ones (mean, var)."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps, mean, var):
        k = x.numel() // x.shape[1]
        ctx.batch = mean is None
        if ctx.batch:
            mean = rough_sum(over(x), over(x * x), k) / k
            centred = x - mean[:, None, None]
            var = rough_sum(over(centred**2), over(centred**4), k) / k
        rstd = (var + eps).rsqrt()
        normal = (x - mean[:, None, None]) * rstd[:, None, None]
        ctx.save_for_backward(normal, weight, rstd)
        ctx.mark_non_differentiable(mean, var)
        return normal * weight[:, None, None] + bias[:, None, None], mean, var

    @staticmethod
    def backward(ctx, dy, *_):
        normal, weight, rstd = ctx.saved_tensors
        k = dy.numel() // dy.shape[1]
        dy = dy * (1 + ELEMENTWISE * draw(dy))
        dbias = rough_sum(over(dy), over(dy * dy), k)
        dscale = rough_sum(over(dy * normal), over((dy * normal)**2), k)
        dx = dy
        if ctx.batch:
            dx = dy - (dbias[:, None, None] + normal * dscale[:, None, None]) / k
        return dx * (weight * rstd)[:, None, None], dscale, dbias, None, None, None


def conv_forward(module, x):
    return NoisyConv.apply(x, module.weight, module.bias, module.stride, module.padding)


def linear_forward(module, x):
    y = NoisyConv.apply(x[:, :, None, None], module.weight[:, :, None, None], module.bias,
                        (1, 1), (0, 0))
    return y[:, :, 0, 0]


def norm_forward(module, x, groups):
    n, parts, means, variances = len(x), [], [], []
    for g in range(groups):
        part = x[g * n // groups:(g + 1) * n // groups]
        k = part.numel() // part.shape[1]
        y, mean, var = NoisyNorm.apply(part, module.weight, module.bias, module.eps, None, None)
        parts.append(y)
        means.append(mean)
        variances.append(var * (k / (k - 1)))
    with torch.no_grad():
        module.running_mean.lerp_(torch.stack(means).mean(0), module.momentum)
        module.running_var.lerp_(torch.stack(variances).mean(0), module.momentum)
        module.num_batches_tracked += 1
    return torch.cat(parts)


def frozen_norm_forward(module, x):
    return NoisyNorm.apply(x, module.weight, module.bias, module.eps, module.running_mean,
                           module.running_var)[0]


def make_noisy(net):
    """Replaces the forward functions of a network's layers by ones that round."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.forward = lambda x, m=module: conv_forward(m, x)
        elif isinstance(module, nn.Linear):
            module.forward = lambda x, m=module: linear_forward(m, x)
        elif type(module).__name__ == "FrozenBatchNorm":
            module.forward = lambda x, m=module: frozen_norm_forward(m, x)
        elif isinstance(module, nn.BatchNorm2d):
            groups = getattr(module, "groups", 1)
            module.forward = lambda x, m=module, g=groups: norm_forward(m, x, g)
    return net

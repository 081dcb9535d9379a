"""The network of tests/golden/every_layer.net in PyTorch: a small one with every type of layer and
every option, odd channel counts, and rows that floor-mode pools drop."""
import torch
from torch import nn
from torch.nn import functional as F


class GhostBatchNorm(nn.BatchNorm2d):
    """Batch norm over `groups` contiguous groups of images: group g of n images has the images
    g*n//groups ... (g+1)*n//groups - 1. The running statistics move by the mean over groups."""

    def __init__(self, channels, groups, **options):
        super().__init__(channels, **options)
        self.groups = groups

    def forward(self, x):
        n, parts, means, variances = len(x), [], [], []
        for g in range(self.groups):
            part = x[g * n // self.groups:(g + 1) * n // self.groups]
            parts.append(F.batch_norm(part, None, None, self.weight, self.bias, True, 0, self.eps))
            means.append(part.detach().mean(dim=(0, 2, 3)))
            variances.append(part.detach().var(dim=(0, 2, 3), unbiased=True))
        with torch.no_grad():
            self.running_mean.lerp_(torch.stack(means).mean(0), self.momentum)
            self.running_var.lerp_(torch.stack(variances).mean(0), self.momentum)
        return torch.cat(parts)


class FrozenBatchNorm(nn.BatchNorm2d):
    """Normalises with the running statistics in training too, and never moves them."""

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias,
                            False, 0, self.eps)


def fixed_scale(norm):
    norm.weight.requires_grad_(False)
    return norm


class EveryLayer(nn.Module):
    INPUT = (3, 14, 14)

    def __init__(self, classes=10):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 8, 2).requires_grad_(False)
        self.conv1 = nn.Conv2d(8, 12, 3, padding=1, bias=False)
        self.norm1 = fixed_scale(nn.BatchNorm2d(12, eps=1e-12, momentum=0.4))
        self.conv2 = nn.Conv2d(12, 12, 3, padding=1, bias=False)
        self.norm2 = GhostBatchNorm(12, groups=4)
        self.conv3 = nn.Conv2d(12, 12, 1)
        self.norm3 = FrozenBatchNorm(12)
        self.conv4 = nn.Conv2d(12, 20, 3, stride=2, padding=1, bias=False)
        self.norm4 = nn.BatchNorm2d(20, eps=1e-3, momentum=0.3)
        self.conv5 = nn.Conv2d(20, 20, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(12, 20, 1, stride=2, bias=False)
        self.norm5 = nn.BatchNorm2d(20)
        self.norm5.bias.requires_grad_(False)
        self.conv6 = nn.Conv2d(20, 20, 2)
        self.conv7 = nn.Conv2d(20, 17, 2, bias=False)
        self.linear = nn.Linear(77, classes)

    def forward(self, x):
        x = F.gelu(self.conv0(x))                                    # 8 x 13 x 13
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))       # 12 x 6 x 6
        y = self.norm3(self.conv3(F.silu(self.norm2(self.conv2(x)))))
        # PyTorch's backward pass rounds 1 / alpha to single precision: 1/4 does not show it.
        x = F.celu(x + y, alpha=0.25)
        y = self.conv5(F.relu(self.norm4(self.conv4(x))))            # 20 x 3 x 3
        x = F.relu(y + self.norm5(self.shortcut(x)))
        parts = [self.conv6(F.avg_pool2d(x, 2, 1)), self.conv7(F.max_pool2d(x, 2, 1)),
                 F.max_pool2d(x, 3), F.avg_pool2d(x, 3)]             # 1 x 1 each
        return self.linear(torch.cat(parts, dim=1).flatten(1)) * 0.125

"""The zoo's networks as PyTorch modules, written from their publications and not from nets/*.net.

Two things stand on this file: the speed comparison (torch_step.py) and the golden files
(tools/make-golden.py). Attribute names are chosen so that state_dict() has the names that kiln's
checkpoints have.

Sources: dawn and resnet9: Page 2018, "How to train your ResNet" (cifar10-fast, experiments.ipynb
and dawn.py). airbench94, 95 and 96: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single
GPU" (legacy SGD scripts). resnet20: He et al. 2015, section 4.2, option A replaced by projection.
resnet18: the CIFAR version with 3x3 stem (kuangliu/pytorch-cifar), as in Jordan's cifar10-zoo.
"""
import torch
from torch import nn
from torch.nn import functional as F


def conv(c, k, size=3, stride=1, bias=False):
    return nn.Conv2d(c, k, size, stride, padding=size // 2, bias=bias)


class Dawn(nn.Module):
    """Page's baseline: a pre-activation ResNet whose shortcut leaves after the first norm."""

    class Block(nn.Module):
        def __init__(self, c, k, stride):
            super().__init__()
            self.norm1 = nn.BatchNorm2d(c)
            self.conv1 = conv(c, k, stride=stride)
            self.norm2 = nn.BatchNorm2d(k)
            self.conv2 = conv(k, k)
            self.shortcut = conv(c, k, 1, stride) if stride != 1 or c != k else nn.Identity()

        def forward(self, x):
            o = F.relu(self.norm1(x))
            return self.conv2(F.relu(self.norm2(self.conv1(o)))) + self.shortcut(o)

    def __init__(self, classes=10):
        super().__init__()
        self.prep = nn.ModuleDict({"conv": conv(3, 64)})
        c = 64
        for i, (k, stride) in enumerate([(64, 1), (128, 2), (256, 2), (256, 2)]):
            self.add_module(f"layer{i + 1}", nn.Sequential(self.Block(c, k, stride),
                                                           self.Block(k, k, 1)))
            c = k
        self.linear = nn.Linear(2 * c, classes)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.prep["conv"](x)))))
        x = torch.cat([F.max_pool2d(x, 4), F.avg_pool2d(x, 4)], dim=1)
        return self.linear(x.flatten(1))


class ResNet9(nn.Module):
    """Page's dawn.py network: residual branches after layers 1 and 3, no activation on the sum."""

    class Unit(nn.Module):
        def __init__(self, c, k, pool=False, residual=False):
            super().__init__()
            self.conv = conv(c, k)
            self.norm = nn.BatchNorm2d(k)
            self.pool = pool
            if residual:
                self.res1 = ResNet9.Unit(k, k)
                self.res2 = ResNet9.Unit(k, k)
            self.residual = residual

        def forward(self, x):
            x = F.relu(self.norm(self.conv(x)))
            if self.pool:
                x = F.max_pool2d(x, 2)
            return x + self.res2(self.res1(x)) if self.residual else x

    def __init__(self, classes=10):
        super().__init__()
        self.prep = self.Unit(3, 64)
        self.layer1 = self.Unit(64, 128, pool=True, residual=True)
        self.layer2 = self.Unit(128, 256, pool=True)
        self.layer3 = self.Unit(256, 512, pool=True, residual=True)
        self.linear = nn.Linear(512, classes, bias=False)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.prep(x))))
        return self.linear(F.max_pool2d(x, 4).flatten(1)) * 0.125


class Airbench(nn.Module):
    """airbench94 (64, 256, 256; depth 2), 95 (128, 384, 384) and 96 (128, 384, 512; depth 3)."""

    class Group(nn.Module):
        def __init__(self, c, k, depth, momentum):
            super().__init__()
            for i in range(depth):
                self.add_module(f"conv{i + 1}", conv(c if i == 0 else k, k))
                norm = nn.BatchNorm2d(k, eps=1e-12, momentum=momentum)
                norm.weight.requires_grad_(False)
                self.add_module(f"norm{i + 1}", norm)
            self.depth = depth

        def forward(self, x):
            x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
            if self.depth == 2:
                return F.gelu(self.norm2(self.conv2(x)))
            y = F.gelu(self.norm2(self.conv2(x)))
            return F.gelu(self.norm3(self.conv3(y)) + x)

    def __init__(self, widths=(64, 256, 256), depth=2, momentum=0.4, classes=10):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2, bias=True)
        self.whiten.weight.requires_grad_(False)
        groups = [self.Group(c, k, depth, momentum)
                  for c, k in zip((24,) + tuple(widths), widths)]
        self.layers = nn.Sequential(nn.GELU(), *groups, nn.MaxPool2d(3))
        self.head = nn.Linear(widths[-1], classes, bias=False)

    def forward(self, x):
        return self.head(self.layers(self.whiten(x)).flatten(1)) * (1 / 9)


class ResNet(nn.Module):
    """Post-activation ResNet of basic blocks with a 3x3 stem."""

    class Block(nn.Module):
        def __init__(self, c, k, stride):
            super().__init__()
            self.conv1 = conv(c, k, stride=stride)
            self.bn1 = nn.BatchNorm2d(k)
            self.conv2 = conv(k, k)
            self.bn2 = nn.BatchNorm2d(k)
            self.shortcut = nn.Sequential()
            if stride != 1 or c != k:
                self.shortcut = nn.Sequential(conv(c, k, 1, stride), nn.BatchNorm2d(k))

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            return F.relu(y + self.shortcut(x))

    def __init__(self, widths, blocks, classes=10):
        super().__init__()
        self.conv1 = conv(3, widths[0])
        self.bn1 = nn.BatchNorm2d(widths[0])
        c, self.stages = widths[0], len(widths)
        for i, k in enumerate(widths):
            stage = [self.Block(c if b == 0 else k, k, 2 if i > 0 and b == 0 else 1)
                     for b in range(blocks)]
            self.add_module(f"layer{i + 1}", nn.Sequential(*stage))
            c = k
        self.linear = nn.Linear(c, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.linear(x.mean(dim=(2, 3)))


NETWORKS = {
    "dawn": Dawn,
    "resnet9": ResNet9,
    "airbench94": Airbench,
    "airbench95": lambda: Airbench((128, 384, 384)),
    "airbench96": lambda: Airbench((128, 384, 512), depth=3, momentum=0.1),
    "resnet20": lambda: ResNet((16, 32, 64), 3),
    "resnet18": lambda: ResNet((64, 128, 256, 512), 2),
}


def make(name):
    return NETWORKS[name]()

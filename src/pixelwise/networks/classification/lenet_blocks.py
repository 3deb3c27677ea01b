"""The parts of LeNet-5 (LeCun et al. 1998, section II.B): its connection table, its layers, and its targets."""

import hashlib
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import SpecError

C3_CONNECTIONS: tuple[tuple[int, ...], ...] = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
"""Table I: which of the six maps of S2 each of the sixteen maps of C3 sees."""

DIGITS = """
..###.. ...##.. .#####. ####### .##..## ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## .....## .##..## ##..... .##.... .....## ##...## ##..###
##...## .####.. ##...## ....##. ###..## ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## ...##.. ##...## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..####. ##...## ######. ######. ...##.. .#####. ##..###
##...## ...##.. ...##.. .....## ##..### .....## ###..## ...##.. ##...## .######
##...## ...##.. ..##... .....## .###### .....## ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## .....## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## .....## ##...## ###..## ..##... ##...## ....##.
..###.. .###### ####### .#####. .....## .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""
"""The targets of the ten digits, 7x12 pixels each, as in figure 3."""


class PartialConvolution(nn.Module):
    """C3: each output map sees only some of the input maps (table I).

    Maps with equally many inputs form one grouped convolution, so parameters and multiply-adds are the table's own.
    """

    sources: Tensor

    def __init__(self, connections: tuple[tuple[int, ...], ...], kernel: int) -> None:
        super().__init__()
        fan_ins = [len(inputs) for inputs in connections]
        if sorted(fan_ins) != fan_ins:
            raise SpecError(
                "a connection table out of order", expected="rows with few inputs first", do="Sort the rows"
            )
        self.sizes: list[int] = []
        self.groups = nn.ModuleList()
        for fan_in in sorted(set(fan_ins)):
            maps = fan_ins.count(fan_in)
            self.sizes.append(maps * fan_in)
            self.groups.append(nn.Conv2d(maps * fan_in, maps, kernel, groups=maps))
        flat = [source for inputs in connections for source in inputs]
        self.register_buffer("sources", torch.tensor(flat), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 6, H, W) to (N, 16, H - 4, W - 4)."""
        parts = x[:, self.sources].split(self.sizes, dim=1)
        return torch.cat([group(part) for group, part in zip(self.groups, parts, strict=True)], dim=1)


class Subsampling(nn.Module):
    """S2 and S4: the sum of each 2x2 block, times a trainable gain, plus a trainable bias, one of each per map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))
        for parameter in (self.gain, self.bias):  # four inputs to each unit: appendix A's rule
            nn.init.uniform_(parameter, -2.4 / 4, 2.4 / 4)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H / 2, W / 2)."""
        total = F.avg_pool2d(x, 2, divisor_override=1)
        return total * self.gain[:, None, None] + self.bias[:, None, None]


class FullConnection(nn.Sequential):
    """F6, and those that may follow it: (..., in) to (..., out); the parts bear the numbers of weights files."""

    def __init__(self, in_features: int, out_features: int, act: nn.Module) -> None:
        super().__init__(OrderedDict({"1": nn.Linear(in_features, out_features), "2": act}))


class RBFOutput(nn.Module):
    """Minus the squared Euclidean distances of a vector to fixed targets of +-1 (equation 7, with its sign turned)."""

    targets: Tensor

    def __init__(self, targets: Tensor) -> None:
        super().__init__()
        self.register_buffer("targets", targets)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., units) to (..., classes); 0 is the best possible value."""
        products = x @ self.targets.T
        return 2 * products - x.square().sum(-1, keepdim=True) - self.targets.square().sum(1)


def rbf_targets(num_classes: int, units: int) -> Tensor:
    """Give the output's targets (num_classes, units) of +-1: the digits' bitmaps for 10 and 84, else codes."""
    if (num_classes, units) == (10, 84):
        lines = [line.split() for line in DIGITS.strip().splitlines()]
        bitmaps = ["".join(line[digit] for line in lines) for digit in range(10)]
        return torch.tensor([[1.0 if pixel == "#" else -1.0 for pixel in bitmap] for bitmap in bitmaps])
    codes = [hashlib.shake_256(f"class {index}".encode()).digest(units) for index in range(num_classes)]
    return torch.tensor([[1.0 if byte & 1 else -1.0 for byte in code] for code in codes])

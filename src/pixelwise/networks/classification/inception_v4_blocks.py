"""The stem, the first reduction and the head that Inception-v4 shares with the Inception-ResNets of the same paper.

Paper: Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the impact of residual connections on
learning", AAAI 2017, arXiv:1602.07261: figure 3 (stem), figure 7 and table 1
(reduction A).

===================== === === === ===
table 1, maps         k   l   m   n
===================== === === === ===
Inception-v4          192 224 256 384
Inception-ResNet-v1   192 192 256 384
Inception-ResNet-v2   256 256 384 384
===================== === === === ===
"""

from typing import Final, Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.dense import slide_linear
from pixelwise.layers.inception import Branches, Conv, Scaling, chain
from pixelwise.layers.sizes import smallest_side
from pixelwise.layers.trunk import last_map, run_trunk
from pixelwise.specs import Network, Paper, Published

PAPER: Final = Paper(
    title="Inception-v4, Inception-ResNet and the impact of residual connections on learning",
    authors="C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi",
    year=2016,
    venue="AAAI 2017",
    link="arXiv:1602.07261",
)

FactorOrder = Literal["code", "figures"]
"""Whether rows and columns of factorised windows come in the order of the released code, or of the figures."""

WINDOWS: Final = ((3, 2), (3, 1), (3, 2), (3, 1), (3, 2), (3, 2), (3, 2))
"""(side, step) of the unpadded layers: five of the stem, whichever it is, and the two reductions."""


def paper_errors(protocol: str, top1: float, top5: float) -> tuple[Published, Published]:
    """Return errors in percent on the validation images, as the paper's tables give them."""
    dataset, source = "ILSVRC-2012 val", "paper"
    return (
        Published(dataset=dataset, metric="top-1 error %", value=top1, protocol=protocol, source=source),
        Published(dataset=dataset, metric="top-5 error %", value=top5, protocol=protocol, source=source),
    )


def turned(order: FactorOrder, height: int, width: int) -> tuple[int, int]:
    """Return a kernel of the figures, on its side where the released code has it so."""
    return (height, width) if order == "figures" else (width, height)


def stem(in_channels: int, order: FactorOrder, d: Scaling) -> tuple[dict[str, nn.Module], int]:
    """Make figure 3, from (N, in_channels, 299, 299) to (N, 384, 35, 35); return its rows by name, and maps.

    Two of its poolings have a strided convolution beside them, and one of its 3x3 convolutions a second path with 7x7
    windows. The figure leaves out the stride of the last convolution, without which its sizes do not fit.
    """
    pooled = d(64) + d(96)
    column, row = Conv(d(64), turned(order, 7, 1)), Conv(d(64), turned(order, 1, 7))
    rows: dict[str, nn.Module] = {
        "1_3x3/2V": Conv(d(32), 3, 2, valid=True).build(in_channels),
        "2_3x3V": Conv(d(32), 3, valid=True).build(d(32)),
        "3_3x3": Conv(d(64), 3).build(d(32)),
        "mixed3": Branches(nn.MaxPool2d(3, stride=2), chain(d(64), Conv(d(96), 3, 2, valid=True))),
        "mixed4": Branches(
            chain(pooled, Conv(d(64), 1), Conv(d(96), 3, valid=True)),
            chain(pooled, Conv(d(64), 1), column, row, Conv(d(96), 3, valid=True)),
        ),
        "mixed5": Branches(chain(2 * d(96), Conv(d(192), 3, 2, valid=True)), nn.MaxPool2d(3, stride=2)),
    }
    return rows, d(192) + 2 * d(96)


class ReductionA(Branches):
    """Figure 7, from 35x35 to 17x17, with ``k``, ``l``, ``m`` and ``n`` of table 1."""

    def __init__(self, in_channels: int, maps: tuple[int, int, int, int], d: Scaling) -> None:
        k, l, m, n = map(d, maps)  # noqa: E741 - the table's letters
        super().__init__(
            chain(in_channels, Conv(n, 3, 2, valid=True)),
            chain(in_channels, Conv(k, 1), Conv(l, 3), Conv(m, 3, 2, valid=True)),
            nn.MaxPool2d(3, stride=2),
        )
        self.out_channels = n + m + in_channels


class InceptionNetwork(Network):
    """Direct children that follow one another, of which the last three are ``gap``, ``dropout`` and ``fc``."""

    gap: nn.AdaptiveAvgPool2d
    dropout: nn.Dropout
    fc: nn.Linear

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the last maps of every size; for Inception-v4 (N, 64, 147, 147) to (N, 1536, 8, 8) from 299x299."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        x = self.gap(last_map(self, x))  # (N, C, 1, 1)
        return self.fc(self.dropout(torch.flatten(x, 1)))

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, h, w) at every place of the last map; their mean is :meth:`forward`."""
        return slide_linear(self.fc, last_map(self, x))

    def check_size(self, *size: int) -> None:
        """Refuse images of which the unpadded layers leave nothing."""
        height, width = size
        smallest = smallest_side(WINDOWS)
        if min(height, width) < smallest:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {smallest} x {smallest}",
                do="Enlarge the images, or choose a network for small images such as resnet20_cifar",
            )

"""What GoogLeNet is made of: inception modules in both forms of figure 2, and auxiliary classifiers."""

from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor, nn

from pixelwise.layers.convolution import Normalisation
from pixelwise.layers.inception import Branches, Conv, Scaling

AUXILIARY_DROPOUT: Final = 0.7
AUXILIARY_MAPS, AUXILIARY_UNITS, AUXILIARY_SIDE = 128, 1024, 4

ModuleForm = Literal["reduced", "naive"]
AuxiliaryPool = Literal["strided", "adaptive"]


class Row(NamedTuple):
    """An inception module's columns of table 1: numbers of maps."""

    name: str
    maps_1x1: int
    reduce_3x3: int
    maps_3x3: int
    reduce_5x5: int
    maps_5x5: int
    projection: int


class Inception(Branches):
    """Figure 2: convolutions of three sizes and maximum pooling over the same maps, one behind the other.

    In the reduced form (b), 1x1 convolutions come before the larger ones and after the pooling. The naive form (a)
    lacks them, so that its pooling passes on as many maps as came in.

    Args:
        in_channels: maps of the input.
        row: the module's columns.
        form: ``reduced`` or ``naive``.
        largest: side of the largest convolution: 5, or 3 in torchvision's form.
        normalisation: of every convolution.
        scale: from the table's numbers of maps to this network's.

    """

    def __init__(
        self,
        in_channels: int,
        row: Row,
        *,
        form: ModuleForm,
        largest: Literal[3, 5],
        normalisation: Normalisation,
        scale: Scaling,
    ) -> None:
        def branch(*sizes: tuple[int, int]) -> nn.Sequential:
            """Chain convolutions of (maps, side); a naive module has the last only."""
            channels, parts = in_channels, []
            for maps, side in sizes if form == "reduced" else sizes[-1:]:
                parts.append(Conv(scale(maps), side).build(channels, normalisation))
                channels = scale(maps)
            return nn.Sequential(*parts)

        pool = nn.MaxPool2d(3, stride=1, padding=1)
        projected = form == "reduced"
        super().__init__(
            ("1x1", branch((row.maps_1x1, 1))),
            ("3x3", branch((row.reduce_3x3, 1), (row.maps_3x3, 3))),
            ("5x5", branch((row.reduce_5x5, 1), (row.maps_5x5, largest))),
            ("pool", nn.Sequential(pool, *branch((row.projection, 1))) if projected else pool),
        )
        own = scale(row.maps_1x1) + scale(row.maps_3x3) + scale(row.maps_5x5)
        self.out_channels = own + (scale(row.projection) if projected else in_channels)


class AuxiliaryHead(nn.Module):
    """Section 5: pooling to 4x4, 1x1 convolution with 128 maps, 1024 units, dropout of 70 %, classifier.

    Args:
        in_channels: maps of the input.
        num_classes: number of logits.
        pool: ``strided``: means of 5x5 pixels with stride 3, which are 4x4 for maps of 14 to 16 pixels; ``adaptive``:
            means of a 4x4 grid, for maps of every size.
        normalisation: of the convolution.
        scale: from the paper's numbers of maps and units to this network's.

    """

    def __init__(
        self, in_channels: int, num_classes: int, *, pool: AuxiliaryPool, normalisation: Normalisation, scale: Scaling
    ) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=3) if pool == "strided" else nn.AdaptiveAvgPool2d(AUXILIARY_SIDE)
        self.conv = Conv(scale(AUXILIARY_MAPS), 1).build(in_channels, normalisation)
        self.fc1 = nn.Linear(scale(AUXILIARY_MAPS) * AUXILIARY_SIDE**2, scale(AUXILIARY_UNITS))
        self.act = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(AUXILIARY_DROPOUT)
        self.fc2 = nn.Linear(scale(AUXILIARY_UNITS), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, 14, 14) to logits (N, num_classes)."""
        x = self.conv(self.pool(x))  # (N, 128, 4, 4)
        x = self.act(self.fc1(torch.flatten(x, 1)))  # (N, 1024)
        return self.fc2(self.dropout(x))

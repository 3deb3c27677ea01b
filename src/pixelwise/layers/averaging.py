"""Networks that end in the mean over their last maps and one full connection: ResNet's form, which most have kept."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.dense import slide_linear
from pixelwise.layers.trunk import last_map, run_trunk
from pixelwise.specs import Network


class AveragingNetwork(Network):
    """Direct children that follow one another; the last two are the mean and the full connection ``fc``."""

    fc: nn.Linear
    for_small_pictures: ClassVar[str]
    """The row to choose where pictures are too small for another."""

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the maps at the end of every stage, (N, C, H / stride, W / stride) rounded up, of x (N, C', H, W)."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        *_, mean, _ = self.children()
        x = mean(last_map(self, x))  # (N, C, 1, 1)
        return self.fc(torch.flatten(x, 1))

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, h, w) at every place of the last map; their mean is :meth:`forward`."""
        return slide_linear(self.fc, last_map(self, x))

    def check_size(self, *size: int) -> None:
        """Refuse images smaller than the total stride: their last map would be all padding."""
        height, width = size
        smallest = self.stages[-1].stride
        if min(height, width) < smallest:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {smallest} x {smallest}",
                do=f"Enlarge the images, or choose a network for small images such as {self.for_small_pictures}",
            )

"""Where a picture lies in the input of a network whose output is smaller than its input.

The U-Net of 2015 convolves without padding: 572 x 572 pixels in, 388 x 388 out. So that its answer covers a whole
picture, the picture is surrounded with its mirror image (Ronneberger, Fischer and Brox 2015, section 2, figure 2).

The border is rounded up to a multiple of the largest stride, so that the picture starts on the network's pooling
lattice: where the network sees nothing but the picture, its answer is the same as without a border.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.specs import Network


@dataclass(frozen=True, slots=True)
class Placement:
    """A picture's place in the input, and that of its answer in the output, both in pixels."""

    top: int
    left: int
    bottom: int
    right: int
    """Mirrored rows and columns on each side of the picture."""
    start: tuple[int, int]
    """Row and column of the output that belong to the picture's first pixel."""

    def surround(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Put the mirror image around (H, W, C); the outermost pixels are the mirrors and are not repeated."""
        if not (self.top or self.left or self.bottom or self.right):
            return picture
        return np.pad(picture, ((self.top, self.bottom), (self.left, self.right), (0, 0)), mode="reflect")


def place(network: Network, height: int, width: int) -> Placement:
    """Find the smallest input of ``network`` whose output covers ``height`` x ``width`` on the pooling lattice.

    Raises:
        SpecError: the network takes no such picture.

    """
    wanted = (height, width)
    size = network.input_size_for(*wanted)
    if size == wanted:
        return Placement(0, 0, 0, 0, (0, 0))
    margins = [(given - got) // 2 for given, got in zip(size, network.output_size(*size), strict=True)]
    stride = max(stage.stride for stage in network.stages)
    shift_y, shift_x = (-margin % stride for margin in margins)
    rows, columns = network.input_size_for(height + shift_y, width + shift_x)
    top, left = margins[0] + shift_y, margins[1] + shift_x
    return Placement(top, left, rows - height - top, columns - width - left, (shift_y, shift_x))

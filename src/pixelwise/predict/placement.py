"""Where a picture lies in the input of a network that takes, or answers, other sizes than the picture's.

The U-Net of 2015 convolves without padding: 572 x 572 pixels in, 388 x 388 out. So that its answer covers a whole
picture, the picture is surrounded with its mirror image (Ronneberger, Fischer and Brox 2015, section 2, figure 2).

Networks that fill pictures up to a multiple of their stride by themselves are given them filled up, at the bottom and
the right, with the mirror image as well: it is what they were trained on, and zeros there would be an edge that no
picture has.

The border of unpadded networks is rounded up to a multiple of the largest stride, so that the picture starts on the
network's pooling lattice: where the network sees nothing but the picture, its answer is the same as without a border.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.specs import Network


@dataclass(frozen=True, slots=True)
class Placement:
    """A picture's place in the input, and that of its answer in the output, in pixels along each axis."""

    before: tuple[int, ...]
    """Mirrored pixels before the picture: above it, and to its left."""
    after: tuple[int, ...]
    """Mirrored pixels behind it."""
    start: tuple[int, ...]
    """Place of the output that belongs to the picture's first pixel."""

    def surround(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Put the mirror image around (*size, C); the outermost pixels are the mirrors and are not repeated."""
        if not (any(self.before) or any(self.after)):
            return picture
        return np.pad(picture, (*zip(self.before, self.after, strict=True), (0, 0)), mode="reflect")


def place(network: Network, *size: int) -> Placement:
    """Find the smallest input of ``network`` whose output covers a picture of ``size`` on the pooling lattice.

    Raises:
        SpecError: the network takes no such picture.

    """
    nothing = (0,) * len(size)
    needed = network.input_size_for(*size)
    if needed == size:
        filled = network.filled_size(*size)
        return Placement(nothing, tuple(total - side for total, side in zip(filled, size, strict=True)), nothing)
    margins = [(given - got) // 2 for given, got in zip(needed, network.output_size(*needed), strict=True)]
    stride = max(stage.stride for stage in network.stages)
    start = tuple(-margin % stride for margin in margins)
    needed = network.input_size_for(*(side + shift for side, shift in zip(size, start, strict=True)))
    before = tuple(margin + shift for margin, shift in zip(margins, start, strict=True))
    after = tuple(total - side - first for total, side, first in zip(needed, size, before, strict=True))
    return Placement(before, after, start)

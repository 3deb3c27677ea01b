"""How touching objects are kept apart, and what a network is then asked to say of each pixel.

========== ===================================================== ==================================================
``border`` one more output: the rim of every object              the interiors of neighbours do not touch; they are
                                                                 grown back over the rims
``weights`` the classes alone, objects that touch drawn apart,   Ronneberger, Fischer and Brox, "U-Net", 2015,
           and a loss in which the background between            section 3, equation 2; what was taken from objects
           neighbours counts more                                is given back to them (the step ``grow``)
``none``   the classes alone                                     touching objects are divided by their shape only
========== ===================================================== ==================================================

The rim of an object is those of its pixels that lie within ``border_px`` of a pixel that is not its own, a neighbour's
or the background's, along rows and columns or diagonally (Chebyshev's distance). It lies inside the object, so that
rims of touching objects lie side by side; beyond the picture's edge nothing is known, and there is no rim along it. An
object of at most twice ``border_px`` across has no interior: it is all rim.

Objects that touch are drawn apart by making those of their pixels background that touch another object by a side or a
corner: a gap of two pixels.
"""

from typing import Final, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Separation = Literal["border", "weights", "none"]
SEPARATIONS: Final[tuple[Separation, ...]] = get_args(Separation)

BORDER_PX: Final = 2
"""How wide a rim is unless it is said otherwise: between touching objects it is twice as wide."""


CONTACT_PX: Final = 1
"""How much each of two objects that touch gives to the background between them, for ``weights``."""


def rims(objects: Tensor, border_px: int) -> Tensor:
    """Return which pixels are the rim of an object.

    Args:
        objects: (N, H, W) numbers of objects, 0 for none.
        border_px: how far a rim reaches into its object.

    Returns:
        (N, H, W) bool.

    """
    numbers = objects.float().unsqueeze(1)
    window, reach = 2 * border_px + 1, border_px
    highest = F.max_pool2d(numbers, window, stride=1, padding=reach)
    lowest = -F.max_pool2d(-numbers, window, stride=1, padding=reach)
    return torch.logical_and(objects > 0, (highest != lowest).squeeze(1))


def contacts(objects: Tensor) -> Tensor:
    """Return which pixels of objects touch another one, as :func:`pixelwise.data.weight_map.separate_touching` finds.

    Args:
        objects: (N, H, W) numbers of objects, 0 for none.

    Returns:
        (N, H, W) bool.

    """
    numbers = objects.float().unsqueeze(1)
    window = 2 * CONTACT_PX + 1
    highest = F.max_pool2d(numbers, window, stride=1, padding=CONTACT_PX)
    others = numbers.masked_fill(numbers <= 0, torch.inf)
    lowest = -F.max_pool2d(-others, window, stride=1, padding=CONTACT_PX)
    return torch.logical_and(objects > 0, (highest != lowest).squeeze(1))

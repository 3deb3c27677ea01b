"""The part of a label map that a network's output speaks of."""

from torch import Tensor

from pixelwise.errors import SpecError


def crop_to_logits(target: Tensor, logits: Tensor) -> Tensor:
    """Crop label maps centrally to the size of the logits.

    Networks of valid convolutions lose a border of equal width on all sides (Ronneberger et al., "U-Net", 2015, figure
    2: 572 in, 388 out); of an odd difference the smaller half goes at the top and left.

    Args:
        target: (N, H, W).
        logits: (N, C, h, w) with h <= H and w <= W.

    Returns:
        (N, h, w), a view.

    Raises:
        SpecError: the logits are larger than the label maps.

    """
    (height, width), (out_height, out_width) = target.shape[-2:], logits.shape[-2:]
    if out_height > height or out_width > width:
        raise SpecError(
            f"The network's output of {out_height} x {out_width} is larger than the label map of {height} x {width}",
            expected="an output of the label map's size, or its central part",
            do="Check the network's last layers",
        )
    top, left = (height - out_height) // 2, (width - out_width) // 2
    return target[..., top : top + out_height, left : left + out_width]

"""The part of a label map that a network's output speaks of."""

from collections.abc import Sequence

from torch import Tensor

from pixelwise.errors import SpecError


def crop_to_logits(target: Tensor, logits: Tensor) -> Tensor:
    """Crop label maps centrally to the size of the logits.

    Networks of valid convolutions lose a border of equal width on all sides (Ronneberger et al., "U-Net", 2015, figure
    2: 572 in, 388 out); of an odd difference the smaller half goes at the top and left.

    Args:
        target: (N, H, W), or (N, D, H, W) of volumes.
        logits: (N, C, h, w) with h <= H and w <= W, or (N, C, d, h, w).

    Returns:
        (N, h, w) or (N, d, h, w), a view.

    Raises:
        SpecError: the logits are larger than the label maps.

    """
    size, output = target.shape[1:], logits.shape[2:]
    if any(side > whole for side, whole in zip(output, size, strict=True)):
        raise SpecError(
            f"The network's output of {_show(output)} is larger than the label map of {_show(size)}",
            expected="an output of the label map's size, or its central part",
            do="Check the network's last layers",
        )
    for axis, (side, whole) in enumerate(zip(output, size, strict=True), start=1):
        target = target.narrow(axis, (whole - side) // 2, side)
    return target


def _show(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))

"""Objects that a network is not shown, because their pictures are cut before they reach it."""

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.boxes import NO_BOX, in_view, parse_box, relative
from pixelwise.data.manifest import Manifest
from pixelwise.data.preprocess import Preprocess


def hidden_objects(manifest: Manifest, preprocess: Preprocess, indices: NDArray[np.int64]) -> int:
    """Count the pictures with a box of which the network's view shows nothing; 0 for manifests without boxes.

    Args:
        manifest: of any task.
        preprocess: of the network; only ``resize="crop"`` leaves parts of a picture out.
        indices: of the pictures.

    """
    if manifest.task != "localisation" or preprocess.resize != "crop":
        return 0
    heights, widths = manifest.column("height"), manifest.column("width")
    return sum(_is_hidden(manifest, preprocess, index, int(heights[index]), int(widths[index])) for index in indices)


def _is_hidden(manifest: Manifest, preprocess: Preprocess, index: int, height: int, width: int) -> bool:
    box = in_view(parse_box(manifest.annotations[index]), preprocess, height, width)
    return relative(box, *preprocess.output_size(height, width)) == NO_BOX

"""Dividing touching objects: a watershed from seeds (Meyer, "Topographic distance and watershed lines", 1994).

Seeds are either where an object is thickest (the maxima of each pixel's distance to the piece's outline) or, for
networks that tell the rims of objects, the interiors that the rims leave over. From them objects grow within the piece
until they meet.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import UsageError
from pixelwise.predict.postprocess.steps import JOINED_BY_SIDES, Piece, PieceStep, require

Seeds = Literal["thickest", "interior"]
Ground = Literal["distance", "probability"]

_FAR_PX = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Watershed(PieceStep):
    """Divide a piece into the objects that grow from its seeds.

    Attributes:
        seeds: ``thickest``: pixels that are at least as far from the piece's outline as any within ``min_distance``;
            ``interior``: where objects without their rims have a probability of more than one half.
        on: what they grow over first: pixels far from the outline (``distance``), or pixels that are an object with
            a high probability, rims last (``probability``).
        min_distance: seeds nearer to each other than this, in pixels, are one; for ``thickest``.
        seed_area: fewest pixels of a seed; for ``interior``.

    """

    name: ClassVar[str] = "watershed"

    seeds: Seeds = "thickest"
    on: Ground = "distance"
    min_distance: int = 5
    seed_area: int = 5

    def __post_init__(self) -> None:
        """Refuse words and numbers that mean nothing."""
        require(self.seeds in get_args(Seeds), self, "seeds", "thickest or interior")
        require(self.on in get_args(Ground), self, "on", "distance or probability")
        require(self.min_distance >= 1, self, "min_distance", "at least 1 pixel")
        require(self.seed_area >= 1, self, "seed_area", "at least 1 pixel")

    def apply(self, piece: Piece) -> NDArray[np.int32]:
        """Return a label for each object, in the order of their seeds; one object where there are no two seeds."""
        inside = piece.labels > 0
        if inside.sum() < (2 * self.seed_area if self.seeds == "interior" else 2):
            return piece.labels
        distance = _distance(inside, piece.edges)
        seeds = self._thickest(distance, inside) if self.seeds == "thickest" else self._interiors(piece, inside)
        if seeds.max() < 2:
            return piece.labels
        ground = distance if self.on == "distance" else 1 - piece.values[0] - _rim(piece)
        return grow(-ground, seeds, inside)

    def _thickest(self, distance: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.int32]:
        around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * self.min_distance + 1,) * 2)
        peaks = inside & (distance >= cv2.dilate(distance, around))
        near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * (self.min_distance // 2) + 1,) * 2)
        joined = cv2.dilate(peaks.astype(np.uint8), near)  # a plateau is one seed, even where it is broken
        return np.where(peaks, cv2.connectedComponents(joined, connectivity=8)[1], 0).astype(np.int32)

    def _interiors(self, piece: Piece, inside: NDArray[np.bool_]) -> NDArray[np.int32]:
        inner = inside & (1 - piece.values[0] - _rim(piece) > 0.5)
        _, seeds, stats, _ = cv2.connectedComponentsWithStats(inner.astype(np.uint8), connectivity=JOINED_BY_SIDES)
        enough = stats[:, cv2.CC_STAT_AREA] >= self.seed_area
        enough[0] = False
        return (np.cumsum(enough) * enough)[seeds].astype(np.int32)


def grow(height: NDArray[Any], seeds: NDArray[np.int32], inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Flood from seeds over a height map, the lowest pixels first, within a mask; all (h, w).

    Raises:
        UsageError: scikit-image is not installed.

    """
    return np.asarray(require_watershed()(height, seeds, mask=inside, connectivity=1), np.int32)


def require_watershed() -> Any:
    """Return scikit-image's watershed.

    Raises:
        UsageError: it is not installed.

    """
    try:
        from skimage.segmentation import watershed
    except ImportError:
        raise UsageError(
            "watershed needs scikit-image, which is not installed",
            expected="the extra 'instances'",
            do='Run: pip install "pixelwise[instances]", or choose steps without watershed (--post fill_holes)',
        ) from None
    return watershed


def _distance(inside: NDArray[np.bool_], edges: tuple[bool, bool, bool, bool]) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest one outside the piece; beyond the picture's edge nothing is outside."""
    top, bottom, left, right = (int(not edge) for edge in edges)
    padded = np.pad(inside.astype(np.uint8), ((top, bottom), (left, right)))
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = distance[top : top + inside.shape[0], left : left + inside.shape[1]]
    return np.minimum(distance, np.float32(_FAR_PX))


def _rim(piece: Piece) -> NDArray[np.float32]:
    """Probability of a rim, 0 where the network does not tell any."""
    rims = piece.values[piece.num_classes :]
    return rims[0] if len(rims) else np.zeros(piece.labels.shape, np.float32)

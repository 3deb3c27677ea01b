r"""One spatial transform, composed into one sampling grid and applied once to an image and once to its label map.

Output pixel (i, j) samples the picture at

.. math:: s(i, j) = o + M \binom{i}{j} + \sum_{k,l} u_k(i)\, v_l(j)\, L_{kl}

with an affine part (2 x 2 matrix M, origin o) and, where there is one, an elastic part: displacements L of an n x n
lattice, interpolated bicubically. Bicubic weights are separable, and so are the constant and the two ramps of the
affine part, so that each coordinate of the whole grid is one product of three matrices,

.. math:: S = [U, 1, i]\; K\; [V, 1, j]^T, \qquad
          K = \begin{pmatrix} L & 0 & 0 \\ 0 & o & M_{\cdot 2} \\ 0 & M_{\cdot 1} & 0 \end{pmatrix}

with U of shape (h, n) and V of shape (w, n). Only the output's pixels are ever computed, so a crop costs what the crop
costs. Coordinates follow :mod:`pixelwise.data.resample`: pixel centres are whole numbers.

The lattice is that of the U-Net paper (Ronneberger, Fischer, Brox 2015, section 3.1): "random displacement vectors on
a coarse 3 by 3 grid [...] sampled from a Gaussian distribution with 10 pixels standard deviation. Per-pixel
displacements are then computed using bicubic interpolation". The kernel is that of cubic convolution with a = -1/2
(Keys 1981, eq. 15), which reproduces straight lines exactly; nodes beyond the lattice's rim continue it linearly.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelwise.data.label_planes import OUTSIDE, resize_labels, sample_labels
from pixelwise.data.resample import (
    SIDE_LIMIT_PX,
    Border,
    reduce_image,
    resize_image,
    resize_linear,
    sample_image,
)
from pixelwise.data.windows import Pixels, WindowedArray
from pixelwise.errors import ImageError

Matrix = tuple[tuple[float, float], tuple[float, float]]

_ROUNDING_PX = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Warp:
    """Where every output pixel samples the picture; see the module's formula."""

    height: int
    width: int
    """Size of the result in pixels."""
    matrix: Matrix
    """M: source (row, column) per output (row, column)."""
    origin: tuple[float, float]
    """o: source position of output pixel (0, 0), before the elastic part."""
    lattice: NDArray[np.float64] | None = None
    """L, (n, n, 2): displacement (row, column) of each node in source pixels; n >= 2."""
    frame: tuple[int, int, int, int] = (0, 0, 1, 1)
    """Top, left, height, width in output pixels of the frame whose corner pixels are the lattice's corner nodes; where
    there is a lattice, the frame covers the output."""
    border: Border = "mirror"

    @classmethod
    def window(cls, start: tuple[int, int], size: tuple[int, int]) -> "Warp":
        """Cut out what begins at ``start``; beyond the picture there is its mirror image."""
        top, left = map(float, start)
        return cls(height=size[0], width=size[1], matrix=((1.0, 0.0), (0.0, 1.0)), origin=(top, left))

    def positions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Source rows and source columns, each (height, width): S of the module's formula."""
        nodes = 0 if self.lattice is None else len(self.lattice)
        left = np.empty((self.height, nodes + 2), np.float64)
        right = np.empty((self.width, nodes + 2), np.float64)
        top_px, left_px, frame_height, frame_width = self.frame
        for factor, start, length in ((left, top_px, frame_height), (right, left_px, frame_width)):
            steps = len(factor)
            factor[:, nodes] = 1
            factor[:, nodes + 1] = np.arange(steps)
            if nodes:
                factor[:, :nodes] = _frame_weights(length, nodes)[-start : steps - start]
        core = np.zeros((2, nodes + 2, nodes + 2))
        if self.lattice is not None:
            core[:, :nodes, :nodes] = self.lattice.transpose(2, 0, 1)
        core[:, nodes, nodes] = self.origin
        core[:, nodes + 1, nodes] = (self.matrix[0][0], self.matrix[1][0])
        core[:, nodes, nodes + 1] = (self.matrix[0][1], self.matrix[1][1])
        narrow = left.astype(np.float32)
        rows, columns = (narrow @ (half @ right.T).astype(np.float32) for half in core)
        return rows, columns

    def apply(
        self, image: Pixels, label_map: Pixels | None, *, fill: tuple[float, ...] = ()
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Sample an image (H, W, C) linearly and its label map (H, W) by the nearest pixel, at the same positions.

        Flips, quarter turns and shifts by whole pixels are copied without any interpolation, to the bit. An upright
        window of whole pixels is resized. Everything else goes through the sampling grid. Where the picture shrinks by
        two or more, blocks of the whole factor are averaged first, so that fine texture does not alias. Of pictures
        that are read where they are cut, just the part is read that the result shows.

        Args:
            image: uint8, uint16 or float32.
            label_map: class indices of the same height and width, or planes (:mod:`pixelwise.data.label_planes`), whose
                weight is sampled linearly; or None.
            fill: value of each channel outside the picture, for ``border="fill"``; labels are ignored (255) there.

        Raises:
            ImageError: one output would reach over more of the picture than OpenCV can address.

        """
        if self._exact():
            return (
                np.ascontiguousarray(self._copied(image, fill)),
                None if label_map is None else np.ascontiguousarray(self._copied(label_map, OUTSIDE)),
            )
        window = self._window(*image.shape[:2])
        if window is not None:
            labels = None if label_map is None else self._resized(label_map, window, are_labels=True)
            return self._resized(image, window), labels
        return self._sampled(image, label_map, fill)

    def _exact(self) -> bool:
        """Whether the transform only moves whole pixels: a signed permutation and a whole origin."""
        if self.lattice is not None:
            return False
        (a, b), (c, d) = self.matrix
        straight = abs(a) == 1 and abs(d) == 1 and b == 0 and c == 0
        turned = abs(b) == 1 and abs(c) == 1 and a == 0 and d == 0
        return (straight or turned) and all(value == round(value) for value in self.origin)

    def _copied(self, array: Pixels, fill: tuple[float, ...]) -> NDArray[Any]:
        """Copy whole pixels: take the source's window, turn it, flip it."""
        (a, b), (c, d) = self.matrix
        turned = a == 0
        extents = (self.width, self.height) if turned else (self.height, self.width)
        signs = (b, c) if turned else (a, d)
        starts = [
            int(origin) if sign > 0 else int(origin) - extent + 1
            for origin, sign, extent in zip(self.origin, signs, extents, strict=True)
        ]
        window = _take(array, (starts[0], starts[1]), extents, self.border, fill)
        if signs[0] < 0 and signs[1] < 0:
            window = cv2.flip(window, -1)
        elif signs[0] < 0 or signs[1] < 0:
            window = cv2.flip(window, 0 if signs[0] < 0 else 1)
        if turned:
            window = cv2.transpose(window)
        return window.reshape(self.height, self.width, *array.shape[2:])

    def _window(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """Top, bottom, left, right of the upright window of whole pixels that the output shows, if it is one."""
        (a, b), (c, d) = self.matrix
        if self.lattice is not None or b != 0 or c != 0:
            return None
        edges: list[int] = []
        for origin, step, extent, limit in (
            (self.origin[0], a, self.height, height),
            (self.origin[1], d, self.width, width),
        ):
            first = origin + 0.5 - step / 2
            low, high = sorted((first, first + step * extent))
            if low < -_ROUNDING_PX or high > limit + _ROUNDING_PX:
                return None
            if abs(low - round(low)) > _ROUNDING_PX or abs(high - round(high)) > _ROUNDING_PX:
                return None
            edges += [round(low), round(high)]
        return edges[0], edges[1], edges[2], edges[3]

    def _resized(self, array: Pixels, window: tuple[int, int, int, int], *, are_labels: bool = False) -> NDArray[Any]:
        top, bottom, left, right = window
        cut = array[top:bottom, left:right]
        (a, _), (_, d) = self.matrix
        if are_labels:
            resized = resize_labels(cut, self.height, self.width)
        elif max(abs(a), abs(d)) >= 2:
            resized = resize_image(cut, self.height, self.width)
        else:
            resized = resize_linear(cut, self.height, self.width)
        if a < 0 or d < 0:
            code = -1 if a < 0 and d < 0 else (0 if a < 0 else 1)
            resized = cv2.flip(resized, code).reshape(resized.shape)
        return resized

    def _sampled(
        self, image: Pixels, label_map: Pixels | None, fill: tuple[float, ...]
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        rows, columns = self.positions()
        labels = None
        if label_map is not None:
            labels = sample_labels(*self._near(label_map, rows, columns), border=self.border)
        factors = (_whole_factor(self.matrix[0]), _whole_factor(self.matrix[1]))
        if max(factors) > 1:
            source = self._reduced(image, rows, columns, factors, fill)
        else:
            source = self._near(image, rows, columns)
        return sample_image(*source, border=self.border, fill=fill), labels

    def _near(
        self, array: Pixels, rows: NDArray[np.float32], columns: NDArray[np.float32]
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Leave out of a large picture what no sample touches."""
        height, width = array.shape[:2]
        is_large = max(height, width) > SIDE_LIMIT_PX or height * width > 2 * self.height * self.width
        if isinstance(array, WindowedArray) or is_large:
            top, bottom = _reach(rows, height)
            left, right = _reach(columns, width)
            array = array[top:bottom, left:right]
            rows, columns = rows - np.float32(top), columns - np.float32(left)
        self._check_reach(array)
        return array, rows, columns

    def _reduced(
        self,
        image: Pixels,
        rows: NDArray[np.float32],
        columns: NDArray[np.float32],
        factors: tuple[int, int],
        fill: tuple[float, ...],
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Average whole blocks of the part that the samples lie in, surroundings included."""
        starts, extents, positions = [], [], []
        for grid, factor in zip((rows, columns), factors, strict=True):
            start = int(np.floor(grid.min())) - factor
            blocks = (int(np.ceil(grid.max())) - start) // factor + 2
            starts.append(start)
            extents.append(blocks * factor)
            positions.append((grid - np.float32(start - 0.5)) / np.float32(factor) - np.float32(0.5))
        part = _take(image, (starts[0], starts[1]), (extents[0], extents[1]), self.border, fill)
        reduced = reduce_image(part, factors)
        self._check_reach(reduced)
        return reduced, positions[0], positions[1]

    def _check_reach(self, source: NDArray[Any]) -> None:
        if max(*source.shape[:2], self.height, self.width) > SIDE_LIMIT_PX:
            raise ImageError(
                f"A warp from {source.shape[0]} x {source.shape[1]} to {self.height} x {self.width} pixels",
                expected=f"at most {SIDE_LIMIT_PX} pixels along each side",
                do="Set a crop, or resize the pictures",
            )


def lattice_weights(positions: NDArray[np.float64], nodes: int) -> NDArray[np.float64]:
    """Weights of ``nodes`` equidistant nodes at positions between 0 and nodes - 1: shape (len(positions), nodes).

    Cubic convolution, a = -1/2 (Keys 1981, eq. 15). The two nodes that the kernel needs beyond the ends continue the
    first and the last two nodes linearly, f(-1) = 2 f(0) - f(1), so constants and straight lines come out exactly.
    """
    cell = np.clip(np.floor(positions), 0, nodes - 2).astype(np.intp)
    t = positions - cell
    kernel = (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    padded = np.zeros((len(positions), nodes + 2))
    every = np.arange(len(positions))
    for offset, weights in enumerate(kernel):
        padded[every, cell + offset] = weights
    inner = padded[:, 1:-1].copy()
    inner[:, 0] += 2 * padded[:, 0]
    inner[:, 1] -= padded[:, 0]
    inner[:, -1] += 2 * padded[:, -1]
    inner[:, -2] -= padded[:, -1]
    return inner


@lru_cache(maxsize=64)
def _frame_weights(length: int, nodes: int) -> NDArray[np.float64]:
    """Weights of pixels 0 .. length - 1, when the lattice's outermost nodes are the first and the last of them."""
    weights = lattice_weights(np.arange(length, dtype=np.float64) * ((nodes - 1) / max(length - 1, 1)), nodes)
    weights.setflags(write=False)
    return weights


def mirrored(indices: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Fold indices into 0 .. length - 1 by reflection about the centres of the first and the last pixel."""
    if length == 1:
        return np.zeros_like(indices)
    period = 2 * (length - 1)
    folded = np.abs(indices) % period
    return np.minimum(folded, period - folded)


def _take(
    array: Pixels, start: tuple[int, int], extents: tuple[int, int], border: Border, fill: tuple[float, ...]
) -> NDArray[Any]:
    """Cut a window of whole pixels that may reach beyond the array."""
    spans = [slice(first, first + extent) for first, extent in zip(start, extents, strict=True)]
    inside = all(span.start >= 0 and span.stop <= limit for span, limit in zip(spans, array.shape, strict=False))
    if inside:
        return array[spans[0], spans[1]]
    if border == "mirror":
        rows, columns = (
            mirrored(np.arange(span.start, span.stop), limit) for span, limit in zip(spans, array.shape, strict=False)
        )
        top, left = int(rows.min()), int(columns.min())
        part = array[top : int(rows.max()) + 1, left : int(columns.max()) + 1]
        return part[rows - top][:, columns - left]
    window = np.empty((*extents, *array.shape[2:]), array.dtype)
    window[...] = np.asarray(fill).astype(array.dtype) if array.ndim == 3 else fill[0]
    target, source = [], []
    for span, limit in zip(spans, array.shape, strict=False):
        low, high = min(max(span.start, 0), limit), max(min(span.stop, limit), 0)
        source.append(slice(low, max(high, low)))
        target.append(slice(low - span.start, max(high, low) - span.start))
    window[target[0], target[1]] = array[source[0], source[1]]
    return window


def _whole_factor(row: tuple[float, float]) -> int:
    """How many source pixels, rounded down, one output pixel spans along a source axis."""
    return max(int(np.hypot(*row)), 1)


def _reach(positions: NDArray[np.float32], length: int) -> tuple[int, int]:
    """First and last + 1 source index that sampling touches, wide enough for what is mirrored at the picture's ends."""
    low, high = float(positions.min()), float(positions.max())
    first, last = max(int(np.floor(low)), 0), min(int(np.floor(high)) + 2, length)
    if low < 0:
        last = max(last, min(int(np.ceil(-low)) + 2, length))
    if high > length - 1:
        first = min(first, max(int(np.floor(2 * (length - 1) - high)) - 1, 0))
    return min(first, length - 1), max(last, first + 1, 1)

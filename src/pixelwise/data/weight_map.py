r"""The U-Net paper's weight map: what each pixel's cost counts, with ridges between neighbouring objects.

Source: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015, section 3,
equation 2:

.. math:: w(x) = w_c(x) + w_0 \exp\left(-\frac{(d_1(x) + d_2(x))^2}{2 \sigma^2}\right)

with w_0 = 10 and sigma of about 5 pixels. What the paper leaves open is read as published code reads it:

- d_1 and d_2 are the Euclidean distances from the pixel's centre to the centre of the nearest pixel of the nearest and
  of the second nearest object: 1 for a pixel that shares a side with the object.
- The second term is that of the background. Inside objects it is 0: they weigh w_c.
- With fewer than two objects there is no second nearest one, and the second term is 0 everywhere.
- w_c has one value for each class. It is given (from the whole training set, say) or balances this one image: n / (K
  n_c) with n_c of its n labelled pixels in class c and K classes that occur, so that every class weighs the same in
  sum, and the mean of w_c is 1.
- Objects that touch have no background between them that could weigh more; :func:`separate_touching` makes some.
- Ignored pixels weigh 0. They are background to the distances, unless they belong to an object.

Where both distances together exceed 5.26 sigma the second term is below w_0 / 10^6. An object therefore matters only in
its box widened by that much: each is given a distance transform of that part alone, and two running minima hold the
nearest and the second nearest distance. That is exact within the radius; beyond it less than w_0 / 10^6 is left out.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pixelwise.data.masks import IGNORE
from pixelwise.errors import DataError, UsageError

NEGLIGIBLE = 1e-6
"""Share of w_0 below which the second term is left out."""
SIGMA_PX = 5.0
"""The paper's sigma."""
RADIUS_PX = SIGMA_PX * math.sqrt(-2 * math.log(NEGLIGIBLE))
"""Where both distances together are larger than that, the second term is left out; for the paper's sigma."""


def weight_map(
    instances: NDArray[Any],
    *,
    label_map: NDArray[Any] | None = None,
    class_weights: Sequence[float] | None = None,
    w0: float = 10.0,
    sigma: float = SIGMA_PX,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.float32]:
    """Return the weight of each pixel or voxel.

    Args:
        instances: (H, W) or (D, H, W) integers, one number for each object, 0 for the background.
        label_map: the same shape, class indices, 255 where ignored; None = background 0, objects 1.
        class_weights: w_c of each class; None = balance the classes of this image.
        w0: height of the ridges.
        sigma: their width, in pixels, or in the unit of ``spacing``.
        spacing: distance between neighbours along each axis; None = 1 everywhere.

    Returns:
        The same shape, >= 0; 0 where ignored.

    Raises:
        DataError: arrays of another form than said above.
        UsageError: a negative weight or w0, a sigma or spacing that is not positive, too few class weights.

    """
    _check(instances, label_map, w0, sigma, spacing)
    labels = (instances > 0).astype(np.uint8) if label_map is None else label_map
    weights = _class_table(labels, class_weights)[labels]
    if w0 > 0 and instances.any():
        _add_ridges(weights, instances, w0, sigma, spacing)
    if label_map is not None:
        weights[label_map == IGNORE] = 0
    return weights


def separating_weights(
    instances: NDArray[Any], label_map: NDArray[np.uint8], class_weights: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Return the weights of a picture in which objects that touch are drawn apart; see :func:`separate_touching`.

    Args:
        instances: as for :func:`weight_map`.
        label_map: the same shape, class indices, 255 where ignored, with touching objects as they are.
        class_weights: as for :func:`weight_map`.

    """
    apart = separate_touching(instances)
    return weight_map(apart, label_map=drawn_apart(label_map, apart), class_weights=class_weights)


def drawn_apart(label_map: NDArray[np.uint8], apart: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a label map whose objects are those that :func:`separate_touching` left."""
    return np.where((label_map != IGNORE) & (apart == 0), np.uint8(0), label_map)


def connected_objects(label_map: NDArray[Any]) -> NDArray[np.int32]:
    """Number the connected components of each class above 0, across all classes.

    Pixels belong together where they share a side (voxels: a face); touching at a corner does not join. This is how
    objects are had from a mask whose touching objects were drawn apart.

    Args:
        label_map: (H, W) or (D, H, W) class indices, 0 the background, 255 ignored.

    Returns:
        The same shape: 1, 2, ... for the objects, 0 elsewhere.

    """
    numbers = np.zeros(label_map.shape, np.int32)
    count = 0
    for index in np.unique(label_map):
        if index not in (0, IGNORE):
            parts, found = scipy.ndimage.label(label_map == index)
            numbers += np.where(parts > 0, parts + count, 0).astype(np.int32)
            count += found
    return numbers


def separate_touching(instances: NDArray[Any]) -> NDArray[Any]:
    """Put background between objects that touch, as the weight map needs: where there is none, it can raise none.

    "The separation border is computed using morphological operations" (section 3 of the paper, without saying which).
    Here pixels that touch another object by a side, an edge or a corner become background: a border of two pixels, one
    from each. An object that touches others all over, such as a line of one pixel between two, is gone.

    Args:
        instances: as for :func:`weight_map`.

    Returns:
        A copy, the same numbers.

    """
    largest = np.iinfo(instances.dtype).max
    highest = scipy.ndimage.maximum_filter(instances, size=3, mode="nearest")
    lowest = scipy.ndimage.minimum_filter(np.where(instances > 0, instances, largest), size=3, mode="nearest")
    return np.where((instances > 0) & (highest == lowest), instances, instances.dtype.type(0))


def close_contacts(
    instances: NDArray[np.int32], *, reach_px: int = 1, is_open: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """Give objects the background between them back that :func:`separate_touching` took.

    A pixel of the background goes to the nearest object within ``reach_px`` of it where another object lies within
    twice that (distances along rows, columns or diagonals; of objects equally near to the one above, then to the left).
    Nothing grows where an object has no neighbour, none grows over another, and what it gets does not depend on the
    numbers.

    Args:
        instances: (H, W), one number for each object, 0 for the background.
        reach_px: 1 for what :func:`separate_touching` takes.
        is_open: (H, W), where pixels may be given away; None = everywhere.

    Returns:
        A copy, the same numbers.

    """
    height, width = instances.shape
    window = 4 * reach_px + 1
    none = np.iinfo(np.int32).max
    highest = scipy.ndimage.maximum_filter(instances, size=window, mode="constant")
    lowest = np.where(instances > 0, instances, np.int32(none))
    lowest = scipy.ndimage.minimum_filter(lowest, size=window, mode="constant", cval=none)
    left = (instances == 0) & (highest > lowest)
    if is_open is not None:
        left &= is_open
    padded = np.pad(instances, reach_px)
    closed = instances.copy()
    steps = range(-reach_px, reach_px + 1)
    for down, right in sorted(((y, x) for y in steps for x in steps), key=lambda step: (math.hypot(*step), step)):
        top, side = reach_px + down, reach_px + right
        near = padded[top : top + height, side : side + width]
        taken = left & (near > 0)
        np.copyto(closed, near, where=taken)
        left &= ~taken
    return closed


def balanced_class_weights(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return w_c that balance the classes of an image: n / (K n_c), 0 for those that do not occur.

    Args:
        counts: pixels of every value of a label map, ``IGNORE`` among them.

    """
    counted = counts.astype(np.float64)
    counted[IGNORE] = 0
    table = np.zeros(len(counted), np.float32)
    occurring = np.flatnonzero(counted)
    table[occurring] = counted.sum() / (len(occurring) * counted[occurring])
    return table


def _class_table(labels: NDArray[Any], given: Sequence[float] | None) -> NDArray[np.float32]:
    """Return w_c for every value of ``labels``, IGNORE among them."""
    counts = np.bincount(labels.ravel(), minlength=IGNORE + 1)
    if given is None:
        return balanced_class_weights(counts)
    counts[IGNORE] = 0
    table = np.zeros(len(counts), np.float32)
    occurring = np.flatnonzero(counts)
    if any(not (math.isfinite(weight) and weight >= 0) for weight in given):
        raise UsageError(f"class_weights={tuple(given)}", expected="numbers of at least 0", do="Correct them")
    if len(occurring) and occurring[-1] >= len(given):
        raise UsageError(
            f"class_weights has {len(given)} weights, but the label map holds class {occurring[-1]}",
            expected="one weight for each class",
            do="Give as many weights as there are classes",
        )
    table[: len(given)] = given
    return table


def _add_ridges(
    weights: NDArray[np.float32], instances: NDArray[Any], w0: float, sigma: float, spacing: Sequence[float] | None
) -> None:
    radius = sigma * math.sqrt(-2 * math.log(NEGLIGIBLE))
    numbers = _small_numbers(instances)
    boxes = [(number, box) for number, box in enumerate(scipy.ndimage.find_objects(numbers), start=1) if box]
    if len(boxes) < 2:
        return
    margins = [math.ceil(radius / step) for step in spacing or (1,) * instances.ndim]
    first = np.full(instances.shape, np.inf, np.float32)
    second = first.copy()
    for number, box in boxes:
        part = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(box, margins, strict=True))
        distance = _distance(numbers[part] != number, spacing)
        nearest, next_nearest = first[part], second[part]
        np.minimum(next_nearest, np.maximum(nearest, distance), out=next_nearest)
        np.minimum(nearest, distance, out=nearest)
    background = (second < np.inf) & (numbers == 0)
    # In single precision the last digits of distances and of exp depend on where an array lies in memory.
    near, next_near = (one[background].astype(np.float64) for one in (first, second))
    if spacing is None:  # squares of distances are whole numbers
        near, next_near = (np.sqrt(np.rint(one**2)) for one in (near, next_near))
    weights[background] += (w0 * np.exp((near + next_near) ** 2 * (-0.5 / sigma**2))).astype(np.float32)


def _distance(outside: NDArray[np.bool_], spacing: Sequence[float] | None) -> NDArray[np.float32]:
    """Exact Euclidean distance to the nearest element that is not ``outside``."""
    if outside.ndim == 2 and spacing is None:  # several times faster than SciPy
        return np.asarray(cv2.distanceTransform(outside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
    return scipy.ndimage.distance_transform_edt(outside, sampling=spacing).astype(np.float32)


def _small_numbers(instances: NDArray[Any]) -> NDArray[Any]:
    """Number objects anew where their numbers are so large that a list of them all would not serve."""
    if instances.max() <= instances.size:
        return instances.astype(np.int32, copy=False)
    values, places = np.unique(instances, return_inverse=True)
    shift = 0 if values[0] == 0 else 1
    return places.reshape(instances.shape).astype(np.int32) + np.int32(shift)


def _check(
    instances: NDArray[Any], label_map: NDArray[Any] | None, w0: float, sigma: float, spacing: Sequence[float] | None
) -> None:
    if instances.ndim not in (2, 3) or instances.dtype.kind not in "iu":
        raise DataError(
            f"instances has shape {instances.shape} and type {instances.dtype}",
            expected="(H, W) or (D, H, W) integers",
            do="Give each object a whole number, and the background 0",
        )
    if instances.size and instances.min() < 0:
        raise DataError(f"instances holds {instances.min()}", expected="0 or more", do="Use 0 for the background")
    if label_map is not None and (label_map.shape != instances.shape or label_map.dtype != np.uint8):
        raise DataError(
            f"label_map has shape {label_map.shape} and type {label_map.dtype}",
            expected=f"{instances.shape} uint8, as the instances",
            do="Give both of the same picture",
        )
    if not (math.isfinite(w0) and w0 >= 0 and math.isfinite(sigma) and sigma > 0):
        raise UsageError(f"w0={w0:g}, sigma={sigma:g}", expected="w0 of at least 0 and sigma above 0", do="Correct it")
    if spacing is not None and (len(spacing) != instances.ndim or not all(step > 0 for step in spacing)):
        raise UsageError(
            f"spacing={tuple(spacing)}", expected=f"{instances.ndim} distances above 0", do="Give one for each axis"
        )

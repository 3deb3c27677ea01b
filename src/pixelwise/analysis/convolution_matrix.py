"""Convolution as a product with a matrix, transposed convolution as a product with the same matrix, transposed.

Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, arXiv:1603.07285, section 4.1.
With the picture stretched to a column, row by row, a convolution is a matrix C with a row for each pixel that comes out
and a column for each that goes in; the row of an output pixel holds the kernel where it looks at the picture, and zeros
elsewhere. The transposed convolution of the same kernel, step and padding multiplies by C transposed. It has the
convolution's shapes backwards, and is its gradient, not its inverse.

How many pixels a transposed convolution adds up in each output pixel is :func:`overlap_map`; where neighbours differ,
so do the scales of their values (Odena, Dumoulin and Olah, "Deconvolution and checkerboard artifacts", Distill 2016).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pixelwise.errors import UsageError

MOST_VALUES = 2**26
"""Of a matrix: half a gigabyte."""


def convolution_matrix(
    kernel: ArrayLike, size: tuple[int, int], stride: int = 1, padding: int = 0
) -> NDArray[np.float64]:
    """Return C with ``C @ image.ravel() == convolution(image).ravel()``, and ``C.T`` for the transposed convolution.

    As in all libraries for networks the kernel is not turned round: this is a cross-correlation.

    Args:
        kernel: (kernel height, kernel width).
        size: height and width of what the convolution looks at; of what the transposed convolution gives.
        stride: pixels from one place of the kernel to the next, along both axes.
        padding: zeros that the picture has on each side, in pixels; the transposed convolution leaves so many out.

    Returns:
        (pixels out, pixels in) of the convolution, both counted row by row.

    Raises:
        UsageError: a kernel that is not flat or does not fit, a negative number, or a matrix of more than
            ``MOST_VALUES``.

    """
    weights = np.asarray(kernel, np.float64)
    if weights.ndim != 2 or not weights.size or stride < 1 or padding < 0:
        raise UsageError(
            f"convolution_matrix: a kernel of shape {weights.shape}, stride={stride}, padding={padding}",
            expected="a kernel of height x width, a stride of at least 1 and a padding of 0 or more",
            do="Correct them",
        )
    rows, columns = ((side + 2 * padding - tap) // stride + 1 for side, tap in zip(size, weights.shape, strict=True))
    if min(rows, columns) < 1 or rows * columns * size[0] * size[1] > MOST_VALUES:
        raise UsageError(
            f"convolution_matrix: a kernel of {weights.shape[0]} x {weights.shape[1]} on {size[0]} x {size[1]} pixels",
            expected=f"a picture that holds the kernel, and a matrix of at most {MOST_VALUES:,} values",
            do="Take another size: the matrix is for looking at, not for computing with",
        )
    matrix = np.zeros((rows, columns, size[0] + 2 * padding, size[1] + 2 * padding))
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            matrix[row, column, top : top + weights.shape[0], left : left + weights.shape[1]] = weights
    within = matrix[:, :, padding : padding + size[0], padding : padding + size[1]]
    return within.reshape(rows * columns, size[0] * size[1])


def overlap_map(kernel: int, stride: int, places: tuple[int, int]) -> NDArray[np.int64]:
    """Count for each output pixel of a transposed convolution the input pixels that are added up in it.

    Args:
        kernel: side of the square kernel, in pixels.
        stride: how many times finer the output is.
        places: height and width of the input, in pixels.

    Returns:
        ((height - 1) * stride + kernel, (width - 1) * stride + kernel). Inside all counts are equal exactly where
        ``kernel`` is a multiple of ``stride``.

    Raises:
        UsageError: a number below 1, or a map too large for its matrix.

    """
    if min(kernel, stride, *places) < 1:
        raise UsageError(
            f"overlap_map: kernel={kernel}, stride={stride}, places={places}",
            expected="whole numbers of at least 1",
            do="Correct them",
        )
    height, width = ((side - 1) * stride + kernel for side in places)
    matrix = convolution_matrix(np.ones((kernel, kernel)), (height, width), stride)
    return matrix.sum(axis=0).astype(np.int64).reshape(height, width)

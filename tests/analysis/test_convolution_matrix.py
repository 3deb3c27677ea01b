"""Convolution and its transpose as matrices, against PyTorch's; overlaps against products of counts along one axis."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pixelwise.analysis.convolution_matrix import convolution_matrix, overlap_map
from pixelwise.errors import UsageError

CASES = [
    ((3, 3), (4, 4), 1, 0),  # the example of the documentation
    ((3, 3), (7, 5), 1, 1),
    ((2, 2), (8, 6), 2, 0),
    ((4, 3), (9, 11), 2, 1),
    ((5, 5), (6, 9), 3, 2),
    ((1, 4), (3, 8), 1, 3),  # places at which the kernel sees zeros only
]


@pytest.mark.parametrize(("kernel", "size", "stride", "padding"), CASES)
def test_products_with_the_matrix_are_pytorchs(
    kernel: tuple[int, int], size: tuple[int, int], stride: int, padding: int
) -> None:
    draws = np.random.default_rng(0)
    weights, image = draws.standard_normal(kernel), draws.standard_normal(size)
    matrix = convolution_matrix(weights, size, stride, padding)
    as_weight = torch.from_numpy(weights)[None, None]
    found = F.conv2d(torch.from_numpy(image)[None, None], as_weight, stride=stride, padding=padding)[0, 0].numpy()
    assert matrix.shape == (found.size, image.size)
    assert np.abs(matrix @ image.ravel() - found.ravel()).max() <= 1e-12

    small = draws.standard_normal(found.shape)
    left_over = [(side + 2 * padding - tap) % stride for side, tap in zip(size, kernel, strict=True)]
    transposed = F.conv_transpose2d(
        torch.from_numpy(small)[None, None], as_weight, stride=stride, padding=padding, output_padding=left_over
    )[0, 0].numpy()
    assert transposed.shape == size
    assert np.abs(matrix.T @ small.ravel() - transposed.ravel()).max() <= 1e-12


def test_the_matrix_is_the_convolutions_gradient() -> None:
    weights, size = torch.arange(9.0, dtype=torch.float64).view(3, 3), (4, 4)
    gradient = torch.autograd.functional.jacobian(
        lambda image: F.conv2d(image[None, None], weights[None, None]).flatten(), torch.zeros(size, dtype=torch.float64)
    )
    assert isinstance(gradient, torch.Tensor)
    assert np.array_equal(convolution_matrix(weights.numpy(), size), gradient.view(4, 16).numpy())


@pytest.mark.parametrize(
    ("kernel", "stride", "counts"),
    [(2, 2, {1}), (3, 2, {1, 2, 4}), (4, 2, {4}), (5, 2, {4, 6, 9}), (16, 8, {4})],
)
def test_overlaps(kernel: int, stride: int, counts: set[int]) -> None:
    places = (6, 7)
    found = overlap_map(kernel, stride, places)
    along = []
    for count in places:
        line = np.zeros((count - 1) * stride + kernel, int)
        for place in range(count):
            line[place * stride : place * stride + kernel] += 1
        along.append(line)
    assert np.array_equal(found, np.multiply.outer(*along))
    inside = found[kernel:-kernel, kernel:-kernel]
    assert set(inside.ravel().tolist()) == counts
    assert (len(counts) == 1) == (kernel % stride == 0)
    ones = torch.nn.ConvTranspose2d(1, 1, kernel, stride, bias=False)
    torch.nn.init.ones_(ones.weight)
    assert np.array_equal(ones(torch.ones(1, 1, *places))[0, 0].detach().numpy(), found)


def test_interpolation_before_a_convolution_has_even_overlaps() -> None:
    """Every output pixel of nearest interpolation and a 3x3 convolution is a sum of nine taps."""
    enlarged = F.interpolate(torch.ones(1, 1, 6, 6), scale_factor=2, mode="nearest")
    assert F.conv2d(enlarged, torch.ones(1, 1, 3, 3)).unique().tolist() == [9]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: convolution_matrix(np.ones(3), (4, 4)),
            "convolution_matrix: a kernel of shape (3,), stride=1, padding=0. Expected a kernel of height x width, a "
            "stride of at least 1 and a padding of 0 or more. Correct them.",
        ),
        (
            lambda: convolution_matrix(np.ones((5, 5)), (4, 9)),
            "convolution_matrix: a kernel of 5 x 5 on 4 x 9 pixels. Expected a picture that holds the kernel, and a "
            "matrix of at most 67,108,864 values. Take another size: the matrix is for looking at, not for computing "
            "with.",
        ),
        (
            lambda: overlap_map(3, 0, (4, 4)),
            "overlap_map: kernel=3, stride=0, places=(4, 4). Expected whole numbers of at least 1. Correct them.",
        ),
    ],
)
def test_what_cannot_be_is_refused(call: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert str(caught.value) == message


def test_a_matrix_that_memory_cannot_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="on 512 x 512 pixels"):
        convolution_matrix(np.ones((3, 3)), (512, 512))

"""The fused warp against brute force: SciPy's interpolation, NumPy's flips, Hermite splines."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline
from scipy.ndimage import map_coordinates

from pixelwise.data.augment import Augment
from pixelwise.data.resample import SIDE_LIMIT_PX, _Scratch, resize_image, resize_label_map, resize_linear
from pixelwise.data.warp import Warp, lattice_weights, mirrored
from pixelwise.errors import ImageError

IDENTITY = ((1.0, 0.0), (0.0, 1.0))


def hermite(nodes: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Bicubic interpolation by another road: slopes are central differences, one-sided at the ends."""
    return CubicHermiteSpline(np.arange(len(nodes)), nodes, np.gradient(nodes, axis=0))(positions)


def random_image(rng, shape, dtype):
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    return (rng.random(shape) * top).astype(dtype)


@pytest.mark.parametrize("nodes", [2, 3, 4, 7])
def test_lattice_weights_are_the_hermite_spline_through_the_nodes(nodes):
    rng = np.random.default_rng(nodes)
    values = rng.normal(size=nodes)
    positions = np.linspace(0, nodes - 1, 101)
    np.testing.assert_allclose(lattice_weights(positions, nodes) @ values, hermite(values, positions), atol=1e-12)


def test_lattice_reproduces_constants_and_straight_lines():
    positions = np.linspace(0, 2, 57)
    weights = lattice_weights(positions, 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(weights @ np.arange(3.0), positions, atol=1e-12)


def test_positions_follow_the_formula_pixel_by_pixel():
    rng = np.random.default_rng(3)
    lattice = rng.normal(size=(3, 3, 2)) * 10
    matrix = ((0.9, -0.3), (0.2, 1.1))
    warp = Warp(height=30, width=41, matrix=matrix, origin=(5.5, -3.25), lattice=lattice, frame=(-7, -4, 60, 55))
    rows, columns = warp.positions()
    u = (np.arange(30) + 7) * 2 / 59
    v = (np.arange(41) + 4) * 2 / 54
    for axis, found in enumerate((rows, columns)):
        along_rows = hermite(lattice[:, :, axis], u)  # (30, 3)
        elastic = hermite(along_rows.T, v).T
        i, j = np.mgrid[0:30, 0:41]
        expected = warp.origin[axis] + matrix[axis][0] * i + matrix[axis][1] * j + elastic
        np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_warp_is_linear_interpolation_with_mirrored_borders(dtype, channels):
    rng = np.random.default_rng(channels)
    image = random_image(rng, (50, 64, channels), dtype)
    labels = rng.integers(0, 200, (50, 64)).astype(np.uint8)
    warp, _ = Augment(rotate_degrees=180, shear_degrees=10, elastic_px=10, shift_px=30).draw(50, 64, rng, (70, 90))
    found, found_labels = warp.apply(image, labels)
    rows, columns = (grid.astype(np.float64) for grid in warp.positions())
    for channel in range(channels):
        plane = image[..., channel].astype(np.float64)
        expected = map_coordinates(plane, [rows, columns], order=1, mode="mirror")
        tolerance = 2e-5 if dtype == np.float32 else 0.51
        scale = 1 if dtype != np.uint16 else 1.02
        np.testing.assert_allclose(found[..., channel], expected, atol=tolerance * scale)
    nearest = labels[mirrored(np.rint(rows).astype(int), 50), mirrored(np.rint(columns).astype(int), 64)]
    np.testing.assert_array_equal(found_labels, nearest)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    out=st.tuples(*[st.integers(1, 14)] * 2),
)
def test_flips_turns_and_crops_are_exact_to_the_bit(seed, height, width, out):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 2**16, (height, width, 3)).astype(np.uint16)
    labels = rng.integers(0, 255, (height, width)).astype(np.uint8)
    augment = Augment(flip_horizontal=0.5, flip_vertical=0.5, quarter_turns=True, shift_px=3)
    warp, _ = augment.draw(height, width, rng, out)
    found, found_labels = warp.apply(image, labels)
    rows, columns = (np.rint(grid).astype(int) for grid in warp.positions())
    np.testing.assert_allclose(warp.positions(), (rows, columns), atol=1e-5)
    np.testing.assert_array_equal(found, image[mirrored(rows, height), mirrored(columns, width)])
    np.testing.assert_array_equal(found_labels, labels[mirrored(rows, height), mirrored(columns, width)])


def test_all_eight_symmetries_of_the_square_occur_and_nothing_else():
    image = np.arange(36, dtype=np.uint8).reshape(6, 6, 1)
    symmetries = {np.rot90(base, k).tobytes() for base in (image, image[:, ::-1]) for k in range(4)}
    augment = Augment(flip_horizontal=0.5, flip_vertical=0.5, quarter_turns=True)
    rng = np.random.default_rng(0)
    seen = {augment.apply(image, None, rng)[0].tobytes() for _ in range(200)}
    assert seen == symmetries


@pytest.mark.parametrize("length", [1, 2, 5])
def test_mirrored_is_numpys_reflection(length):
    values = np.arange(length)
    padded = np.pad(values, 11, mode="reflect") if length > 1 else np.zeros(23, int)
    np.testing.assert_array_equal(mirrored(np.arange(-11, length + 11), length), padded)


BLOCKS = st.integers(10, 20)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    block=BLOCKS,
    rotate=st.sampled_from([0.0, 30.0, 180.0]),
    elastic=st.sampled_from([0.0, 4.0]),
    scale=st.sampled_from([(1.0, 1.0), (0.3, 0.5), (0.7, 1.6)]),
    area=st.sampled_from([None, (0.2, 1.0)]),
)
def test_label_map_and_image_stay_aligned(seed, block, rotate, elastic, scale, area):
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 2, (12, 14)), np.ones((block, block))).astype(np.uint8)
    image = (labels * 255)[..., None]
    augment = Augment(
        flip_horizontal=0.5, flip_vertical=0.5, quarter_turns=True, rotate_degrees=rotate, elastic_px=elastic,
        scale=scale, area=area, shear_degrees=rotate / 10, shift_px=5,
    )  # fmt: skip
    warped, warped_labels = augment.apply(image, labels, rng, (48, 40))
    pure = (warped[..., 0] == 0) | (warped[..., 0] == 255)  # away from the blocks' edges
    assume(pure.any())
    np.testing.assert_array_equal(warped_labels[pure], warped[..., 0][pure] // 255)


@pytest.mark.parametrize("flip", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_upright_windows_are_resized_to_what_the_sampling_grid_gives(flip):
    rng = np.random.default_rng(5)
    image = random_image(rng, (60, 80, 3), np.uint8)
    labels = rng.integers(0, 200, (60, 80)).astype(np.uint8)
    step = (36 / 24 * flip[0], 45 / 32 * flip[1])
    first = [
        low + (size - 0.5) - abs(s) / 2 if s < 0 else low - 0.5 + s / 2
        for low, size, s in ((7, 36, step[0]), (20, 45, step[1]))
    ]
    warp = Warp(height=24, width=32, matrix=((step[0], 0.0), (0.0, step[1])), origin=(first[0], first[1]))
    assert warp._window(60, 80) == (7, 43, 20, 65)
    found, found_labels = warp.apply(image, labels)
    sampled, sampled_labels = warp._sampled(image, labels, ())
    assert np.abs(found[1:-1, 1:-1].astype(int) - sampled[1:-1, 1:-1]).max() <= 2  # OpenCV rounds weights to 1/2048
    rows, columns = warp.positions()
    clear = (np.abs(rows % 1 - 0.5) > 1e-3) & (np.abs(columns % 1 - 0.5) > 1e-3)  # no pixel is nearest at the middle
    np.testing.assert_array_equal(found_labels[clear], sampled_labels[clear])


def test_window_that_shrinks_by_two_or_more_is_averaged_over_its_area():
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None]
    warp = Warp(height=16, width=16, matrix=((4.0, 0.0), (0.0, 4.0)), origin=(1.5, 1.5))
    assert set(np.unique(warp.apply(checks, None)[0])) <= {127, 128}


def test_turned_picture_that_shrinks_is_averaged_first():
    checks = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None]
    warp, _ = Augment(rotate_degrees=45, scale=(0.25, 0.25)).draw(256, 256, np.random.default_rng(1), (40, 40))
    assert np.ptp(warp.apply(checks, None)[0].astype(int)) <= 1


def test_fill_gives_the_declared_colour_and_ignored_labels_outside():
    image = np.full((4, 4, 3), 200, np.uint8)
    labels = np.ones((4, 4), np.uint8)
    exact = Warp(height=4, width=6, matrix=IDENTITY, origin=(-2.0, -9.0), border="fill")
    found, found_labels = exact.apply(image, labels, fill=(1.0, 2.0, 3.0))
    assert (found == [1, 2, 3]).all()
    assert (found_labels == 255).all()
    half = Warp(height=4, width=4, matrix=IDENTITY, origin=(-2.0, 1.0), border="fill")
    found, found_labels = half.apply(image, labels, fill=(1.0, 2.0, 3.0))
    assert (found[2:, :3] == 200).all()
    assert (found[:2] == [1, 2, 3]).all()
    assert (found_labels == np.where((found[..., 0] == 200), 1, 255)).all()
    turned = Warp(height=3, width=3, matrix=((0.8, -0.6), (0.6, 0.8)), origin=(50.0, 50.0), border="fill")
    found, found_labels = turned.apply(image, labels, fill=(1.0, 2.0, 3.0))
    assert (found == [1, 2, 3]).all()
    assert (found_labels == 255).all()


@pytest.mark.parametrize("start", [0.0, 39_970.0, 20_000.0])
def test_pictures_longer_than_opencv_addresses_are_cut_to_what_is_needed(start):
    rng = np.random.default_rng(2)
    image = random_image(rng, (40_000, 9, 1), np.uint8)
    labels = image[..., 0]
    warp = Warp(height=40, width=9, matrix=((0.995, -0.1), (0.1, 0.995)), origin=(start, 0.0))
    found, found_labels = warp.apply(image, labels)
    rows, columns = (grid.astype(np.float64) for grid in warp.positions())
    expected = map_coordinates(image[..., 0].astype(float), [rows, columns], order=1, mode="mirror")
    np.testing.assert_allclose(found[..., 0], expected, atol=1.6)  # float32 positions near 40,000: 1/256 px
    nearest = labels[mirrored(np.rint(rows).astype(int), 40_000), mirrored(np.rint(columns).astype(int), 9)]
    assert (found_labels == nearest).mean() > 0.98


def test_a_result_that_reaches_too_far_is_refused():
    image = np.zeros((40_000, 3, 1), np.uint8)
    warp = Warp(height=40_000, width=3, matrix=((0.999, 0.01), (-0.01, 0.999)), origin=(0.0, 0.0))
    with pytest.raises(ImageError) as caught:
        warp.apply(image, None)
    assert str(caught.value) == (
        "A warp from 39961 x 3 to 40000 x 3 pixels. Expected at most 32766 pixels along each side. "
        "Set a crop, or resize the pictures."
    )
    assert SIDE_LIMIT_PX == 32_766


@pytest.mark.parametrize("size", [(20, 30), (7, 11), (41, 13), (60, 90), (20, 61)])
def test_resizing_follows_the_half_pixel_convention(size):
    """A linear ramp keeps its values at the new pixels' centres, whatever the interpolation."""
    y, x = np.mgrid[0:20, 0:30].astype(np.float32)
    image = np.stack([y, x, y + x, y - x, 2 * y], axis=-1)
    i = np.clip((np.arange(size[0]) + 0.5) * 20 / size[0] - 0.5, 0, 19)
    j = np.clip((np.arange(size[1]) + 0.5) * 30 / size[1] - 0.5, 0, 29)
    inner = (slice(1, -1), slice(1, -1))
    # An area average sees a ramp as stairs and may lie up to a tenth of a step beside it.
    for resized, beside_px in ((resize_image(image, *size), 0.1), (resize_linear(image, *size), 1e-3)):
        rows, columns = np.meshgrid(i, j, indexing="ij")
        np.testing.assert_allclose(resized[..., 0][inner], rows[inner], atol=beside_px)
        np.testing.assert_allclose(resized[..., 1][inner], columns[inner], atol=beside_px)
        np.testing.assert_allclose(resized[..., 4][inner], 2 * rows[inner], atol=2 * beside_px)


def test_shrinking_is_the_mean_over_each_new_pixels_area():
    rng = np.random.default_rng(0)
    image = rng.random((12, 15, 2)).astype(np.float32)
    fine = image.repeat(4, axis=0).repeat(4, axis=1)  # 48 x 60: new pixels of 8 x 5 hold 6 x 12 of these
    expected = fine.reshape(8, 6, 5, 12, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_image(image, 8, 5), expected, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(source=st.integers(1, 40), target=st.integers(1, 40))
def test_label_map_takes_the_pixel_that_holds_the_new_centre(source, target):
    labels = np.arange(source, dtype=np.uint8)[:, None]
    found = resize_label_map(labels, target, 1)[:, 0]
    for i, value in enumerate(found):
        centre = (i + 0.5) * source / target  # the pixel covers [value, value + 1)
        assert value <= centre + 1e-9
        assert centre <= value + 1 + 1e-9


def test_scratch_memory_is_kept_only_while_it_is_small():
    scratch = _Scratch()
    first = scratch.array("a", (10, 10, 4), np.dtype(np.uint16))
    assert np.shares_memory(first, scratch.array("a", (5, 3), np.dtype(np.float32)))
    assert not np.shares_memory(first, scratch.array("b", (5, 3), np.dtype(np.float32)))
    large = scratch.array("a", (5000, 5000, 4), np.dtype(np.uint8))
    assert large.shape == (5000, 5000, 4)
    assert np.shares_memory(first, scratch.array("a", (1,), np.dtype(np.uint8)))

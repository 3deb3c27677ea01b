"""Boxes: relative to the view, through warps, around masks, and back to the picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.data.augment import AUGMENTATIONS, Augment
from pixelwise.data.boxes import (
    NO_BOX,
    box_text,
    cut_box,
    in_picture,
    in_view,
    largest_object,
    parse_box,
    relative,
    through,
)
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.warp import Warp


def frame(**changes):
    return Preprocess(channels=1, low=0, high=255, mean=(0.0,), std=(1.0,), **changes)


def painted(box, height, width):
    """A label map that is 1 inside the box."""
    label_map = np.zeros((height, width), np.uint8)
    x_min, y_min, x_max, y_max = map(int, box)
    label_map[y_min:y_max, x_min:x_max] = 1
    return label_map


@pytest.mark.parametrize("box", [(0, 0, 3, 4), (0.1, 2 / 3, 1e-9 + 5, 7.25), (12.0, 3.5, 1e6, 1 / 7)])
def test_no_digit_of_a_box_is_lost(box):
    assert parse_box(box_text(box)) == box


def test_whole_edges_are_written_as_whole_numbers():
    assert box_text((1.0, 2.0, 30.0, 4.5)) == "1 2 30 4.5"


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ((2, 3, 5, 6), (2, 3, 5, 6)),
        ((-2, -3, 5, 6), (0, 0, 5, 6)),
        ((2, 3, 50, 60), (2, 3, 12, 10)),
        ((12, 3, 15, 6), None),
        ((2, -6, 5, 0), None),
    ],
)
def test_a_box_is_cut_to_the_picture(box, cut):
    assert cut_box(box, 10, 12) == cut


def test_the_largest_class_gets_the_box_around_all_its_pixels():
    label_map = np.zeros((10, 12), np.uint8)
    label_map[0:2, 0:2] = 3
    label_map[5, 2] = label_map[8, 9] = label_map[6, 4:8] = 2
    label_map[:, 11] = 255
    assert largest_object(label_map) == (2, (2, 5, 10, 9))
    assert largest_object(np.where(label_map == 255, label_map, 0).astype(np.uint8)) is None


RESIZES = [
    frame(),
    frame(resize="stretch", size=(40, 20)),
    frame(resize="pad", size=(32, 48)),
    frame(resize="crop", size=(24, 24), crop_fraction=0.875),
]


@pytest.mark.parametrize("preprocess", RESIZES, ids=lambda p: p.resize)
@pytest.mark.parametrize("size", [(60, 30), (16, 47), (33, 33)])
def test_a_box_lies_in_the_view_where_its_pixels_are(preprocess, size):
    """The label map is resized by the nearest pixel, the box by arithmetic: they agree to the pixel."""
    height, width = size
    box = (5.0, height // 2 - 5.0, 20.0, height // 2 + 6.0)
    seen = preprocess.spatial_label_map(painted(box, height, width)) == 1
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    view = preprocess.output_size(height, width)
    expected = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    exact = cut_box(in_view(box, preprocess, height, width), *view)
    scale = max(view[0] / height, view[1] / width, 1)
    np.testing.assert_allclose(exact, expected, atol=0.51 * scale)


@pytest.mark.parametrize("preprocess", RESIZES, ids=lambda p: p.resize)
@pytest.mark.parametrize("size", [(60, 30), (16, 47), (33, 33)])
def test_the_way_back_undoes_the_way_in(preprocess, size):
    height, width = size
    centre = (width / 2 - 4, height / 2 - 3, width / 2 + 3, height / 2 + 4)  # in the middle, where every policy sees it
    view = preprocess.output_size(height, width)
    shares = relative(in_view(centre, preprocess, height, width), *view)
    np.testing.assert_allclose(in_picture(shares, preprocess, height, width), centre, atol=1e-9)


def test_the_way_back_ends_at_the_pictures_edges():
    preprocess = frame(resize="pad", size=(32, 32))  # 16 rows of the picture between 8 rows of padding on each side
    assert in_picture((0.5, 0.5, 1.0, 1.0), preprocess, 16, 32) == (0, 0, 32, 16)
    assert in_picture((0.5, 0.1, 0.5, 0.1), preprocess, 16, 32) == (8, 0, 24, 0)


def test_relative_boxes_are_centre_and_sides_of_what_is_seen():
    assert relative((4, 2, 8, 6), 10, 20) == (0.3, 0.4, 0.2, 0.4)
    assert relative((-4, 2, 4, 20), 10, 20) == (0.1, 0.6, 0.2, 0.8)
    assert relative((20, 2, 24, 6), 10, 20) == NO_BOX


AUGMENTS = [*AUGMENTATIONS.values(), Augment(shift_px=30), Augment(scale=(0.3, 0.5), rotate_degrees=180, elastic_px=3)]


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    augment=st.sampled_from(AUGMENTS),
    output=st.sampled_from([None, (20, 24), (64, 50)]),
    x=st.integers(0, 30), y=st.integers(0, 20), across=st.integers(1, 15), along=st.integers(1, 15),
)  # fmt: skip
def test_a_box_goes_through_a_warp_as_its_pixels_do(seed, augment, output, x, y, across, along):
    """The oracle: a label map sampled at every place of the grid by hand, with nothing beyond the picture's edges."""
    height, width = 36, 48
    box = (x, y, x + across, y + along)
    warp, _ = augment.draw(height, width, np.random.default_rng(seed), output)
    rows, columns = (np.floor(grid + np.float32(0.5)).astype(int) for grid in warp.positions())
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    label_map = painted(box, height, width)
    seen = np.where(inside, label_map[rows.clip(0, height - 1), columns.clip(0, width - 1)], 0)
    found = through(box, warp)
    if not seen.any():
        assert found is None
    else:
        down, right = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        assert found == (right[0], down[0], right[-1] + 1, down[-1] + 1)


def test_a_mirrored_border_is_no_part_of_the_object():
    warp = Warp(height=10, width=10, matrix=((1.0, 0.0), (0.0, 1.0)), origin=(0.0, -5.0))
    image = painted((0, 2, 3, 6), 10, 10)[..., None]
    shown, _ = warp.apply(image, None)
    assert shown[2:6, :, 0].sum() == 4 * 5  # columns 3 to 7: mirrored at the edge, the object is wider than it is
    assert through((0, 2, 3, 6), warp) == (5, 2, 8, 6)

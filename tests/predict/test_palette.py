import itertools

import numpy as np
import pytest

from pixelwise.predict.palette import (
    BACKGROUND,
    IGNORED,
    background_class,
    class_colours,
    distinct_colours,
    mask_palette,
)

# The three dichromacies by Viénot, Brettel and Mollon (1999) for protan and deutan: another simulation than the one
# that the palette was made with.
SIMULATIONS = [
    np.eye(3),
    np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
]


def lab(colours):
    """CIE L*a*b* (D65) of linear RGB (n, 3)."""
    xyz = colours @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    ratio = np.clip(xyz / [0.9505, 1.0, 1.089], 0, None)
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("number", [2, 7, 12, 20])
def test_colours_differ_for_every_kind_of_eye(number):
    signal = distinct_colours(number) / 255
    linear = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    for matrix in SIMULATIONS:
        seen = lab(np.clip(linear @ matrix.T, 0, 1))
        nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
        assert nearest > 7  # CIE76; 2.3 is just noticeable


def test_256_colours_all_differ_and_fewer_are_a_prefix():
    colours = distinct_colours(256)
    assert len({*map(tuple, colours.tolist())}) == 256
    for number in (0, 1, 7, 8, 100):
        assert np.array_equal(distinct_colours(number), colours[:number])
    with pytest.raises(ValueError, match="257 colours"):
        distinct_colours(257)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("background", "cell", "border"), 0),
        ((" Background ", "a", "b"), 0),
        (("membrane", "cell"), 0),
        (("sky", "road", "car"), None),
        (("car", "background", "road"), None),
        ((), None),
    ],
)
def test_which_class_is_the_background(classes, expected):
    assert background_class(classes) == expected


def test_background_is_black_and_the_rest_is_not():
    assert class_colours(("background", "a", "b")).tolist()[0] == list(BACKGROUND)
    assert class_colours(("background", "a", "b"))[1:].tolist() == distinct_colours(2).tolist()
    assert class_colours(("sky", "road", "car")).tolist() == distinct_colours(3).tolist()


def test_a_mask_palette_has_grey_for_what_is_no_class():
    palette = mask_palette(("background", "cell"))
    assert len(palette) == 256
    assert np.array_equal(palette[:2], class_colours(("background", "cell")))
    assert set(palette[2:]) == {IGNORED}

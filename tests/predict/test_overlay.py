import numpy as np
import pytest

from pixelwise.errors import ImageError
from pixelwise.predict.overlay import display_rgb, draw_overlay, with_captions, with_legend
from pixelwise.predict.palette import IGNORED, class_colours

CLASSES = ("background", "cell")


def test_8_bit_pictures_are_shown_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(display_rgb(image), image)
    grey = image[:, :, :1]
    assert np.array_equal(display_rgb(grey), np.repeat(grey, 3, axis=2))
    assert np.array_equal(display_rgb(grey[:, :, 0]), np.repeat(grey, 3, axis=2))
    assert np.array_equal(display_rgb(np.concatenate([image, image], axis=2)), image)
    assert np.array_equal(display_rgb(image[:, :, :2]), np.repeat(grey, 3, axis=2))


def test_16_bit_pictures_are_stretched_to_what_is_in_them():
    ramp = np.linspace(300, 900, 1000).astype(np.uint16).reshape(20, 50, 1)
    shown = display_rgb(ramp)
    assert shown.dtype == np.uint8
    assert shown.min() == 0
    assert shown.max() == 255
    assert np.all(np.diff(shown[:, :, 0].ravel().astype(int)) >= 0)


def test_a_constant_float_picture_is_black():
    assert display_rgb(np.full((4, 4, 1), 0.3, np.float32)).max() == 0


def test_background_stays_and_objects_are_tinted_with_a_contour():
    image = np.full((40, 40, 1), 100, np.uint8)
    label_map = np.zeros((40, 40), np.uint8)
    label_map[10:30, 10:30] = 1
    drawn = draw_overlay(image, label_map, CLASSES)
    colour = class_colours(CLASSES)[1]
    assert np.all(drawn[label_map == 0] == 100)
    assert np.all(drawn[10, 10:30] == colour)
    assert np.all(drawn[10:30, 29] == colour)
    inside = 100 * 0.65 + colour.astype(float) * 0.35
    assert np.abs(drawn[20, 20] - inside).max() <= 1
    assert np.array_equal(image, np.full((40, 40, 1), 100, np.uint8))


def test_without_a_background_class_every_pixel_is_tinted():
    drawn = draw_overlay(np.full((9, 9, 3), 100, np.uint8), np.zeros((9, 9), np.uint8), ("sky", "road", "car"))
    assert not np.any(np.all(drawn == 100, axis=2))


def test_pixels_of_no_class_are_hatched():
    label_map = np.zeros((40, 40), np.uint8)
    label_map[:, 20:] = 255
    drawn = draw_overlay(np.full((40, 40, 3), 100, np.uint8), label_map, CLASSES)
    grey = np.all(drawn == IGNORED, axis=2)
    assert 0.2 < grey[:, 22:].mean() < 0.3
    assert not grey[:, :20].any()


def test_a_label_map_of_another_size_is_refused():
    with pytest.raises(ImageError) as caught:
        draw_overlay(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8), CLASSES)
    assert str(caught.value) == (
        "The picture has 4 x 5 pixels and the label map 5 x 4. Expected the same size (height x width). "
        "Give the picture that was predicted."
    )


def test_the_legend_names_the_classes_that_occur_below_the_picture():
    label_map = np.zeros((300, 400), np.uint8)
    label_map[:10, :10] = 1
    label_map[0, 0] = 255
    classes = ("background", "cell", "absent")
    drawn = draw_overlay(np.zeros((300, 400, 1), np.uint8), label_map, classes)
    page = with_legend(drawn, label_map, classes)
    assert page.shape[1] == 400
    assert np.array_equal(page[:300], drawn)
    strip = {tuple(pixel) for pixel in page[300:].reshape(-1, 3).tolist()}
    colours = class_colours(classes)
    assert tuple(colours[1].tolist()) in strip
    assert IGNORED in strip
    assert tuple(colours[2].tolist()) not in strip


def test_small_pictures_are_enlarged_and_long_legends_get_more_lines():
    classes = tuple(f"a class with a long name {k}" for k in range(6))
    label_map = np.arange(36, dtype=np.uint8).reshape(6, 6) % 6
    drawn = draw_overlay(np.zeros((6, 6, 3), np.uint8), label_map, classes)
    page = with_legend(drawn, label_map, classes)
    assert page.shape[1] == 43 * 6  # the smallest multiple of 6 that is not below 256
    assert np.array_equal(page[0 : 6 * 43 : 43, 0 : 6 * 43 : 43], drawn)
    assert page.shape[0] > 6 * 43 + 6 * 11


@pytest.mark.parametrize(
    "text",
    ["shoe 98.7% at x 1000 to 1100, y 1000 to 1200", "T-shirt/top-with-a-very-long-name-that-has-no-space 50.0%"],
)
def test_captions_wider_than_the_picture_are_wrapped_and_not_cut_off(text):
    """As many bright pixels stand below a narrow picture as below a wide one that holds the text in one line."""
    narrow = with_captions(np.zeros((256, 256, 3), np.uint8), [(text, (255, 0, 0))])
    lit = (narrow[256:].min(-1) > 150).sum()
    page = with_captions(np.zeros((256, 490, 3), np.uint8), [(text, (255, 0, 0))])
    assert lit == pytest.approx((page[256:].min(-1) > 150).sum(), rel=0.1)
    assert narrow.shape[0] > page.shape[0]
    assert (narrow[256:, -4:] == 24).all()


def test_what_follows_a_wrapped_caption_begins_a_line():
    red, blue = (255, 0, 0), (0, 0, 255)
    page = with_captions(np.zeros((9, 256, 3), np.uint8), [("a", red), ("many words " * 8, red), ("b", blue)])[9:]
    rows = [np.flatnonzero((page == colour).all(-1).any(1)) for colour in (red, blue)]
    assert rows[0].max() < rows[1].min()
    assert np.flatnonzero((page == blue).all(-1).any(0)).min() < 12

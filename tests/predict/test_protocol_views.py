"""The views of a protocol are those of the papers, place by place."""

import cv2
import numpy as np
import pytest

from pixelwise.data.resample import resize_image
from pixelwise.errors import UsageError
from pixelwise.predict.protocols import Protocol
from pixelwise.predict.views import plan, show
from small_models import preprocess

RNG = np.random.default_rng(3)
INPUT = preprocess(3, resize="stretch", size=(224, 224))


def picture(height, width, channels=3):
    coarse = RNG.integers(0, 256, (24, 24, channels), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def pixels_of(text, image, model_input=INPUT):
    """Every view of a picture, mirror images included, with its weight."""
    protocol = Protocol.parse(text)
    found = []
    weights = plan(protocol, model_input, *image.shape[:2])
    for view, pixels in show(image, model_input, weights):
        found.append((pixels, weights[view]))
        if protocol.flip:
            found.append((pixels[:, ::-1], weights[view]))
    return found


def windows_of(text, height, width, model_input=INPUT):
    return [(view.resized, view.window) for view in plan(Protocol.parse(text), model_input, height, width)]


def test_sizes_in_pixels_are_limited_by_the_networks_input():
    small = preprocess(1, resize="stretch", size=(28, 36))
    assert windows_of("dense:896", 28, 28, small)
    for text in ("dense:897", "centre+corners:40,897"):
        with pytest.raises(UsageError) as caught:
            windows_of(text, 28, 28, small)
        assert str(caught.value) == (
            f"protocol {text.removeprefix('centre+')}: 897 pixels for a network whose input has 28. Expected at most "
            "896 pixels, 32 times the input. Choose smaller sizes, or shares of the input such as dense:256/224."
        )
    with pytest.raises(UsageError, match=r"network whose input has 20\. Expected at most 640 pixels"):
        windows_of("dense:3000", 20, 400, preprocess(1))


SIZES = [((300, 400), (256, 341)), ((400, 300), (341, 256)), ((256, 256), (256, 256)), ((100, 120), (256, 307))]


@pytest.mark.parametrize(("size", "resized"), SIZES)
def test_ten_crops_are_the_corners_and_the_centre_of_the_central_square_and_their_mirror_images(size, resized):
    """Krizhevsky et al.: short side to 256, the central 256 x 256, five patches of 224 x 224 and their reflections."""
    image = picture(*size)
    whole = resize_image(image, *resized)
    top, left = (resized[0] - 256) // 2, (resized[1] - 256) // 2
    square = whole[top : top + 256, left : left + 256]
    crops = [square[:224, :224], square[:224, 32:], square[32:, :224], square[32:, 32:], square[16:240, 16:240]]
    by_hand = [view for crop in crops for view in (crop, np.flip(crop, 1))]
    found = pixels_of("10-crop", image)
    assert len(found) == 10
    for (pixels, weight), expected in zip(found, by_hand, strict=True):
        assert np.array_equal(pixels, expected)
        assert weight == pytest.approx(1 / 5)  # a view and its mirror image share it


@pytest.mark.parametrize(("size", "resized"), SIZES)
def test_outer_crops_are_the_corners_of_the_whole_picture(size, resized):
    bottom, right = resized[0] - 224, resized[1] - 224
    places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    assert windows_of("outer", *size) == [(resized, (top, left, 224, 224)) for top, left in places]


def squares_by_hand(image):
    """Szegedy et al., section 7: 4 scales x 3 squares x 6 crops x 2 mirror images."""
    height, width = image.shape[:2]
    for short in (256, 288, 320, 352):
        if height <= width:
            whole = resize_image(image, short, round(width * short / height))
            rest = whole.shape[1] - short
            squares = [whole[:, left : left + short] for left in (0, rest // 2, rest)]
        else:
            whole = resize_image(image, round(height * short / width), short)
            rest = whole.shape[0] - short
            squares = [whole[top : top + short] for top in (0, rest // 2, rest)]
        for square in squares:
            middle = (short - 224) // 2
            crops = [
                square[:224, :224],
                square[:224, -224:],
                square[-224:, :224],
                square[-224:, -224:],
                square[middle : middle + 224, middle : middle + 224],
                resize_image(np.ascontiguousarray(square), 224, 224),
            ]
            for crop in crops:
                yield crop
                yield crop[:, ::-1]


@pytest.mark.parametrize("size", [(300, 420), (420, 300)])
def test_144_crops_of_a_picture_that_is_not_square(size):
    image = picture(*size)
    expected = [np.ascontiguousarray(crop).tobytes() for crop in squares_by_hand(image)]
    found = pixels_of("144-crop", image)
    assert len(found) == len(expected) == len(set(expected)) == 144
    assert [np.ascontiguousarray(pixels).tobytes() for pixels, _ in found] == expected
    assert {pixels.shape for pixels, _ in found} == {(224, 224, 3)}
    assert {round(weight * 72, 9) for _, weight in found} == {1.0}


def test_squares_that_coincide_are_seen_once_with_the_weight_of_all():
    image = picture(350, 350)
    expected = [np.ascontiguousarray(crop).tobytes() for crop in squares_by_hand(image)]
    found = pixels_of("144-crop", image)
    assert len(found) == len(set(expected)) == 48
    for pixels, weight in found:
        assert expected.count(np.ascontiguousarray(pixels).tobytes()) == 3
        assert weight == pytest.approx(3 / 72)


def test_a_grid_has_five_by_five_places_at_each_size():
    found = windows_of("150-crop", 300, 400)
    assert len(found) == 75
    for number, (short, long) in enumerate([(256, 341), (384, 512), (512, 683)]):
        down, across = short - 224, long - 224
        expected = [
            ((short, long), (int(i * down / 4), int(j * across / 4), 224, 224)) for i in range(5) for j in range(5)
        ]
        assert found[25 * number : 25 * (number + 1)] == expected


def test_dense_views_are_the_whole_picture_at_every_size():
    image = picture(300, 400)
    found = pixels_of("dense:128,256", image)
    assert [pixels.shape for pixels, _ in found] == [(128, 171, 3), (256, 341, 3)]
    assert all(np.array_equal(pixels, resize_image(image, *pixels.shape[:2])) for pixels, _ in found)
    assert all(view.is_dense for view in plan(Protocol.parse("dense"), INPUT, 300, 400))
    sizes = [resized for resized, _ in windows_of("multi-scale", 300, 400)]
    assert sizes == [(224, 299), (256, 341), (384, 512), (480, 640), (640, 853)]


def test_sizes_without_a_unit_of_their_own_follow_the_input_of_the_network():
    small = preprocess(3, resize="crop", size=(28, 28))
    assert windows_of("corners", 60, 90, small)[3] == ((32, 48), (4, 12, 28, 28))
    assert windows_of("outer", 60, 90, small)[3] == ((32, 48), (4, 20, 28, 28))
    assert [resized for resized, _ in windows_of("multi-scale", 28, 56, small)] == [
        (28, 56), (32, 64), (48, 96), (60, 120), (80, 160),
    ]  # fmt: skip
    wide = preprocess(3, resize="stretch", size=(56, 112))
    assert windows_of("corners", 100, 100, wide)[-1] == ((128, 128), (36, 8, 56, 112))
    assert windows_of("squares:64", 100, 100, wide)[5] == ((128, 128), (0, 0, 64, 128))


def test_pictures_that_are_not_resized_are_enlarged_to_be_cropped():
    plain = preprocess(3)
    assert windows_of("10-crop", 28, 42, plain)[-1] == ((32, 48), (2, 3, 28, 42))
    assert [resized for resized, _ in windows_of("dense:14", 28, 42, plain)] == [(14, 21)]


@pytest.mark.parametrize("size", [(300, 400), (401, 299), (150, 97), (1000, 333), (224, 224)])
def test_the_centre_of_the_corners_is_what_a_model_of_256_to_224_sees(size):
    trained = preprocess(3, resize="crop", size=(224, 224), crop_fraction=0.875)
    image = picture(*size)
    *_, (last, _) = pixels_of("corners", image, trained)
    assert np.array_equal(last, trained.spatial(image))
    ((only, weight),) = pixels_of("centre", image, trained)
    assert np.array_equal(only, last)
    assert weight == 1


@pytest.mark.parametrize("text", ["144-crop+dense:300+centre", "150-crop", "10-crop", "multi-scale"])
@pytest.mark.parametrize("size", [(300, 400), (224, 224), (97, 500)])
def test_weights_sum_to_one_and_kinds_weigh_alike(text, size):
    protocol = Protocol.parse(text)
    views = plan(protocol, INPUT, *size)
    assert sum(views.values()) == pytest.approx(1)
    if text.startswith("144"):
        assert sum(weight for view, weight in views.items() if view.is_dense) == pytest.approx(1 / 3)


def test_a_crop_that_does_not_fit_is_refused():
    with pytest.raises(UsageError) as caught:
        plan(Protocol.parse("corners:200"), INPUT, 300, 400)
    assert str(caught.value) == (
        "protocol corners:200: the picture, resized to 200 x 267. Expected at least 224 x 224 pixels, the network's "
        "input. Choose larger sizes."
    )


@pytest.mark.parametrize("text", ["10-crop", "144-crop", "150-crop", "dense", "multi-scale"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2), (223, 225), (224, 10)])
def test_small_and_narrow_pictures_have_views_too(text, size):
    small = preprocess(1, resize="pad", size=(28, 28))
    for pixels, _ in pixels_of(text, picture(*size, 1), small):
        assert pixels.shape[2] == 1
        assert min(pixels.shape) >= 1
        assert text in ("dense", "multi-scale") or pixels.shape == (28, 28, 1)

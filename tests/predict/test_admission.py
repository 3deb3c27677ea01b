"""Which pictures a model takes, and what is said of the others."""

import numpy as np
import pytest

from pixelwise.data.images import to_channels
from pixelwise.errors import ImageError
from pixelwise.predict.predictor import Predictor
from small_models import classifier, preprocess, segmenter

RNG = np.random.default_rng(7)


def picture(height, width, channels=1):
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_grey_and_colour_are_converted_and_noted():
    grey, colour = picture(28, 28), picture(28, 28, 3)
    on_grey = Predictor(classifier()).predict(colour)
    assert on_grey.notes == ("converted from 3 to 1 channels",)
    expected = Predictor(classifier()).predict(to_channels(colour, 1, "x"))
    assert np.array_equal(on_grey.probabilities, expected.probabilities)
    on_colour = Predictor(classifier(channels=3)).predict(grey)
    assert on_colour.notes == ("converted from 1 to 3 channels",)


CONVERT = "Convert the picture, or train with the channels that it has."


@pytest.mark.parametrize(
    ("channels", "given", "message"),
    [
        (5, 1, "The array has 1 channel. Expected 5 channels. Give pictures like those of training."),
        (5, 3, f"The array has 3 channels. Expected 5 channels. {CONVERT}"),
        (1, 2, f"The array has 2 channels. Expected 1 channel. {CONVERT}"),
    ],
)
def test_other_channels_are_refused(channels, given, message):
    with pytest.raises(ImageError) as caught:
        Predictor(segmenter(channels=channels)).predict(picture(16, 16, given))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 4, 5, 1), np.uint8), "The array has the shape (3, 4, 5, 1). Expected (H, W) or (H, W, C). "),
        (np.zeros((0, 4, 1), np.uint8), "The array has the shape (0, 4, 1). Expected (H, W) or (H, W, C). "),
        (np.zeros((4, 4), np.int64), "The array holds int64 values. Expected uint8, uint16 or float32, "),
        (np.full((4, 4), np.nan), "The array holds NaN or infinity. Expected finite values. "),
        (np.full((4, 4), np.float32(np.inf)), "The array holds NaN or infinity. Expected finite values. "),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(image, message):
    with pytest.raises(ImageError) as caught:
        Predictor(segmenter()).predict(image)
    assert str(caught.value).startswith(message)


HOT = np.full((8, 8), 90, np.uint16)
HOT[3, 3] = 65535


@pytest.mark.parametrize(
    ("low", "high", "image", "is_fine"),
    [
        (0.0, 255.0, np.full((8, 8), 4000, np.uint16), False),
        (0.0, 255.0, HOT, False),
        (0.0, 255.0, np.full((8, 8), 255, np.uint16), True),
        (0.0, 255.0, np.full((8, 8), 0.7, np.float32), False),
        (0.0, 255.0, np.zeros((8, 8), np.float32), True),
        (0.0, 255.0, np.full((8, 8), 200.0, np.float32), True),
        (0.0, 255.0, np.ones((8, 8), bool), True),
        (0.0, 65535.0, np.full((8, 8), 255, np.uint8), False),
        (0.0, 700.0, HOT, True),
        (0.0, 700.0, np.full((8, 8), 200, np.uint8), True),
        (0.0, 700.0, np.full((8, 8), 30000, np.uint16), False),
        (0.0, 1.0, np.full((8, 8), 200, np.uint8), False),
        (0.0, 1.0, np.full((8, 8), 0.2, np.float32), True),
        (-3.0, 3.0, np.full((8, 8), 5.0, np.float32), True),
    ],
)
def test_values_on_another_scale_are_refused(low, high, image, is_fine):
    model = segmenter()
    model.preprocess = preprocess(low=low, high=high)
    if is_fine:
        assert Predictor(model).predict(image).label_map.shape == (8, 8)
        return
    with pytest.raises(ImageError) as caught:
        Predictor(model).predict(image)
    assert str(caught.value) == (
        f"The array holds {image.dtype} values up to {float(image.max()):g}. Expected about {low:g} to {high:g}, the "
        "range of the pictures that the model was trained on. Convert it to the bit depth of the training pictures."
    )

"""Pictures that are larger than memory allows are shown from windows."""

import numpy as np
import pytest

from pixelwise.data.windows import WindowedArray
from pixelwise.errors import PixelwiseError
from pixelwise.reporting import mask_shots
from pixelwise.reporting.mask_shots import shrunk

RNG = np.random.default_rng(0)


def windowed(array, read):
    def cut(rows, columns):
        read.append((rows.stop - rows.start) * (columns.stop - columns.start))
        return array[rows, columns]

    return WindowedArray(array.shape, array.dtype, cut)


def test_squares_are_averaged_strip_by_strip(monkeypatch):
    monkeypatch.setattr(mask_shots, "_SIDE_PX", 50)
    monkeypatch.setattr(mask_shots, "_STRIP_PX", 4)
    picture, labels = RNG.integers(0, 255, (97, 141, 3), np.uint8), RNG.integers(0, 4, (97, 141), np.uint8)
    read = []
    image, small = shrunk(windowed(picture, read), windowed(labels, read))
    assert image.shape == (32, 47, 3)
    assert small.shape == (32, 47)
    means = picture[:96, :141].astype(float).reshape(32, 3, 47, 3, 3).mean((1, 3))
    assert np.abs(image - means).max() < 1 + 1e-4
    assert (small == labels[:96:3, :141:3]).all()
    assert max(read) <= 4 * 3 * 141


@pytest.mark.parametrize("size", [(3, 900), (900, 3)])
def test_a_picture_thinner_than_a_square_keeps_one_line(monkeypatch, size):
    monkeypatch.setattr(mask_shots, "_SIDE_PX", 50)
    picture, labels = RNG.integers(0, 255, (*size, 1), np.uint8), RNG.integers(0, 4, size, np.uint8)
    image, small = shrunk(windowed(picture, []), windowed(labels, []))
    along, shape = int(np.argmin(size)), (1, 50) if size[0] < size[1] else (50, 1)
    assert (image.shape, small.shape) == ((*shape, 1), shape)
    means = picture[..., 0].astype(float).mean(along).reshape(50, 18).mean(1)
    assert np.abs(image.ravel() - means).max() < 1 + 1e-4
    assert (small.ravel() == labels.take(0, along)[::18]).all()


def test_the_panels_of_a_large_picture_are_itself_and_the_truth(monkeypatch):
    picture, labels = RNG.integers(0, 255, (60, 80, 3), np.uint8), RNG.integers(0, 2, (60, 80), np.uint8)

    class Samples:
        def windowed(self, _index, channels):
            assert channels == 3
            return windowed(picture, []), windowed(labels, [])

    class Shown:
        limit_bytes = 10**5

    monkeypatch.setattr(mask_shots, "locate", lambda _: (Samples(), 0))
    monkeypatch.setattr(mask_shots, "classes_of", lambda _: ("background", "cell"))
    panels = []
    with pytest.raises(PixelwiseError, match="too large to be predicted once more"):
        mask_shots._add_panels(panels, None, Shown(), None)
    assert [caption for caption, _ in panels] == ["Picture", "Truth"]

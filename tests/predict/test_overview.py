"""The small picture of a large one: means of squares, and the label in the middle of each."""

import numpy as np
import pytest

from pixelwise.data.regions import open_source
from pixelwise.predict.large import overview

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("longest", [40, 31, 7, 1000])
@pytest.mark.parametrize("values", [10**9, 300])
def test_squares_are_averaged_whatever_the_windows(tmp_path, monkeypatch, longest, values):
    monkeypatch.setattr(overview, "LONGEST_SIDE_PX", longest)
    monkeypatch.setattr(overview, "_BAND_VALUES", values)
    picture, labels = RNG.integers(0, 255, (61, 93, 3), np.uint8), RNG.integers(0, 5, (61, 93), np.uint8)
    np.save(tmp_path / "picture.npy", picture)
    np.save(tmp_path / "labels.npy", labels)
    with open_source(tmp_path / "picture.npy") as source, open_source(tmp_path / "labels.npy", stored=True) as classes:
        small, few = overview.overview(source, classes)
    factor = -(-93 // longest)
    assert max(small.shape[:2]) <= longest
    assert small.shape[:2] == few.shape
    for row in range(small.shape[0]):
        for column in range(small.shape[1]):
            square = np.s_[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            mean = picture[square].reshape(-1, 3).astype(float).mean(0)
            assert np.abs(small[row, column] - mean).max() <= 0.5 + 1e-9
            inside = labels[square]
            middle = min(factor // 2, inside.shape[0] - 1), min(factor // 2, inside.shape[1] - 1)
            assert few[row, column] == inside[middle]


def test_of_a_volume_the_plane_in_the_middle(tmp_path):
    volume, labels = RNG.random((7, 20, 30), np.float32), RNG.integers(0, 5, (7, 20, 30), np.uint8)
    np.save(tmp_path / "volume.npy", volume)
    np.save(tmp_path / "labels.npy", labels)
    with (
        open_source(tmp_path / "volume.npy", 3) as source,
        open_source(tmp_path / "labels.npy", 3, stored=True) as classes,
    ):
        small, few = overview.overview(source, classes)
    np.testing.assert_allclose(small[..., 0], volume[3], rtol=1e-6)
    np.testing.assert_array_equal(few, labels[3])

"""What the writers write reads back unchanged, and other forms are refused before a file appears."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_images import random_pixels

from pixelwise.data.images import read_image
from pixelwise.data.writing import write_indexed_png, write_png, write_tiff
from pixelwise.errors import OutputError


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 3), (5, 6, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_written_tiff_reads_back(shape: tuple[int, ...], dtype: type, tmp_path: Path) -> None:
    values = (np.random.default_rng(0).random(shape) * 250).astype(dtype)
    write_tiff(tmp_path / "x.tif", values)
    assert np.array_equal(read_image(tmp_path / "x.tif"), values.reshape(5, 6, -1))
    assert [path.name for path in tmp_path.iterdir()] == ["x.tif"]


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_written_png_reads_back(shape: tuple[int, ...], dtype: type, tmp_path: Path) -> None:
    values = random_pixels(*shape, top=np.iinfo(dtype).max, dtype=dtype)
    write_png(tmp_path / "x.png", values)
    assert np.array_equal(read_image(tmp_path / "x.png"), values.reshape(5, 6, -1))


def test_written_label_map_keeps_indices_and_colours(tmp_path: Path) -> None:
    labels = random_pixels(5, 6, top=3)
    labels[0, 0] = 255
    write_indexed_png(tmp_path / "m.png", labels, [(1, 2, 3), (4, 5, 6), (7, 8, 9)])
    with Image.open(tmp_path / "m.png") as picture:
        assert np.array_equal(np.asarray(picture), labels)
    shown = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]] + [[0, 0, 0]] * 253)[labels]
    assert np.array_equal(read_image(tmp_path / "m.png"), shown)


def test_writers_refuse_other_forms(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write_png(tmp_path / "x.png", np.zeros((2, 2, 4), np.uint8))
    assert str(caught.value) == (
        "(2, 2, 4) values of uint8 cannot become x.png. Expected (H, W), (H, W, 1) or (H, W, 3) of uint8 or uint16. "
        "Convert the array."
    )
    with pytest.raises(OutputError, match="float64"):
        write_tiff(tmp_path / "x.tif", np.zeros((2, 2)))
    with pytest.raises(OutputError, match="label map"):
        write_indexed_png(tmp_path / "x.png", np.zeros((2, 2, 3), np.uint8), [(0, 0, 0)])
    with pytest.raises(OutputError, match="A palette of 0 colours"):
        write_indexed_png(tmp_path / "x.png", np.zeros((2, 2), np.uint8), [])
    assert not list(tmp_path.iterdir())

"""Fixtures for predictions of large pictures."""

import pytest
import tifffile

from large_pictures import PICTURE, field_of
from pixelwise.predict.large import objects, work
from pixelwise.predict.member import Member
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import CENTRE
from pixelwise.predict.tiling import planner
from small_models import segmenter


@pytest.fixture
def quick_and_fine(monkeypatch):
    """Follow the graph of networks of one table once; write blocks that straddle tiles."""
    monkeypatch.setattr(planner, "receptive_field", field_of)
    monkeypatch.setattr(work, "block_sides", lambda size, fmt: (48, 32))
    monkeypatch.setattr(objects, "_STRIP_PX", 37)


@pytest.fixture(scope="module")
def member():
    return Member(segmenter(classes=("background", "cell", "border")), "cpu", 1, CENTRE)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "in" / "big.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, PICTURE, tile=(32, 48), compression="zlib", resolution=(5000, 2500), resolutionunit=3)
    return path


@pytest.fixture(scope="module")
def whole(member):
    """What the model says of the picture when it sees all of it at once."""
    return Predictor(member.model).predict(PICTURE, probabilities=True)

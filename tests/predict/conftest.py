"""Fixtures for predictions of large pictures."""

import pytest
import tifffile
import torch

from large_pictures import PICTURE, field_of
from pixelwise import catalogue
from pixelwise.predict.large import objects, work
from pixelwise.predict.member import Member
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import CENTRE
from pixelwise.predict.tiling import planner
from pixelwise.runs.model import Model
from pixelwise.tasks import make_task
from small_models import preprocess, segmenter


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


@pytest.fixture(scope="session")
def counter():
    """A model for instances whose answers are anything, but the same every time; its background is likely enough."""
    task = make_task("instances", ("background", "cell"))
    torch.manual_seed(3)
    spec = catalogue.spec("unet16").override({"widths": "4,8"})
    network = spec.build(1, task.num_outputs).eval()
    with torch.no_grad():
        *_, head = (module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
        head.weight.mul_(6)
    return Model(network, spec, task, preprocess())

"""Every classification network goes through ``train`` on the same few real pictures, with the same settings.

The pictures are bundled clothes of 28 x 28 grey pixels. Nothing here knows what a network needs: its channels, classes
and the size of its pictures have to settle by themselves.
"""

import math
import shutil

import cv2
import numpy as np
import pytest

import pixelwise as pw
from pixelwise import catalogue
from pixelwise.data import samples
from pixelwise.runs.folder import Run
from pixelwise.training.settle import build_on_meta, takes
from shrunk import MEMBERS

NAMES = [name for name in catalogue.names() if catalogue.spec(name).task == "classification"]
COUNTS = {"train": 2, "val": 1, "test": 1}
"""Pictures of each class."""
FIRST = {member.spec.family: key for key, member in reversed(MEMBERS.items()) if member.spec.task == "classification"}
"""The first member of each family."""
CLASSES = ("Trouser", "Bag")
NATIVE = (28, 28)


@pytest.fixture(scope="module")
def clothes(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "clothes"
    images, labels = samples.fashion("train")
    for name in CLASSES:
        own = iter(images[labels == samples.FASHION_CLASSES.index(name)])
        for split, count in COUNTS.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                assert cv2.imwrite(str(root / split / name / f"{number}.png"), next(own))
    return root


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    shutil.rmtree(tmp_path)  # runs of the largest networks take gigabytes


def check_run(clothes, spec, out):
    """Train for one epoch and look at everything that the run leaves."""
    run = pw.train(clothes, spec, settings={"epochs": "1", "batch_size": "2"}, out=out, should_check=False, quiet=True)
    assert run.status == "finished"
    losses = [event["loss"] for event in run.journal if event["event"] == "step"]
    assert losses
    assert all(math.isfinite(loss) for loss in losses)
    (epoch,) = [event for event in run.journal if event["event"] == "epoch"]
    assert epoch["step"] == 2
    assert math.isfinite(epoch["val_loss"])
    assert run.scores["split"] == "test"

    fits = takes(build_on_meta(spec, 1, len(CLASSES)), NATIVE)
    own = spec.fixed_size or catalogue.spec(spec.name).facts.input_size[1:]
    preprocess = run.config.preprocess
    assert (preprocess["resize"], preprocess["size"]) == (("none", None) if fits else ("stretch", list(own)))
    assert (run.config.in_channels, run.config.num_classes) == (1, len(CLASSES))

    model = pw.load(Run.open(out).path)
    for picture in sorted((clothes / "test").rglob("*.png")):
        prediction = model.predict(picture)
        assert prediction.label in CLASSES
        assert np.isfinite(prediction.probabilities).all()
        assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("key", [*FIRST.values(), "bn_alexnet", "bn_nin of full head", "googlenet_paper"])
def test_a_small_member_of_each_family_trains(key, clothes, tmp_path):
    check_run(clothes, MEMBERS[key].spec, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_the_catalogue_trains(name, clothes, tmp_path):
    check_run(clothes, catalogue.spec(name), tmp_path / "run")

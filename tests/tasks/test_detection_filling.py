"""Detection is validated on the picture alone: its mirror images fill a view up, and nothing of them counts."""

import math

import cv2
import numpy as np
import pytest
import torch

from pixelwise.data.box_lists import PICTURE
from pixelwise.data.dataset import Dataset
from pixelwise.data.manifest import build_manifest
from pixelwise.data.preprocess import Preprocess
from pixelwise.tasks import make_task

GREY = Preprocess(channels=1, low=0, high=255, mean=(0.0,), std=(1.0,))
BOXES = [(20, 28, 30, 36), (30, 5, 37, 20), (33, 33, 40, 40)]  # the last one reaches the corner


@pytest.fixture
def target(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 40), np.uint8))
    rows = "".join(f"a.png,cat,{','.join(map(str, box))}\n" for box in BOXES)
    (tmp_path / "boxes.csv").write_text(f"path,label,x_min,y_min,x_max,y_max\n{rows}")
    manifest = build_manifest(tmp_path, task="detection", use_cache=False)
    data = Dataset(manifest, tmp_path, np.arange(1), GREY, augment=None, crop=None, seed=0, fills_to=16)
    images, targets, _ = data.arrays(np.arange(1), 0)
    assert images.shape == (1, 48, 48, 1)
    assert targets.nbytes <= data.sample_bytes
    return torch.from_numpy(targets)


def said(boxes):
    """Outputs of 48 x 48 that say exactly these boxes."""
    logits = torch.full((1, 5, 48, 48), -20.0)
    for x_min, y_min, x_max, y_max in boxes:
        x, y = (x_min + x_max) / 2, (y_min + y_max) / 2
        row, column = int(y), int(x)
        sides = math.log(y_max - y_min), math.log(x_max - x_min)
        logits[0, :, row, column] = torch.tensor([8.0, *sides, y - row, x - column])
    return logits


def scored(target, boxes):
    meter = make_task("detection", ["cat"]).meter()
    meter.update(said(boxes), target)
    return meter.scores(), int(meter.state()["objects"])


def test_objects_of_the_filling_are_neither_missed_nor_invented(target):
    scores, objects = scored(target, BOXES)
    assert (scores, objects) == ({"ap50": 1.0, "recall": 1.0}, 3)
    mirrored = [*BOXES, (20, 43, 30, 48), (42, 5, 48, 20)]
    assert scored(target, mirrored) == (scores, 3)


def test_what_is_said_of_an_object_and_its_image_is_cut_to_the_picture(target):
    assert scored(target, [*BOXES[:2], (33, 33, 46, 46)])[0] == {"ap50": 1.0, "recall": 1.0}


def test_the_loss_goes_on_over_the_edge_as_in_training(target):
    rows = target[0][target[0, :, 0] == 0]
    seen = {tuple((rows[i, 1:3] + 24).tolist()) for i in range(len(rows))}
    assert {(25.0, 32.0), (33.5, 12.5), (39.5, 39.5)} < seen  # the last one with its image
    criterion = make_task("detection", ["cat"])
    assert criterion.loss((said(BOXES),), target) == criterion.loss((said(BOXES),), rows[None])
    assert (target[0, :, 0] == PICTURE).sum() == 1

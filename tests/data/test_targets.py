"""Targets of batches: sets of classes and boxes, from the table to the arrays that the loss gets."""

import numpy as np
import pytest
from PIL import Image

from pixelwise.data.augment import Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.loading import load_batches
from pixelwise.data.manifest import build_manifest
from pixelwise.data.preprocess import Preprocess

TABLE = "path,label,x_min,y_min,x_max,y_max\n"


@pytest.fixture
def boxed(tmp_path):
    """Twelve pictures of 20 x 30 with a bright rectangle each."""
    rng = np.random.default_rng(3)
    lines = []
    for number in range(12):
        x, y = int(rng.integers(0, 20)), int(rng.integers(0, 12))
        across, along = rng.integers(4, 9, 2).tolist()
        picture = np.full((20, 30), 20, np.uint8)
        picture[y : y + along, x : x + across] = 250
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},{x},{y},{x + across},{min(y + along, 20)}")
    (tmp_path / "boxes.csv").write_text(TABLE + "\n".join(lines) + "\n")
    return tmp_path, build_manifest(tmp_path, use_cache=False)


def make(source, preprocess, augment=None, **options):
    root, manifest = source
    return Dataset(
        manifest, root, np.arange(len(manifest)), preprocess, augment=augment, crop=options.pop("crop", None), seed=4,
        **options,
    )  # fmt: skip


def frame(**changes):
    return Preprocess(channels=1, low=0, high=255, mean=(0.0,), std=(1.0,), **changes)


def bright_boxes(images):
    """Extents of what is bright, (N, 4) in pixels: the oracle, from the picture itself."""
    found = []
    for image in images[..., 0]:
        rows, columns = np.flatnonzero((image > 135).any(1)), np.flatnonzero((image > 135).any(0))
        found.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, 0, 0))
    return np.array(found, float)


def in_pixels(targets, images):
    centre_x, centre_y, across, along = targets[:, 1:].T * np.array([images.shape[2], images.shape[1]] * 2)[:, None]
    return np.stack([centre_x - across / 2, centre_y - along / 2, centre_x + across / 2, centre_y + along / 2], 1)


@pytest.mark.parametrize(
    ("preprocess", "augment", "options", "slack_px"),
    [
        (frame(), None, {}, 1e-4),
        (frame(), Augment(), {"cache": "none"}, 1e-4),
        (frame(resize="stretch", size=(40, 60)), None, {}, 1.01),
        (frame(resize="pad", size=(40, 40)), None, {}, 1.01),
        (frame(), None, {"crop": (18, 26)}, 1e-4),
        (frame(), Augment(flip_horizontal=0.5, flip_vertical=0.5, quarter_turns=True, border="fill"), {}, 1e-4),
        (frame(), Augment(shift_px=4, border="fill"), {"crop": (28, 40)}, 1e-4),
        (frame(), Augment(rotate_degrees=40, scale=(0.8, 1.3), border="fill"), {"crop": (60, 60)}, 1.6),
        (frame(), Augment(elastic_px=1.5, border="fill"), {"crop": (40, 50)}, 1.6),
        (frame(resize="stretch", size=(32, 48)), Augment(area=(0.9, 1.0)), {}, 2.6),
    ],
)
def test_boxes_are_where_the_picture_shows_the_object(boxed, preprocess, augment, options, slack_px):
    data = make(boxed, preprocess, augment, **options)
    for epoch in (0, 1):
        images, targets, indices = data.arrays(np.arange(12), epoch)
        assert (targets.dtype, targets.shape) == (np.float32, (12, 5))
        np.testing.assert_array_equal(targets[:, 0], indices % 2)
        whole = targets[:, 3] > 0
        assert whole.all()
        np.testing.assert_allclose(in_pixels(targets, images), bright_boxes(images), atol=slack_px)


def test_a_box_that_leaves_the_view_is_none(boxed):
    data = make(boxed, frame(), None, crop=(4, 4))
    _, targets, _ = data.arrays(np.arange(12), 0)
    gone = targets[:, 3] == 0
    assert gone.any()
    assert (targets[gone, 1:] == 0).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_and_caches_give_the_same_boxes(boxed, workers):
    augment = Augment(flip_horizontal=0.5, rotate_degrees=20)
    streams = [
        [batch.targets.numpy() for batch in load_batches(data, batch_size=5, epoch=2, shuffle=True, workers=number)]
        for data, number in ((make(boxed, frame(), augment, cache="none"), 0), (make(boxed, frame(), augment), workers))
    ]
    for one, other in zip(*streams, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("workers", [0, 2])
def test_sets_are_zeros_and_ones(tmp_path, workers):
    names = "abcdefghijk"
    rng = np.random.default_rng(0)
    sets = [[name for name in names if rng.random() < 0.3] for _ in range(9)]
    lines = []
    for number, shown in enumerate([*sets, list(names)]):
        Image.fromarray(rng.integers(0, 255, (6, 6), np.uint8)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{';'.join(reversed(shown))}")
    (tmp_path / "t.csv").write_text("path,labels\n" + "\n".join(lines) + "\n")
    data = make((tmp_path, build_manifest(tmp_path, use_cache=False)), frame())
    batches = list(load_batches(data, batch_size=4, epoch=0, shuffle=False, workers=workers))
    targets = np.concatenate([batch.targets.numpy() for batch in batches])
    assert targets.dtype == np.float32
    assert [[names[k] for k in np.flatnonzero(row)] for row in targets] == [*sets, list(names)]

"""Factors for classes from the data: formulas by hand, masks counted pixel by pixel, and a run that records them."""

from math import e, log
from pathlib import Path

import cv2
import numpy as np
import pytest

import pixelwise as pw
from pixelwise.data.pixel_counts import count_pixels
from pixelwise.errors import DataError, PixelwiseError, UsageError
from pixelwise.runs.folder import Run
from pixelwise.tasks.class_weights import balanced, enet


class Masks:
    """Label maps in memory."""

    def __init__(self, *maps: object) -> None:
        self.maps = [np.array(one, np.uint8) for one in maps]
        self.read: list[int] = []

    def label_strips(self, index: int) -> list[np.ndarray]:
        self.read.append(index)
        whole = self.maps[index % len(self.maps)]
        return [whole[:1], whole[1:]]


def test_pixels_are_counted_without_the_ignored_ones() -> None:
    masks = Masks([[0, 1, 255], [2, 2, 255]], [[0, 0], [0, 0]], [[1, 1]], [[[0, 2]], [[2, 2]]])
    assert count_pixels(masks, [0, 1, 3], 3).tolist() == [6, 1, 5]
    assert masks.read == [0, 1, 3]
    assert count_pixels(masks, [2], 4).tolist() == [0, 2, 0, 0]


def test_of_many_masks_evenly_spaced_ones_are_read() -> None:
    masks = Masks([[0]], [[1]])
    assert count_pixels(masks, np.arange(10_000), 2).sum() == len(masks.read) == 2_000
    assert (masks.read[0], masks.read[-1]) == (0, 9_999)
    assert set(np.diff(masks.read)) <= {5, 6}


def test_balanced_is_inverse_to_the_share_with_mean_one() -> None:
    weights = balanced(np.array([60, 30, 10]), ("a", "b", "c"), "pixels")
    assert weights == pytest.approx((100 / 180, 100 / 90, 100 / 30))
    assert sum(w * n for w, n in zip(weights, (60, 30, 10), strict=True)) / 100 == pytest.approx(1)
    with pytest.raises(DataError) as caught:
        balanced(np.array([3, 0]), ("a", "b"), "pixels")
    assert str(caught.value) == "The class 'b' has no training pixels. Add some, or leave the class out."


def test_enets_factors_lie_between_those_of_everywhere_and_nowhere() -> None:
    assert enet(np.array([5, 0]), ("a", "b"), "pixels") == pytest.approx((1 / log(2.02), 1 / log(1.02)))
    share = e - 1.02 - 1  # whose factor would be 1 / ln(e - 1)
    assert enet(np.array([share, 1 - share]), ("a", "b"), "pixels")[0] == pytest.approx(1 / log(e - 1))
    with pytest.raises(DataError) as caught:
        enet(np.array([0, 0]), ("a", "b"), "pixels")
    assert str(caught.value) == "None of a, b has training pixels. Check the masks."


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    for folder in ("images", "masks"):
        (tmp_path / "cells" / folder).mkdir(parents=True)
    for number in range(8):
        image, mask = rng.integers(0, 90, (24, 24), np.uint8), np.zeros((24, 24), np.uint8)
        mask[4:10, 4:10] = 1
        cv2.imwrite(str(tmp_path / "cells" / "images" / f"{number}.png"), image)
        cv2.imwrite(str(tmp_path / "cells" / "masks" / f"{number}.png"), mask)
    return tmp_path / "cells"


SMALL = {"widths": "4,8", "epochs": "1", "batch_size": "4"}


def start(data: Path, out: Path, rule: object, **more: object) -> Run:
    return pw.train(data, "unet16", out=out, settings=SMALL, class_weights=rule, should_check=False, quiet=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("balanced", (576 / (2 * 540), 576 / (2 * 36))),
        ("enet", (1 / log(1.02 + 540 / 576), 1 / log(1.02 + 36 / 576))),
    ],
)
def test_a_run_on_masks_records_the_factors(
    rule: str, expected: tuple[float, float], cells: Path, tmp_path: Path
) -> None:
    run = start(cells, tmp_path / "run", rule)
    assert run.config.task["class_weights"] == pytest.approx(expected)
    if rule == "enet":  # asked for once more, the request is the run's; another rule is not
        assert start(cells, tmp_path / "run", rule, on_existing="resume").status == "finished"
        with pytest.raises(PixelwiseError, match="class_weights"):
            start(cells, tmp_path / "run", "balanced", on_existing="resume")


def test_rules_that_do_not_suit_are_refused(cells: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as unknown:
        start(cells, tmp_path / "run", "median")
    assert str(unknown.value) == (
        "class_weights='median'. Expected balanced, enet, or one number for each class. Choose one."
    )
    for name in ("a", "b"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for number in range(10):
            image = np.full((28, 28), 20 * number + (7 if name == "a" else 0), np.uint8)
            cv2.imwrite(str(tmp_path / "classes" / name / f"{number}.png"), image)
    with pytest.raises(DataError) as caught:
        pw.train(tmp_path / "classes", "lenet5_relu", out=tmp_path / "other", class_weights="enet", quiet=True)
    assert str(caught.value) == (
        "class weights 'enet' for classification. Expected masks of classes, whose pixels can be counted. "
        "Use balanced, or give one number for each class."
    )

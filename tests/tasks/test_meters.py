"""Meters: the same scores whatever the batches and processes, and the scores of the definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError
from pixelwise.tasks import make_task
from pixelwise.tasks.set_meter import SetMeter


def names(count):
    return tuple(f"class {index}" for index in range(count))


def batches_of(task, seed, sizes):
    rng = np.random.default_rng(seed)
    shape = (6, 5) if task.name == "segmentation" else ()
    for size in sizes:
        logits = torch.from_numpy(rng.normal(size=(size, task.num_outputs, *shape)).astype(np.float32))
        target = rng.integers(0, len(task.classes), (size, *shape))
        if shape:
            target[rng.random(target.shape) < 0.2] = 255
            target = target.astype(np.uint8)
        yield logits, torch.from_numpy(target)


@given(
    seed=st.integers(0, 1000),
    name=st.sampled_from(["classification", "segmentation"]),
    num_classes=st.sampled_from([2, 3, 7]),
    binary=st.sampled_from(["auto", "softmax"]),
)
@settings(max_examples=40, deadline=None)
def test_scores_do_not_depend_on_batches_or_processes(seed, name, num_classes, binary):
    task = make_task(name, names(num_classes), binary=binary)
    batches = list(batches_of(task, seed, [3, 1, 4]))
    single, joined = task.meter(), task.meter()
    processes = [task.meter() for _ in batches]
    for batch, process in zip(batches, processes, strict=True):
        single.update(*batch)
        process.update(*batch)
    whole = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    at_once = task.meter()
    at_once.update(*whole)
    joined.load_state({key: sum(one.state()[key] for one in processes) for key in single.state()})
    assert single.scores() == at_once.scores() == joined.scores()
    predicted = task.predictions(whole[0]).numpy()
    target = whole[1].numpy()
    counted = target != 255
    key = "pixel_accuracy" if name == "segmentation" else "top1"
    assert single.scores()[key] == pytest.approx((predicted == target)[counted].mean())
    assert all(0 <= score <= 1 for score in single.scores().values())


def test_sums_made_in_place_are_seen_by_the_meter():
    task = make_task("segmentation", names(2))
    meter = task.meter()
    meter.update(torch.tensor([[[[1.0, -1.0]]]]), torch.tensor([[[1, 1]]], dtype=torch.uint8))
    meter.state()["confusion"].copy_(torch.tensor([[3, 0], [0, 1]]))
    assert meter.scores() == {"mean_iou": 1.0, "mean_dice": 1.0, "pixel_accuracy": 1.0}


def test_known_scores_of_a_small_example():
    task = make_task("segmentation", names(3))
    logits = torch.eye(3)[[0, 0, 1, 1]].T.reshape(1, 3, 2, 2)
    meter = task.meter()
    meter.update(logits, torch.tensor([[[0, 1], [1, 255]]], dtype=torch.uint8))
    # class 0: 1 of 2, class 1: 1 of 2, class 2 is neither there nor predicted
    scores = meter.scores()
    assert scores == pytest.approx({"mean_iou": 0.5, "mean_dice": 2 / 3, "pixel_accuracy": 2 / 3})


def test_means_of_volumes_leave_the_background_out():
    meter = make_task("volumes", names(3)).meter()
    logits = torch.eye(3)[[0, 0, 0, 1]].T.reshape(1, 3, 1, 2, 2)
    meter.update(logits, torch.tensor([[[[0, 0], [1, 1]]]], dtype=torch.uint8))
    # class 1: 1 of 2 found, Dice 2/3; class 2 is neither there nor predicted; class 0 (Dice 4/5) counts in no mean
    expected = {"foreground_dice": 2 / 3, "foreground_iou": 0.5, "voxel_accuracy": 0.75}
    assert meter.scores() == pytest.approx(expected)
    empty = make_task("volumes", names(2)).meter()
    empty.update(-torch.ones(1, 1, 1, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.uint8))
    assert empty.scores() == {"voxel_accuracy": 1.0}


def test_top5_counts_the_first_five_places_and_only_where_there_are_more_classes():
    task = make_task("classification", names(7))
    meter = task.meter()
    meter.update(-torch.arange(7.0).repeat(7, 1), torch.arange(7))
    assert meter.scores()["top5"] == pytest.approx(5 / 7)
    assert meter.scores()["top1"] == pytest.approx(1 / 7)
    small = make_task("classification", names(5)).meter()
    small.update(torch.eye(5), torch.arange(5))
    assert small.scores() == {"top1": 1.0, "macro_f1": 1.0}


@pytest.mark.parametrize("name", ["classification", "segmentation"])
def test_a_split_without_labels_has_no_score(name):
    with pytest.raises(DataError) as caught:
        make_task(name, names(3)).meter().scores()
    assert str(caught.value) == (
        "Nothing was counted: the split has no labelled image, or no pixel that is not ignored. Expected at least one "
        "label. Run pixelwise check on the data."
    )


@pytest.mark.parametrize("wrong", [-1e20, -float("inf"), float("nan")])
def test_sets_rank_the_largest_and_smallest_logits_where_they_belong(wrong):
    meter = SetMeter((0.5,))
    meter.update(torch.tensor([[wrong], [1.0], [float("inf")], [1e20]]), torch.tensor([[0], [1], [1], [1]]))
    assert meter.scores() == {"map": 1.0, "macro_f1": 1.0, "exact_match": 1.0}

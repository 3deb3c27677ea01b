"""Instances as a task: what a network is asked for, what it costs, and how it is scored while it learns."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pixelwise.data.weight_map import separate_touching, weight_map
from pixelwise.errors import DataError, SpecError, UsageError
from pixelwise.tasks import Instances, make_task, task_from_json
from pixelwise.tasks.separation import contacts, rims

CLASSES = ("background", "cell")


def planes(objects: np.ndarray, *, weighed: bool = False) -> torch.Tensor:
    """Class, weight and object of one picture: (1, 3, H, W)."""
    weights = weight_map(objects) if weighed else np.ones(objects.shape)
    return torch.tensor(np.stack([objects > 0, weights, objects]), dtype=torch.float32)[None]


def two_squares() -> np.ndarray:
    objects = np.zeros((12, 16), np.int32)
    objects[2:9, 2:8] = 3
    objects[2:9, 8:14] = 7
    return objects


def brute_rims(objects: np.ndarray, reach: int) -> np.ndarray:
    height, width = objects.shape
    result = np.zeros(objects.shape, bool)
    for y in range(height):
        for x in range(width):
            window = objects[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
            result[y, x] = objects[y, x] > 0 and bool((window != objects[y, x]).any())
    return result


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_rims_are_what_lies_near_something_else(reach):
    rng = np.random.default_rng(reach)
    for _ in range(5):
        objects = np.kron(rng.integers(0, 4, (3, 4)), np.ones((5, 4), int))
        found = rims(torch.tensor(objects)[None], reach)[0].numpy()
        assert np.array_equal(found, brute_rims(objects, reach))


def test_contacts_are_what_the_weight_map_draws_apart():
    rng = np.random.default_rng(0)
    for _ in range(5):
        objects = np.kron(rng.integers(0, 6, (4, 5)), np.ones((3, 4), np.int32)).astype(np.int32)
        found = contacts(torch.tensor(objects)[None])[0].numpy()
        assert found.any()
        assert np.array_equal(found, (objects > 0) & (separate_touching(objects) == 0))


def test_outputs_follow_from_the_separation():
    border, weights, none = (make_task("instances", CLASSES, separate=one) for one in ("border", "weights", "none"))
    assert (border.num_outputs, weights.num_outputs, none.num_outputs) == (3, 2, 2)
    assert (border.is_weighed, weights.is_weighed, none.is_weighed) == (False, True, False)
    assert make_task("instances", CLASSES) == border
    assert not make_task("segmentation", CLASSES).is_weighed
    target = planes(two_squares())
    index = border.output_indices(target)[0]
    assert (index == 2).sum() == brute_rims(two_squares(), 2).sum()
    assert index.unique().tolist() == [0, 1, 2]
    target[:, 0, :, 8] = 255
    assert (border.output_indices(target)[0, :, 8] == 255).all()
    for task in (border, weights, none):
        assert task_from_json(task.to_json()) == task


def test_the_cost_is_cross_entropy_over_the_outputs_weighed_where_asked():
    torch.manual_seed(0)
    objects = two_squares()
    border = make_task("instances", CLASSES)
    logits = torch.randn(1, 3, 12, 16, dtype=torch.float64)
    target = planes(objects, weighed=True)
    expected = F.cross_entropy(logits, border.output_indices(target))
    assert torch.allclose(border.loss((logits,), target), expected)
    weighed = make_task("instances", CLASSES, separate="weights")
    apart = torch.tensor(separate_touching(objects) > 0).long()[None]
    assert apart.sum() == target[:, 0].sum() - 2 * 7  # seven rows of either square touch
    each = F.cross_entropy(logits[:, :2], apart, reduction="none")
    expected = (each * target[:, 1]).sum() / target[:, 1].sum()
    assert torch.allclose(weighed.loss((logits[:, :2],), target), expected)
    smaller = logits[:, :, 2:-2, 2:-2]  # valid convolutions: the rims are those of the whole planes
    expected = F.cross_entropy(smaller, border.output_indices(target)[:, 2:-2, 2:-2])
    assert torch.allclose(border.loss((smaller,), target), expected)
    heavy = make_task("instances", CLASSES, class_weights=(1, 5))
    expected = F.cross_entropy(logits, border.output_indices(target), torch.tensor([1, 5, 5.0], dtype=torch.float64))
    assert torch.allclose(heavy.loss((logits,), target), expected)


def test_a_rim_counts_as_its_object():
    task = make_task("instances", ("background", "a", "b"))
    shares = torch.tensor([[0.1, 0.3, 0.1, 0.5]])[..., None, None]
    answers = task.answers(shares.log())
    assert torch.allclose(answers.squeeze(), torch.tensor([0.1, 0.675, 0.225, 0.5]))
    assert torch.allclose(task.probabilities(shares.log()).sum(1), torch.ones(1, 1, 1))
    plain = make_task("instances", CLASSES, separate="none")
    assert torch.allclose(plain.answers(torch.zeros(1, 2, 1, 1)), torch.full((1, 2, 1, 1), 0.5))


def test_the_meter_finds_objects_by_their_insides():
    task = make_task("instances", CLASSES)
    target = planes(two_squares())
    right = F.one_hot(task.output_indices(target), 3).permute(0, 3, 1, 2).float()
    meter = task.meter()
    meter.update(right, target)
    assert meter.scores() == {"ap50": 1.0, "object_f1": 1.0, "mean_iou": 1.0}
    merged = right.clone()
    merged[:, :, 4:7, 4:12] = torch.tensor([0, 1.0, 0])[None, :, None, None]  # no rim between the two
    other = task.meter()
    other.update(merged, target)
    found = other.scores()
    assert (found["ap50"], found["object_f1"]) == (0.0, 0.0)
    other.load_state({name: other.state()[name] + meter.state()[name] for name in meter.state()})
    assert other.scores()["ap50"] == pytest.approx(2 / 5)


def test_objects_drawn_apart_are_compared_with_the_whole_ones():
    objects = np.zeros((9, 11), np.int32)
    objects[3:6, 2:5], objects[3:6, 5:8] = 4, 9  # three columns each, of which the gap between them takes one each
    task, target = make_task("instances", CLASSES, separate="weights"), planes(objects)
    meter = task.meter()
    meter.update(F.one_hot(task.output_indices(target), 2).permute(0, 3, 1, 2).float(), target)
    assert meter.scores() == {"ap50": 1.0, "object_f1": 1.0, "mean_iou": 1.0}
    target[:, 0, 4, 4] = 255  # where nothing is known nothing grows
    meter = task.meter()
    meter.update(F.one_hot(task.output_indices(target).clamp(max=1), 2).permute(0, 3, 1, 2).float(), target)
    assert meter.scores()["ap50"] == 1.0
    empty = task.meter()
    nothing = planes(np.zeros((4, 4), np.int32))
    empty.update(F.one_hot(task.output_indices(nothing), 3).permute(0, 3, 1, 2).float(), nothing)
    assert empty.scores() == {"mean_iou": 1.0}
    with pytest.raises(DataError, match="Nothing was counted"):
        task.meter().scores()


@pytest.mark.parametrize(
    ("classes", "choices", "fault", "message"),
    [
        (
            CLASSES,
            {"separate": "boarder"},
            UsageError,
            "separate='boarder'. Expected border, weights, none. Did you mean border?",
        ),
        (
            CLASSES,
            {"separate": "weights", "loss": "lovasz_softmax"},
            UsageError,
            "loss 'lovasz_softmax' makes no use of the weights of pixels. Expected a sum with ce. "
            "Add such a term, or choose another separation (--separate border).",
        ),
        (("cell",), {}, DataError, "There is only one class: cell. Expected two or more classes."),
        (tuple(map(str, range(255))), {}, DataError, "255 classes. Expected at most 254, as 255 means not counted"),
    ],
)
def test_choices_that_do_not_fit_are_refused(classes, choices, fault, message):
    with pytest.raises(fault, match=re.escape(message.rstrip("."))):
        make_task("instances", classes, **choices)


def test_other_faults_are_refused():
    with pytest.raises(
        UsageError, match=re.escape("separate='border' for segmentation. Expected nothing: its objects")
    ):
        make_task("segmentation", CLASSES, separate="border")
    with pytest.raises(UsageError, match=re.escape("border_px=0. Expected at least 1 pixel. 2 is usual")):
        Instances(classes=CLASSES, objective="ce", border_px=0)
    task = make_task("instances", CLASSES)
    with pytest.raises(SpecError, match=re.escape("Logits of shape (1, 2, 12, 16) for 1 pictures with objects")):
        task.loss((torch.zeros(1, 2, 12, 16),), planes(two_squares()))

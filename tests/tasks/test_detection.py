"""Objects as points: the loss against its equations, boxes read back from perfect outputs, scores of perfect ones."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from pixelwise.data.box_lists import all_through, box_list_text, parse_box_list
from pixelwise.data.warp import Warp
from pixelwise.errors import SpecError, UsageError
from pixelwise.losses import CentreLoss, gaussian_radius
from pixelwise.metrics import box_iou
from pixelwise.tasks import find_objects, make_task

PRIOR = math.log(0.1 / 0.9)


def test_a_gaussian_is_as_wide_as_a_box_may_be_shifted_to_overlap_by_seven_tenths():
    """Both corners are moved by the radius, in the three ways: the worst of them overlaps by exactly 0.7."""
    for height, width in ((10, 10), (40, 12), (7.5, 80)):
        r = gaussian_radius(height, width)
        box = torch.tensor([[0.0, 0.0, width, height]])
        moves = [(r, r, r, r), (r, r, -r, -r), (-r, -r, r, r)]
        overlaps = [box_iou(box, box + torch.tensor([move])).item() for move in moves]
        assert min(overlaps) == pytest.approx(0.7, abs=1e-6)


def brute_force(logits, boxes, num_classes):
    """Equations 1 to 3 of the paper, pixel by pixel."""
    count, cost = 0, 0.0
    n, _, height, width = logits.shape
    for image in range(n):
        truth = np.zeros((num_classes, height, width))
        for label, from_middle_x, from_middle_y, across, along in boxes[image].tolist():
            x, y = from_middle_x + width / 2, from_middle_y + height / 2
            if label < 0 or not (0 <= x < width and 0 <= y < height):
                continue
            count += 1
            column, row = int(x), int(y)
            sigma = gaussian_radius(along, across) / 3
            for i in range(height):
                for j in range(width):
                    if max(abs(i - row), abs(j - column)) <= max(1, math.ceil(3 * sigma)):
                        peak = math.exp(-((i - row) ** 2 + (j - column) ** 2) / (2 * sigma**2))
                        truth[int(label), i, j] = max(truth[int(label), i, j], peak)
            log_height, log_width, down, right = logits[image, num_classes:, row, column].tolist()
            cost += abs(log_height - math.log(along)) + abs(log_width - math.log(across))
            cost += abs(down - (y - row)) + abs(right - (x - column))
        for place in np.ndindex(truth.shape):
            p = 1 / (1 + math.exp(-(logits[image][place].item() + PRIOR)))
            g = truth[place]
            cost -= (1 - p) ** 2 * math.log(p) if g == 1 else (1 - g) ** 4 * p**2 * math.log(1 - p)
    return cost / max(1, count)


def test_the_loss_is_that_of_the_paper():
    torch.manual_seed(0)
    logits = torch.randn(2, 2 + 4, 9, 11, dtype=torch.float64)
    boxes = torch.tensor([
        [[0, -2.3, 1.1, 4.0, 3.0], [1, 3.0, 0.0, 2.5, 6.0], [0, -1.0, 1.0, 3.0, 3.0]],
        [[1, 0.4, -9.0, 3.0, 3.0], [-1, -1, -1, -1, -1], [-1, -1, -1, -1, -1]],
    ])  # fmt: skip
    loss = CentreLoss(2)
    assert loss(logits, boxes).item() == pytest.approx(brute_force(logits, boxes, 2), rel=1e-6)
    assert loss(logits.float(), boxes).item() == pytest.approx(brute_force(logits, boxes, 2), rel=1e-5)


def test_the_gradient_is_the_slope():
    torch.manual_seed(1)
    boxes = torch.tensor([[[0, 0.3, -0.4, 3.0, 2.0]]])
    logits = torch.randn(1, 5, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: CentreLoss(1)(x, boxes), logits)


def test_pictures_without_objects_and_half_precision_cost_finite_amounts():
    nothing = torch.full((2, 3, 5), -1.0)
    logits = torch.full((2, 5, 8, 8), 60.0, dtype=torch.float16, requires_grad=True)
    cost = CentreLoss(1)(logits, nothing)
    cost.backward()
    assert torch.isfinite(cost)
    assert torch.isfinite(logits.grad).all()


def perfect_logits(boxes, num_classes, height, width):
    """Outputs that say exactly these (class, x_min, y_min, x_max, y_max)."""
    logits = torch.full((1, num_classes + 4, height, width), -20.0)
    for label, x_min, y_min, x_max, y_max in boxes:
        x, y = (x_min + x_max) / 2, (y_min + y_max) / 2
        row, column = int(y), int(x)
        logits[0, label, row, column] = 8.0 + label
        logits[0, num_classes:, row, column] = torch.tensor(
            [math.log(y_max - y_min), math.log(x_max - x_min), y - row, x - column]
        )
    return logits


BOXES = [(0, 2.0, 3.0, 9.5, 8.0), (1, 20.0, 1.0, 30.0, 30.0), (1, 4.25, 20.0, 8.0, 26.0)]


def test_boxes_come_back_from_perfect_outputs_and_score_one():
    task = make_task("detection", ["cat", "dog"])
    logits = perfect_logits(BOXES, 2, 32, 40)
    found = find_objects(task.answers(logits)[0], 2)
    np.testing.assert_allclose(sorted(found[:, [0, 2, 3, 4, 5]].tolist()), sorted(BOXES), atol=1e-4)
    assert found[:, 1].tolist() == sorted(found[:, 1].tolist(), reverse=True)
    rows = [[label, (a + c - 40) / 2, (b + d - 32) / 2, c - a, d - b] for label, a, b, c, d in BOXES]
    target = torch.tensor([[*rows, [-1] * 5]])
    meter = task.meter()
    meter.update(logits, target)
    assert meter.scores() == {"ap50": 1.0, "recall": 1.0}
    meter.update(torch.full_like(logits, -20.0), target)
    halves = meter.scores()
    assert halves["recall"] == 0.5
    assert halves["ap50"] == pytest.approx(51 / 101)  # precision 1 at recalls 0 to 0.5
    other = task.meter()
    other.load_state({name: 2 * counts for name, counts in meter.state().items()})
    assert other.scores() == halves
    assert task.loss((logits,), target) < task.loss((torch.zeros_like(logits),), target)


def test_a_wrong_class_or_place_is_not_found():
    task = make_task("detection", ["cat", "dog"])
    wrong = perfect_logits([(1, *BOXES[0][1:])], 2, 32, 40)
    label, a, b, c, d = BOXES[0]
    meter = task.meter()
    meter.update(wrong, torch.tensor([[[label, (a + c - 40) / 2, (b + d - 32) / 2, c - a, d - b]]]))
    assert meter.scores() == {"ap50": 0.0, "recall": 0.0}
    empty = task.meter()
    empty.update(wrong, torch.full((1, 1, 5), -1.0))
    assert empty.scores() == {}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"loss": "dice"}, "loss 'dice' for detection. Expected centres. Leave it out: there is only this one."),
        (
            {"class_weights": [1.0, 2.0]},
            "class weights or label smoothing for detection. Expected neither: a map of centres has no classes that "
            "exclude each other. Leave them out.",
        ),
    ],
)
def test_choices_that_do_not_fit_are_refused(choices, message):
    with pytest.raises(UsageError) as caught:
        make_task("detection", ["cat", "dog"], **choices)
    assert str(caught.value) == message


def test_logits_of_another_shape_are_refused():
    task = make_task("detection", ["cat"])
    with pytest.raises(SpecError, match=r"Logits of shape \(1, 4, 8, 8\) for the boxes of 1 pictures"):
        task.head_loss(torch.zeros(1, 4, 8, 8), torch.zeros(1, 1, 5))


def test_box_lists_survive_being_written():
    boxes = [(3, (0.1 + 0.2, 1.0, 7.0, 9.25)), (0, (1.0, 2.0, 3.0, 4.0))]
    assert parse_box_list(box_list_text(boxes)) == boxes
    assert parse_box_list(box_list_text([])) == []


def test_boxes_go_through_a_warp_and_what_is_cut_away_is_left_out():
    boxes = [(0, (2.0, 4.0, 10.0, 8.0)), (1, (14.0, 0.0, 24.0, 10.0))]
    mirrored = Warp(height=20, width=30, matrix=((1.0, 0.0), (0.0, -1.0)), origin=(0.0, 29.0))
    assert all_through(boxes, mirrored, 20, 30) == [(0, (20.0, 4.0, 28.0, 8.0)), (1, (6.0, 0.0, 16.0, 10.0))]
    crop = Warp(height=20, width=15, matrix=((1.0, 0.0), (0.0, 1.0)), origin=(0.0, 0.0))
    assert all_through(boxes, crop, 20, 30) == [boxes[0]]  # one tenth of the other would be seen
    wider = Warp(height=20, width=17, matrix=((1.0, 0.0), (0.0, 1.0)), origin=(0.0, 0.0))
    assert all_through(boxes, wider, 20, 30)[1] == (1, (14.0, 0.0, 17.0, 10.0))
    halved = Warp(height=10, width=15, matrix=((2.0, 0.0), (0.0, 2.0)), origin=(0.5, 0.5))
    assert all_through(boxes, halved, 20, 30) == [(0, (1.0, 2.0, 5.0, 4.0)), (1, (7.0, 0.0, 12.0, 5.0))]
    assert all_through([], crop, 20, 30) == []


def test_boxes_are_mirrored_where_the_picture_is():
    boxes = [(0, (2.0, 4.0, 10.0, 8.0)), (1, (22.0, 12.0, 30.0, 20.0))]  # the second one reaches the corner
    wider = Warp(height=24, width=36, matrix=((1.0, 0.0), (0.0, 1.0)), origin=(0.0, 0.0))
    assert all_through(boxes, wider, 20, 30) == [boxes[0], (1, (22.0, 12.0, 36.0, 24.0))]
    left = Warp(height=20, width=42, matrix=((1.0, 0.0), (0.0, 1.0)), origin=(0.0, -12.0))
    assert all_through(boxes[:1], left, 20, 30) == [(0, (14.0, 4.0, 22.0, 8.0)), (0, (3.0, 4.0, 11.0, 8.0))]
    filled = dataclasses.replace(left, border="fill")
    assert all_through(boxes[:1], filled, 20, 30) == [(0, (14.0, 4.0, 22.0, 8.0))]
    labels = np.zeros((20, 30), np.uint8)
    labels[4:8, 2:10] = 1
    seen = left.apply(np.zeros((20, 30, 1), np.uint8), labels)[1]
    assert seen[4:8, 3:11].sum() == seen[4:8, 14:22].sum() == seen.sum() / 2 == 32  # as labels are mirrored

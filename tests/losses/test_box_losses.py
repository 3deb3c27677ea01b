"""Losses of boxes and of sets of classes: against brute force, by numerical gradient, and at the edges."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pixelwise.errors import UsageError
from pixelwise.losses import (
    SET_LOSSES,
    GeneralisedIoU,
    LocalisationLoss,
    LossSettings,
    SmoothL1,
    make_loss,
)


def settings(num_outputs, **options):
    return LossSettings(num_outputs=num_outputs, ignore_index=-1, **options)


def raster(box, side=400):
    """Which of side x side cells a box of whole cells covers."""
    centre_x, centre_y, across, along = (value * side for value in box)
    cells = np.zeros((side, side), bool)
    cells[
        round(centre_y - along / 2) : round(centre_y + along / 2),
        round(centre_x - across / 2) : round(centre_x + across / 2),
    ] = True
    return cells


def whole_boxes(count, seed, side=400):
    """Boxes whose edges are whole cells."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, side - 40, (count, 2))
    high = np.minimum(low + 2 * rng.integers(5, 120, (count, 2)), side)
    high -= (high - low) % 2  # whole centres
    return torch.from_numpy(np.concatenate([(low + high) / 2, high - low], 1) / side)


def test_giou_counts_cells():
    boxes, target = whole_boxes(40, 1), whole_boxes(40, 2)
    expected = []
    for box, other in zip(boxes.tolist(), target.tolist(), strict=True):
        a, b = raster(box), raster(other)
        both = a | b
        rows, columns = np.flatnonzero(both.any(1)), np.flatnonzero(both.any(0))
        around = (rows[-1] + 1 - rows[0]) * (columns[-1] + 1 - columns[0])
        union = both.sum()
        expected.append(1 - ((a & b).sum() / union - (around - union) / around))
    assert (np.array(expected) > 1).any()  # some do not meet
    assert (np.array(expected) < 1).any()
    torch.testing.assert_close(GeneralisedIoU().of_each(boxes, target), torch.tensor(expected, dtype=torch.float64))
    assert GeneralisedIoU()(boxes, target).item() == pytest.approx(np.mean(expected))


def test_smooth_l1_is_squared_near_zero_and_plain_beyond():
    target = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    for change, expected in (((0.05, 0, 0, 0), 0.125), ((0, -0.3, 0, 0), 2.5), ((0.1, 0.1, 0.2, 0.05), 2.625)):
        got = SmoothL1()(target + torch.tensor(change), target).item()
        assert got == pytest.approx(expected, abs=1e-5)
    boxes, others = torch.rand(50, 4), torch.rand(50, 4)
    expected = F.smooth_l1_loss(boxes * 10, others * 10, reduction="none", beta=1.0).sum(1).mean()
    torch.testing.assert_close(SmoothL1()(boxes, others), expected)


@pytest.mark.parametrize("loss", [SmoothL1(), GeneralisedIoU()])
def test_pictures_without_a_box_do_not_count(loss):
    boxes, target = torch.rand(6, 4), torch.rand(6, 4)
    target[[1, 4]] = 0
    kept = [0, 2, 3, 5]
    torch.testing.assert_close(loss(boxes, target), loss(boxes[kept], target[kept]))
    boxes.requires_grad_()
    nothing = loss(boxes, torch.zeros(6, 4))
    nothing.backward()
    assert nothing.item() == 0
    assert torch.equal(boxes.grad, torch.zeros(6, 4))


@pytest.mark.parametrize("text", ["ce+smooth_l1", "ce+2*giou", "0.5*ce+giou+smooth_l1"])
def test_gradients_are_those_of_small_steps(text):
    loss = LocalisationLoss(text, settings(3, class_weights=(1.0, 2.0, 0.5), label_smoothing=0.1))
    logits = torch.randn(5, 7, dtype=torch.float64, generator=torch.manual_seed(3)).requires_grad_()
    boxes = whole_boxes(5, 7)
    boxes[2] = 0
    target = torch.cat([torch.tensor([0.0, 1, 2, 1, 0], dtype=torch.float64)[:, None], boxes], 1)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), (logits,))


def test_a_localisation_costs_class_plus_box():
    logits, target = torch.randn(6, 8), torch.cat([torch.tensor([[0.0], [3], [1], [2], [2], [1]]), torch.rand(6, 4)], 1)
    boxes = torch.sigmoid(logits[:, 4:])
    expected = F.cross_entropy(logits[:, :4], target[:, 0].long()) + 0.3 * GeneralisedIoU()(boxes, target[:, 1:])
    torch.testing.assert_close(LocalisationLoss("ce+0.3*giou", settings(4))(logits, target), expected)
    only = LocalisationLoss("smooth_l1", settings(1))(logits[:, 3:], target)
    torch.testing.assert_close(only, SmoothL1()(boxes, target[:, 1:]))


def test_half_precision_is_raised():
    logits, target = torch.randn(4, 6, dtype=torch.bfloat16), torch.rand(4, 5)
    assert LocalisationLoss("ce+giou", settings(2))(logits, target.round()).dtype is torch.float32
    assert make_loss("bce", settings(6), SET_LOSSES)(logits, torch.ones(4, 6)).dtype is torch.float32


@pytest.mark.parametrize(
    ("text", "classes", "options", "message"),
    [
        (
            "ce",
            3,
            {},
            "loss 'ce' says nothing of the box. Expected a term of smooth_l1 or giou. For example ce+smooth_l1.",
        ),
        ("giou", 3, {}, "loss 'giou' says nothing of the class. Expected a term of ce. For example ce+smooth_l1."),
        (
            "dice+giou",
            3,
            {},
            "loss 'dice+giou': dice is not a loss for this task. Expected a sum of ce, smooth_l1, giou. Write for "
            "example ce+smooth_l1 or 0.5*ce+smooth_l1.",
        ),
        (
            "ce+giou",
            1,
            {},
            "loss 'ce+giou' has a term of the class, and there is one class only. Expected losses of the box. Leave ce "
            "out.",
        ),
        (
            "giou",
            1,
            {"label_smoothing": 0.1},
            "loss 'giou' makes no use of class weights or label smoothing. Expected neither, where there is one class. "
            "Leave them out.",
        ),
    ],
)  # fmt: skip
def test_sums_that_do_not_fit(text, classes, options, message):
    with pytest.raises(UsageError) as caught:
        LocalisationLoss(text, settings(classes, **options))
    assert str(caught.value) == message


# --- sets of classes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, (1.0, 3.0, 0.5)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_a_set_is_the_mean_over_pictures_and_classes(weights, smoothing):
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(7, 3)) * 4, rng.integers(0, 2, (7, 3))
    total = 0.0
    for n in range(7):
        for k in range(3):
            p = 1 / (1 + math.exp(-logits[n, k]))
            spread = (1 - smoothing) * target[n, k] + smoothing / 2
            total -= (weights or (1, 1, 1))[k] * spread * math.log(p) + (1 - spread) * math.log(1 - p)
    loss = make_loss("bce", settings(3, class_weights=weights, label_smoothing=smoothing), SET_LOSSES)
    got = loss(torch.from_numpy(logits), torch.from_numpy(target).float())
    assert got.item() == pytest.approx(total / 21, rel=1e-6)


def test_extreme_logits_of_a_set_stay_finite():
    logits = torch.tensor([[1e4, -1e4, 200.0]], requires_grad=True)
    cost = make_loss("bce", settings(3), SET_LOSSES)(logits, torch.tensor([[0.0, 1.0, 1.0]]))
    cost.backward()
    assert cost.item() == pytest.approx(2e4 / 3)
    assert torch.isfinite(logits.grad).all()


def test_sets_have_their_own_losses():
    with pytest.raises(UsageError) as caught:
        make_loss("ce", settings(3), SET_LOSSES)
    assert str(caught.value) == (
        "loss 'ce': ce is not a loss for this task. Expected a sum of bce. Write for example bce."
    )

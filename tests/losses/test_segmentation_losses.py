"""The losses of pixels and voxels, against formulas written with loops over positions."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from losses.loss_examples import IGNORE, class_probabilities, drawn, drawn_weights, flat, loss_of
from pixelwise.losses.lovasz import lovasz_extension

# --- means over positions -------------------------------------------------------------------------------------------


def focal_by_loop(logits, target, weights, class_weights, gamma):
    probabilities, total, cost = class_probabilities(logits), 0.0, 0.0
    for row, label, weight in zip(probabilities, target.flatten().tolist(), weights.flatten().tolist(), strict=True):
        if label != IGNORE:
            total += weight * class_weights[label]
            cost += weight * class_weights[label] * (1 - row[label]) ** gamma * -math.log(row[label])
    return cost / total


@pytest.mark.parametrize("num_outputs", [1, 2, 4])
@pytest.mark.parametrize("gamma", [0, 0.5, 2, 5])
def test_focal_equals_the_formula(num_outputs, gamma):
    logits, target = drawn(num_outputs)
    weights = drawn_weights(target)
    class_weights = tuple(0.5 + c for c in range(max(num_outputs, 2)))
    expected = focal_by_loop(logits, target, weights, class_weights, gamma)
    loss = loss_of(f"focal(gamma={gamma})", num_outputs, class_weights=class_weights)
    assert loss(logits, target, weights).item() == pytest.approx(expected, rel=1e-10)


def test_focal_without_focus_and_all_of_the_hardest_are_the_cross_entropy():
    logits, target = drawn(3)
    weights, options = drawn_weights(target), {"class_weights": (1.0, 2.0, 0.5)}
    plain = loss_of("ce", 3, **options)(logits, target, weights)
    for text in ("focal(gamma=0)", "topk(share=1)"):
        torch.testing.assert_close(loss_of(text, 3, **options)(logits, target, weights), plain)


@pytest.mark.parametrize("num_outputs", [1, 3])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.37, 1])
def test_top_k_is_the_mean_over_the_hardest_share(num_outputs, share):
    logits, target = drawn(num_outputs, size=(5, 8))
    rows, labels, _ = flat(logits, target)
    probabilities = class_probabilities(rows)
    costs = sorted((-math.log(row[label]) for row, label in zip(probabilities, labels, strict=True)), reverse=True)
    left, total = share * len(costs), 0.0
    for cost in costs:
        used = min(1.0, left)
        total, left = total + used * cost, left - used
    expected = total / (share * len(costs))
    assert loss_of(f"topk(share={share})", num_outputs)(logits, target).item() == pytest.approx(expected, rel=1e-9)


# --- overlaps -------------------------------------------------------------------------------------------------------


def counts_by_loop(logits, target, weights):
    """For each class: sums of p g, p (1 - g), (1 - p) g, p^2, g and p."""
    probabilities = class_probabilities(logits)
    sums = np.zeros((probabilities.shape[1], 6))
    for row, label, weight in zip(probabilities, target.flatten().tolist(), weights.flatten().tolist(), strict=True):
        if label == IGNORE:
            continue
        for c, p in enumerate(row):
            g = float(label == c)
            sums[c] += weight * np.array([p * g, p * (1 - g), (1 - p) * g, p * p, g, p])
    return sums


def generalised_dice_of(sums):
    weights = np.array([1 / row[4] ** 2 if row[4] else np.nan for row in sums])
    weights[np.isnan(weights)] = np.nanmax(weights)
    return 1 - 2 * (weights * sums[:, 0]).sum() / (weights * (sums[:, 4] + sums[:, 5])).sum()


def each_class(formula):
    return lambda sums: np.mean([formula(*row) for row in sums])


OVERLAPS = {
    "dice": each_class(lambda tp, fp, fn, pp, g, p: 1 - (2 * tp + 1) / (p + g + 1)),
    "squared_dice": each_class(lambda tp, fp, fn, pp, g, p: 1 - (2 * tp + 1) / (pp + g + 1)),
    "generalised_dice": generalised_dice_of,
    "jaccard": each_class(lambda tp, fp, fn, pp, g, p: 1 - (tp + 1) / (p + g - tp + 1)),
    "tversky": each_class(lambda tp, fp, fn, pp, g, p: 1 - (tp + 1) / (tp + 0.3 * fp + 0.7 * fn + 1)),
    "tversky(alpha=0.9,beta=0.1)": each_class(
        lambda tp, fp, fn, pp, g, p: 1 - (tp + 1) / (tp + 0.9 * fp + 0.1 * fn + 1)
    ),
    "focal_tversky": each_class(
        lambda tp, fp, fn, pp, g, p: (1 - (tp + 1) / (tp + 0.3 * fp + 0.7 * fn + 1)) ** (3 / 4)
    ),
    "focal_tversky(alpha=1,beta=2,gamma=3)": each_class(
        lambda tp, fp, fn, pp, g, p: (1 - (tp + 1) / (tp + fp + 2 * fn + 1)) ** (1 / 3)
    ),
    "fbeta": each_class(lambda tp, fp, fn, pp, g, p: 1 - (5 * tp + 1) / (5 * tp + fp + 4 * fn + 1)),
    "fbeta(beta=0.5)": each_class(lambda tp, fp, fn, pp, g, p: 1 - (1.25 * tp + 1) / (1.25 * tp + fp + fn / 4 + 1)),
}


@pytest.mark.parametrize("text", OVERLAPS)
@pytest.mark.parametrize(("num_outputs", "size"), [(1, (4, 5)), (2, (4, 5)), (4, (4, 5)), (3, (2, 3, 4))])
def test_overlap_losses_equal_their_formulas(text, num_outputs, size):
    logits, target = drawn(num_outputs, size=size)
    for weights in (torch.ones_like(target), drawn_weights(target)):
        expected = OVERLAPS[text](counts_by_loop(logits, target, weights))
        given_weights = None if (weights == 1).all() else weights
        assert loss_of(text, num_outputs)(logits, target, given_weights).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("text", OVERLAPS)
def test_classes_that_are_absent_leave_overlaps_finite(text):
    logits, target = drawn(4)
    target[target == 2] = 1
    expected = OVERLAPS[text](counts_by_loop(logits, target, torch.ones_like(target)))
    assert loss_of(text, 4)(logits, target).item() == pytest.approx(expected, rel=1e-9)


def test_class_weights_leave_classes_out():
    logits, target = drawn(3)
    sums = counts_by_loop(logits, target, torch.ones_like(target))
    for text in ("jaccard", "tversky", "fbeta", "squared_dice"):
        expected = (OVERLAPS[text](sums[1:2]) + 3 * OVERLAPS[text](sums[2:3])) / 4
        loss = loss_of(text, 3, class_weights=(0.0, 1.0, 3.0))
        assert loss(logits, target).item() == pytest.approx(expected, rel=1e-9)


def test_f_1_and_even_tversky_are_nearly_dice_on_large_regions():
    logits, target = drawn(2, size=(60, 60))
    dice = loss_of("dice", 2)(logits, target).item()
    for text in ("fbeta(beta=1)", "tversky(alpha=0.5,beta=0.5)", "generalised_dice"):
        assert loss_of(text, 2)(logits, target).item() == pytest.approx(dice, abs=2e-3)


# --- Lovász ---------------------------------------------------------------------------------------------------------


def jaccard_of_mispredictions(mispredicted, truth):
    """One minus the Jaccard index when just these positions are on the wrong side."""
    predicted = truth ^ {position for position in range(99) if position in mispredicted}
    union = truth | predicted
    return 1 - len(truth & predicted) / len(union) if union else 0.0


def lovasz_by_definition(errors, truth):
    """The extension by its definition: the area under the set function of {errors >= t}, over t."""
    truth = set(np.flatnonzero(truth).tolist())
    levels = [0.0, *sorted(set(errors.tolist()))]
    area = 0.0
    for low, high in itertools.pairwise(levels):
        worse = {position for position, error in enumerate(errors) if error >= high}
        area += (high - low) * jaccard_of_mispredictions(worse, truth)
    return area


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_lovasz_extension_is_the_area_under_the_set_function(seed, count, share):
    rng = np.random.default_rng(seed)
    errors = np.maximum(0, rng.normal(0.5, 1, count).round(1))  # with ties and zeros
    truth = rng.random(count) < share
    found = lovasz_extension(torch.from_numpy(errors)[:, None], torch.from_numpy(truth)[:, None])
    assert found.item() == pytest.approx(lovasz_by_definition(errors, truth), abs=1e-12)


def test_lovasz_softmax_of_certain_predictions_is_one_minus_the_jaccard_index():
    _, target = drawn(3, size=(6, 6))
    predicted = torch.from_numpy(np.random.default_rng(5).integers(0, 3, target.shape))
    logits = 60.0 * torch.nn.functional.one_hot(predicted, 3).movedim(-1, 1).double()
    counted = target != IGNORE
    index = [
        ((predicted == c) & (target == c)).sum() / (counted & ((predicted == c) | (target == c))).sum()
        for c in range(3)
    ]
    expected = 1 - np.mean(index)
    assert loss_of("lovasz_softmax", 3)(logits, target).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("num_outputs", [1, 2])
def test_lovasz_hinge_and_softmax_equal_the_definition(num_outputs):
    logits, target = drawn(num_outputs, size=(2, 3))
    rows, labels, _ = flat(logits, target)
    truth = labels.numpy() == 1
    margin = (rows[:, 0] if num_outputs == 1 else rows[:, 1] - rows[:, 0]).numpy()
    hinge = np.maximum(0, 1 - margin * np.where(truth, 1, -1))
    expected = lovasz_by_definition(hinge, truth)
    assert loss_of("lovasz_hinge", num_outputs)(logits, target).item() == pytest.approx(expected, rel=1e-9)
    wrong = np.abs(truth - class_probabilities(rows)[:, 1])
    both = [lovasz_by_definition(wrong, ~truth), lovasz_by_definition(wrong, truth)]
    plain, weighed = (
        loss_of("lovasz_softmax", num_outputs),
        loss_of("lovasz_softmax", num_outputs, class_weights=(1, 4)),
    )
    assert plain(logits, target).item() == pytest.approx(np.mean(both), rel=1e-9)
    assert weighed(logits, target).item() == pytest.approx((both[0] + 4 * both[1]) / 5, rel=1e-9)


def test_lovasz_softmax_is_of_the_classes_that_are_shown():
    logits, target = drawn(4, size=(3, 3))
    target[(target == 3) | (target == 0)] = 2
    rows, labels, _ = flat(logits, target)
    probabilities = class_probabilities(rows)
    terms = []
    for c in (1, 2):
        truth = labels.numpy() == c
        terms.append(lovasz_by_definition(np.abs(truth - probabilities[:, c]), truth))
    assert loss_of("lovasz_softmax", 4)(logits, target).item() == pytest.approx(np.mean(terms), rel=1e-9)

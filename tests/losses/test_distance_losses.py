"""Losses of distances and skeletons, against loops over pairs of positions."""

import itertools
import math

import numpy as np
import pytest
import torch

from losses.loss_examples import IGNORE, class_probabilities, drawn, drawn_weights, loss_of
from pixelwise.losses.cl_dice import soft_skeleton
from pixelwise.losses.distances import signed_distances


def signed_by_pairs(region):
    """Distance to the nearest position on the other side, less half a step, from every pair; 0 without a border."""
    result = np.zeros(region.shape)
    places = list(np.ndindex(region.shape))
    if region.all() or not region.any():
        return result
    for place in places:
        nearest = min(math.dist(place, other) for other in places if region[other] != region[place])
        result[place] = (nearest - 0.5) * (-1 if region[place] else 1)
    return result


def regions_of(target, classes):
    return np.stack([[target.numpy()[n] == c for c in range(classes)] for n in range(len(target))])


def as_maps(logits):
    """Class probabilities as (N, K, *size)."""
    probabilities = class_probabilities(logits)
    return np.moveaxis(probabilities.reshape(len(logits), *logits.shape[2:], -1), -1, 1)


@pytest.mark.parametrize("size", [(7, 9), (3, 4, 5)])
def test_signed_distances_equal_those_of_all_pairs(size):
    rng = np.random.default_rng(0)
    masks = rng.random((2, 3, *size)) < 0.3
    masks[0, 1], masks[1, 2] = True, False
    found = signed_distances(torch.from_numpy(masks)).numpy()
    for place in np.ndindex(2, 3):
        np.testing.assert_allclose(found[place], signed_by_pairs(masks[place]), atol=1e-5)


@pytest.mark.parametrize(("num_outputs", "size"), [(1, (5, 6)), (3, (5, 6)), (2, (2, 3, 4))])
@pytest.mark.parametrize("weighted", [False, True])
def test_boundary_loss_equals_the_formula(num_outputs, size, weighted):
    logits, target = drawn(num_outputs, size=size)
    classes = max(num_outputs, 2)
    weights = drawn_weights(target) if weighted else torch.ones_like(target)
    class_weights = tuple(float(c) for c in range(classes)) if weighted else None
    probabilities, regions = as_maps(logits), regions_of(target, classes)
    cost = total = 0.0
    for n, *place in np.ndindex(*target.shape):
        weight = float(weights[(n, *place)]) * float(target[(n, *place)] != IGNORE)
        total += weight
        terms = [signed_by_pairs(regions[n, c])[tuple(place)] * probabilities[(n, c, *place)] for c in range(classes)]
        cost += weight * np.average(terms, weights=class_weights)
    loss = loss_of("boundary", num_outputs, class_weights=class_weights)
    assert loss(logits, target, weights if weighted else None).item() == pytest.approx(cost / total, rel=1e-5)


@pytest.mark.parametrize(("num_outputs", "size"), [(1, (5, 6)), (3, (5, 6)), (2, (2, 3, 4))])
@pytest.mark.parametrize(("alpha", "sides"), [(2, 2), (2, 1), (1, 2)])
def test_hausdorff_loss_equals_the_formula(num_outputs, size, alpha, sides):
    logits, target = drawn(num_outputs, size=size)
    classes = max(num_outputs, 2)
    probabilities, regions = as_maps(logits), regions_of(target, classes)
    counted = target.numpy() != IGNORE
    cost = 0.0
    for n, c in itertools.product(range(len(target)), range(classes)):
        distance = np.abs(signed_by_pairs(regions[n, c])) ** alpha
        if sides == 2:
            distance += np.abs(signed_by_pairs((probabilities[n, c] > 0.5) & counted[n])) ** alpha
        cost += ((probabilities[n, c] - regions[n, c]) ** 2 * distance)[counted[n]].sum() / classes
    loss = loss_of(f"hausdorff(alpha={alpha},sides={sides})", num_outputs)
    assert loss(logits, target).item() == pytest.approx(cost / counted.sum(), rel=1e-5)


def test_both_are_lower_the_nearer_a_square_is():
    target = torch.zeros(1, 24, 24, dtype=torch.uint8)
    target[:, 8:14, 8:14] = 1
    for text in ("boundary", "hausdorff"):
        costs = []
        for shift in (0, 1, 3, 8):
            logits = torch.full((1, 1, 24, 24), -9.0)
            logits[..., 8 + shift : 14 + shift, 8:14] = 9.0
            costs.append(loss_of(text, 1)(logits, target).item())
        assert costs == sorted(costs)
        assert costs[0] < costs[1] < costs[2] < costs[3]


# --- clDice ---------------------------------------------------------------------------------------------------------


def neighbours(place, size, steps):
    for step in steps:
        other = tuple(a + b for a, b in zip(place, step, strict=True))
        if all(0 <= a < side for a, side in zip(other, size, strict=True)):
            yield other


def skeleton_by_loop(region, iterations):
    axes = region.ndim
    box = list(itertools.product((-1, 0, 1), repeat=axes))
    cross = [step for step in box if np.count_nonzero(step) <= 1]

    def filtered(values, steps, choose):
        result = np.empty_like(values)
        for place in np.ndindex(values.shape):
            result[place] = choose(values[other] for other in neighbours(place, values.shape, steps))
        return result

    skeleton = np.maximum(0, region - filtered(filtered(region, cross, min), box, max))
    for _ in range(iterations):
        region = filtered(region, cross, min)
        ridge = np.maximum(0, region - filtered(filtered(region, cross, min), box, max))
        skeleton = skeleton + np.maximum(0, ridge - skeleton * ridge)
    return skeleton


@pytest.mark.parametrize("size", [(7, 8), (4, 5, 4)])
@pytest.mark.parametrize("iterations", [1, 3])
def test_soft_skeleton_is_that_of_minima_and_maxima_over_neighbours(size, iterations):
    region = np.random.default_rng(1).random((1, 1, *size))
    found = soft_skeleton(torch.from_numpy(region), iterations)[0, 0].numpy()
    np.testing.assert_allclose(found, skeleton_by_loop(region[0, 0], iterations), atol=1e-12)


def test_the_skeleton_of_a_bar_is_its_middle_line():
    bar = torch.zeros(1, 1, 9, 15)
    bar[..., 2:7, 2:13] = 1
    skeleton = soft_skeleton(bar, 4)[0, 0]
    assert (skeleton[4, 5:10] == 1).all()
    assert (skeleton[[2, 3, 5, 6], 5:10] == 0).all()


@pytest.mark.parametrize(("num_outputs", "size"), [(1, (6, 6)), (3, (6, 6)), (3, (3, 4, 4))])
@pytest.mark.parametrize("class_weights", [None, (1.0, 0.5, 2.0)])
def test_cl_dice_equals_the_formula(num_outputs, size, class_weights):
    logits, target = drawn(num_outputs, size=size)
    classes = max(num_outputs, 2)
    class_weights = class_weights and class_weights[:classes]
    counted = target.numpy() != IGNORE
    said, truth = as_maps(logits) * counted[:, None], regions_of(target, classes).astype(float)
    terms = []
    for c in range(classes):
        of_said, of_truth = (
            np.stack([skeleton_by_loop(maps[n, c], 2) for n in range(len(target))]) for maps in (said, truth)
        )
        precision = ((of_said * truth[:, c]).sum() + 1) / (of_said.sum() + 1)
        sensitivity = ((of_truth * said[:, c]).sum() + 1) / (of_truth.sum() + 1)
        terms.append(1 - 2 * precision * sensitivity / (precision + sensitivity))
    expected = np.average(terms, weights=class_weights or (0.0, *[1.0] * (classes - 1)))
    loss = loss_of("cldice(iterations=2)", num_outputs, class_weights=class_weights)
    assert loss(logits, target).item() == pytest.approx(expected, rel=1e-9)


def test_cl_dice_sees_a_cut_that_dice_hardly_sees():
    line = torch.zeros(1, 15, 40, dtype=torch.uint8)
    line[:, 6:9] = 1
    whole = (line.double() * 40 - 20).unsqueeze(1)
    thick, cut = whole.clone(), whole.clone()
    thick[..., 5, :] = thick[..., 9, :] = 20
    cut[..., 18:23] = -20
    cl_dice, dice = loss_of("cldice", 1), loss_of("dice", 1)
    assert cl_dice(whole, line).item() == pytest.approx(0, abs=1e-6)
    assert dice(thick, line) > 2 * dice(cut, line)
    assert cl_dice(thick, line) < cl_dice(cut, line) / 2

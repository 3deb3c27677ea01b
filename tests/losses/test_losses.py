"""Losses against formulas written a second time in NumPy, and against numerical gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.losses import BinaryCrossEntropy, CrossEntropy, LossSettings, SoftDice

IGNORE = 255


def losses(num_outputs, **options):
    given = LossSettings(num_outputs=num_outputs, ignore_index=IGNORE, **options)
    kinds = [BinaryCrossEntropy, SoftDice] if num_outputs == 1 else [CrossEntropy, SoftDice]
    return [kind(given) for kind in kinds if set(options) <= kind.heeds]


def example(num_outputs, *, seed=0, ignored=0.2, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    classes = max(num_outputs, 2)
    logits = rng.normal(0, 2, (2, num_outputs, 3, 4))
    target = rng.integers(0, classes, (2, 3, 4)).astype(np.uint8)
    target[rng.random(target.shape) < ignored] = IGNORE
    return torch.from_numpy(logits).to(dtype), torch.from_numpy(target)


def probabilities(logits):
    """Class probabilities (positions, K), by exponentials alone."""
    values = np.moveaxis(logits.numpy(), 1, -1).reshape(-1, logits.shape[1])
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    exponentials = np.exp(values)
    return exponentials / exponentials.sum(1, keepdims=True)


def cross_entropy_by_loop(logits, target, weights, smoothing):
    probability, truth = probabilities(logits), target.numpy().ravel()
    classes = probability.shape[1]
    cost = total = 0.0
    for row, label in zip(probability, truth, strict=True):
        if label == IGNORE:
            continue
        wanted = [smoothing / classes + (1 - smoothing) * (label == c) for c in range(classes)]
        cost -= sum(weights[c] * wanted[c] * np.log(row[c]) for c in range(classes))
        total += weights[label]
    return cost / total


def dice_by_loop(logits, target, weights):
    probability, truth = probabilities(logits), target.numpy().ravel()
    counted = truth != IGNORE
    terms = []
    for c in range(probability.shape[1]):
        p, g = probability[counted, c], truth[counted] == c
        terms.append(1 - (2 * (p * g).sum() + 1) / (p.sum() + g.sum() + 1))
    return np.average(terms, weights=weights)


@pytest.mark.parametrize("num_outputs", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropies_equal_the_formula(num_outputs, weighted, smoothing):
    classes = max(num_outputs, 2)
    weights = tuple(0.5 + c for c in range(classes)) if weighted else None
    logits, target = example(num_outputs)
    loss = losses(num_outputs, class_weights=weights, label_smoothing=smoothing)[0]
    expected = cross_entropy_by_loop(logits, target, weights or (1.0,) * classes, smoothing)
    assert loss(logits, target).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("num_outputs", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_soft_dice_equals_the_formula(num_outputs, weighted):
    classes = max(num_outputs, 2)
    weights = tuple(0.5 + c for c in range(classes)) if weighted else None
    logits, target = example(num_outputs)
    loss = losses(num_outputs, class_weights=weights)[1]
    assert loss(logits, target).item() == pytest.approx(dice_by_loop(logits, target, weights), rel=1e-12)


@given(seed=st.integers(0, 10_000), smoothing=st.floats(0, 0.9), weights=st.tuples(*[st.floats(0.1, 9)] * 2))
@settings(max_examples=30, deadline=None)
def test_one_logit_costs_what_two_logits_cost(seed, smoothing, weights):
    logits, target = example(1, seed=seed)
    pair = torch.cat([torch.zeros_like(logits), logits], dim=1)
    options = {"class_weights": weights, "label_smoothing": smoothing}
    for one, two in zip(
        losses(1, **options) + losses(1, class_weights=weights)[1:],
        losses(2, **options) + losses(2, class_weights=weights)[1:],
        strict=True,
    ):
        torch.testing.assert_close(one(logits, target), two(pair, target), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("num_outputs", [1, 2, 4])
def test_gradients_are_the_numerical_ones(num_outputs):
    logits, target = example(num_outputs)
    logits.requires_grad_()
    weights = tuple(1.0 + c for c in range(max(num_outputs, 2)))
    smoothed = losses(num_outputs, class_weights=weights, label_smoothing=0.1)
    for loss in [*losses(num_outputs), *losses(num_outputs, class_weights=weights), *smoothed]:
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, target), (logits,))


@pytest.mark.parametrize("num_outputs", [1, 2, 4])
def test_ignored_positions_change_neither_value_nor_gradient(num_outputs):
    logits, target = example(num_outputs)
    wild = torch.where((target == IGNORE).unsqueeze(1), 50.0, logits)
    for loss in losses(num_outputs):
        gradients = []
        for values in (logits, wild):
            leaf = values.clone().requires_grad_()
            loss(leaf, target).backward()
            gradients.append(leaf.grad)
        torch.testing.assert_close(loss(wild, target), loss(logits, target))
        torch.testing.assert_close(gradients[0], gradients[1])
        assert (gradients[0].movedim(1, -1)[target == IGNORE] == 0).all()
        assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("num_outputs", [1, 3])
@pytest.mark.parametrize("options", [{}, {"class_weights": (1.0, 2.0, 3.0)}, {"label_smoothing": 0.1}])
def test_a_batch_without_labels_costs_nothing(num_outputs, options):
    logits, target = example(num_outputs)
    logits.requires_grad_()
    if "class_weights" in options:
        options = {"class_weights": options["class_weights"][: max(num_outputs, 2)]}
    for loss in losses(num_outputs, **options):
        cost = loss(logits, torch.full_like(target, IGNORE))
        (gradient,) = torch.autograd.grad(cost, logits)
        assert cost.item() == 0
        assert (gradient == 0).all()


def test_classes_of_weight_zero_cost_nothing():
    logits, target = example(3, ignored=0)
    only_first = torch.zeros_like(target)
    loss = losses(3, class_weights=(0.0, 1.0, 1.0))[0]
    assert loss(logits, only_first).item() == 0
    target[0, 0, 0] = 1
    assert loss(logits, target).isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("num_outputs", [1, 2, 11])
def test_half_precision_logits_give_the_full_precision_cost(num_outputs, dtype):
    rng = torch.Generator().manual_seed(0)
    # 4 * 256 * 256 positions: their number alone is more than float16 can hold
    logits = (torch.randn(4, num_outputs, 256, 256, generator=rng) * 20).to(dtype).requires_grad_()
    target = torch.randint(0, max(num_outputs, 2), (4, 256, 256), generator=rng, dtype=torch.uint8)
    for loss in losses(num_outputs):
        cost = loss(logits, target)
        exact = loss(logits.detach().double(), target)
        assert cost.dtype is torch.float32
        assert cost.item() == pytest.approx(exact.item(), rel=1e-5)
        (gradient,) = torch.autograd.grad(cost, logits)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("extreme", [1e4, -1e4])
@pytest.mark.parametrize("num_outputs", [1, 2])
def test_extreme_logits_stay_finite(num_outputs, extreme):
    logits = torch.full((1, num_outputs, 2, 2), extreme)
    logits[:, 0] = -extreme if num_outputs == 2 else extreme
    logits.requires_grad_()
    target = torch.tensor([[[0, 1], [1, 0]]], dtype=torch.uint8)
    for loss in losses(num_outputs):
        cost = loss(logits, target)
        (gradient,) = torch.autograd.grad(cost, logits)
        assert cost.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("kind", [torch.uint8, torch.int64, torch.int32])
def test_any_integer_target_will_do(kind):
    logits, target = example(3)
    for loss in losses(3):
        torch.testing.assert_close(loss(logits, target.to(kind)), loss(logits, target))


def test_classification_logits_are_the_case_without_positions():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, 1.0]], dtype=torch.float64)
    target = torch.tensor([0, 2])
    expected = cross_entropy_by_loop(logits, target, (1.0, 1.0, 1.0), 0.0)
    assert losses(3)[0](logits, target).item() == pytest.approx(expected)
    assert losses(3)[1](logits, target).item() == pytest.approx(dice_by_loop(logits, target, None))


def test_perfect_dice_is_nearly_zero_and_an_absent_class_hardly_costs():
    target = torch.zeros(1, 64, 64, dtype=torch.uint8)
    target[:, :32] = 1
    logits = torch.stack([target == 0, target == 1, target == 2], dim=1) * 40.0
    assert losses(3)[1](logits, target).item() == pytest.approx(0, abs=1e-6)


def test_chance_costs_the_logarithm_of_the_number_of_classes():
    target = torch.arange(10)
    assert losses(10)[0](torch.zeros(10, 10), target).item() == pytest.approx(np.log(10), rel=1e-6)
    assert losses(1)[0](torch.zeros(10, 1), target % 2).item() == pytest.approx(np.log(2), rel=1e-6)

"""The rules that every loss of pixels keeps: ignored positions, half precision, one and two logits, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from losses.loss_examples import IGNORE, drawn, drawn_weights, flat, loss_of
from pixelwise.losses import CLASS_LOSSES, LOSSES, parameters_of

NAMES = [*LOSSES]
OF_NEIGHBOURS = [*LOSSES.keys() - CLASS_LOSSES.keys()]
FORMS = [(name, count) for name in NAMES for count in (1, 2, 3) if not LOSSES[name].refusal(count)]
MAPPED = [(name, count) for name, count in FORMS if "weight_map" in LOSSES[name].heeds]
SIZE = (5, 6)


@pytest.mark.parametrize(("name", "num_outputs"), FORMS)
def test_gradients_are_the_numerical_ones(name, num_outputs):
    logits, target = drawn(num_outputs, size=SIZE, count=1, seed=4)
    logits.requires_grad_()
    options = {"class_weights": (1.0, 2.0, 0.5)[: max(2, num_outputs)]} if "class_weights" in LOSSES[name].heeds else {}
    loss = loss_of(name, num_outputs, **options)
    weights = drawn_weights(target).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, weights), (logits,))


@pytest.mark.parametrize("name", ["dice", "focal", "boundary", "hausdorff", "cldice", "lovasz_softmax"])
def test_gradients_of_volumes_are_the_numerical_ones(name):
    logits, target = drawn(2, size=(2, 3, 4), count=1, seed=4)
    assert torch.autograd.gradcheck(lambda x: loss_of(name, 2)(x, target), (logits.requires_grad_(),))


@pytest.mark.parametrize(("name", "num_outputs"), FORMS)
def test_a_batch_without_labels_costs_nothing(name, num_outputs):
    logits, target = drawn(num_outputs, size=SIZE)
    for weights, labels in (
        (None, torch.full_like(target, IGNORE)),
        (drawn_weights(target), torch.full_like(target, IGNORE)),
        (torch.zeros(target.shape), target)
        if (name, num_outputs) in MAPPED
        else (None, torch.full_like(target, IGNORE)),
    ):
        leaf = logits.clone().requires_grad_()
        cost = loss_of(name, num_outputs)(leaf, labels, weights)
        cost.backward()
        assert cost.item() == 0
        assert (leaf.grad == 0).all()


@pytest.mark.parametrize(("name", "num_outputs"), FORMS)
def test_ignored_positions_change_neither_value_nor_gradient(name, num_outputs):
    logits, target = drawn(num_outputs, size=SIZE)
    wild = torch.where((target == IGNORE).unsqueeze(1), 50.0, logits)
    results = []
    for values in (logits, wild):
        leaf = values.clone().requires_grad_()
        cost = loss_of(name, num_outputs)(leaf, target)
        cost.backward()
        results.append((cost.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])
    gradient = results[0][1].movedim(1, -1)
    assert (gradient[target == IGNORE] == 0).all()
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(("name", "num_outputs"), [form for form in FORMS if form[0] in CLASS_LOSSES])
def test_ignoring_positions_is_cutting_them_out(name, num_outputs):
    logits, target = drawn(num_outputs, size=SIZE)
    rows, labels, _ = flat(logits, target)
    loss = loss_of(name, num_outputs)
    torch.testing.assert_close(loss(logits, target), loss(rows, labels))


@pytest.mark.parametrize(("name", "num_outputs"), [form for form in MAPPED if form[0] in CLASS_LOSSES])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_weight_is_how_often_a_position_stands_there(name, num_outputs, weighted):
    logits, target = drawn(num_outputs, size=SIZE)
    counts = drawn_weights(target)
    is_weighted = weighted and "class_weights" in LOSSES[name].heeds
    loss = loss_of(name, num_outputs, class_weights=(1.0, 2.5, 0.5)[: max(2, num_outputs)] if is_weighted else None)
    rows, labels, repeats = flat(logits, target, counts)
    repeated = loss(rows.repeat_interleave(repeats, 0), labels.repeat_interleave(repeats))
    torch.testing.assert_close(loss(logits, target, counts), repeated)
    torch.testing.assert_close(loss(logits, target, torch.full(target.shape, 1.0)), loss(logits, target))


@pytest.mark.parametrize("name", [name for name in NAMES if "weight_map" not in LOSSES[name].heeds])
def test_the_other_losses_take_no_notice_of_weights(name):
    logits, target = drawn(2, size=SIZE)
    loss = loss_of(name, 2)
    torch.testing.assert_close(loss(logits, target, drawn_weights(target)), loss(logits, target))
    assert "weight_map" not in loss.heeds
    assert "weight_map" in loss_of(f"ce+{name}", 2).heeds


@given(seed=st.integers(0, 10_000), spread=st.floats(0.1, 20))
@settings(max_examples=8, deadline=None)
def test_one_logit_costs_what_two_logits_cost(seed, spread):
    logits, target = drawn(1, size=SIZE, seed=seed, spread=spread)
    pair = torch.cat([torch.zeros_like(logits), logits], dim=1)
    weights = drawn_weights(target)
    for name in NAMES:
        if not LOSSES[name].refusal(1) and not LOSSES[name].refusal(2):
            one, two = (loss_of(name, count)(given, target, weights) for count, given in ((1, logits), (2, pair)))
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("name", "num_outputs"), FORMS)
def test_half_precision_logits_give_the_full_precision_cost(name, num_outputs, dtype):
    logits, target = drawn(num_outputs, size=(300, 250), count=1, spread=20.0)  # more positions than float16 can count
    logits = logits.to(dtype).requires_grad_()
    cost = loss_of(name, num_outputs)(logits, target)
    exact = loss_of(name, num_outputs)(logits.detach().double(), target)
    assert cost.dtype is torch.float32
    assert cost.item() == pytest.approx(exact.item(), rel=1e-4)
    cost.backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("name", "num_outputs"), FORMS)
def test_extreme_logits_stay_finite(name, num_outputs, dtype):
    _, target = drawn(num_outputs, size=SIZE, count=1)
    right = torch.nn.functional.one_hot(torch.where(target == IGNORE, 0, target).long(), max(2, num_outputs))
    right = right.movedim(-1, 1)[:, -num_outputs:] * 2.0 - 1
    for scale in (6e4, -6e4):
        logits = (scale * right).to(dtype).requires_grad_()
        cost = loss_of(name, num_outputs)(logits, target)
        cost.backward()
        assert cost.isfinite()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("ce", "bce", "topk", "focal", "boundary")])
def test_certainty_of_the_truth_costs_nothing(name):
    target = torch.zeros(1, 20, 20, dtype=torch.uint8)
    target[:, 5:12, 4:18] = 1
    logits = torch.stack([target == 0, target == 1], dim=1) * 60.0
    assert loss_of(name, 2)(logits, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_default_in_its_range(name):
    for parameter in parameters_of(LOSSES[name]).values():
        assert parameter.default in parameter.allowed


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_trains_a_picture(name):
    """Free logits follow the gradient to the labels, so that the loss has the right sign everywhere."""
    target = torch.zeros(1, 12, 12, dtype=torch.uint8)
    target[:, 3:9, 4:8] = 1
    count = 1 if LOSSES[name].refusal(2) else 2
    logits = torch.zeros(1, count, 12, 12).normal_(generator=torch.Generator().manual_seed(0)).requires_grad_()
    optimiser, loss = torch.optim.Adam([logits], 0.2), loss_of(name, count)
    for _ in range(60):
        optimiser.zero_grad()
        loss(logits, target).backward()
        optimiser.step()
    said = logits.argmax(1) if count > 1 else (logits[:, 0] > 0).long()
    found, truth = said == 1, target == 1
    overlap = (found & truth).sum() / (found | truth).sum()
    assert overlap > (0.3 if name == "cldice" else 0.9)

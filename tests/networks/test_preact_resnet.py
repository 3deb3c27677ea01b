"""Pre-activation residual networks: orders, shortcuts, stems, identity paths, deep stacks, initial weights."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.networks.classification.preact_resnet import PreResNet, PreResNetSpec
from pixelwise.networks.classification.preact_resnet_blocks import ORDERS, GatedAddition, Unit
from pixelwise.specs import Network
from pixelwise.weights import load_tensors

SHORTCUTS = ("identity", "scaling", "exclusive_gate", "shortcut_only_gate", "conv", "dropout")


def small(**columns: object) -> PreResNet:
    """Build a small network whose normalisations have other statistics, gains and shifts than 0 and 1."""
    torch.manual_seed(0)
    spec = PreResNetSpec(name="small", depths=(1, 1), widths=(8, 16), stem="cifar").replace(**columns)
    network = spec.build(3, 5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.5
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def unit_of(network: Network, name: str) -> Unit:
    unit = network.get_submodule(name)
    assert isinstance(unit, Unit)
    return unit


def norm(layer: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.BatchNorm2d)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    shape = (1, -1, 1, 1)
    x = (x - layer.running_mean.view(shape)) / (layer.running_var.view(shape) + 1e-5).sqrt()
    return x * layer.weight.view(shape) + layer.bias.view(shape)


def figure_4(order: str, unit: Unit, x: Tensor) -> Tensor:
    """Write out each unit of figure 4, for units that keep the shape."""
    part = dict(unit.named_modules())
    first, second = part["residual.conv1"], part["residual.conv2"]
    norm1 = part["residual.norm1"]
    if order == "original":
        y = norm(part["residual.norm2"], second(F.relu(norm(norm1, first(x)))))
        return F.relu(x + y)
    if order == "bn_after_addition":
        y = second(F.relu(norm(norm1, first(x))))
        return F.relu(norm(part["activation.norm"], x + y))
    if order == "relu_before_addition":
        y = norm(part["residual.norm2"], second(F.relu(norm(norm1, first(x)))))
        return x + F.relu(y)
    if order == "relu_only":
        y = norm(part["residual.norm2"], second(F.relu(norm(norm1, first(F.relu(x))))))
        return x + y
    y = F.relu(norm(part["preactivation.norm"], x))
    return x + second(F.relu(norm(norm1, first(y))))


@pytest.mark.parametrize("order", ORDERS)
def test_orders_are_those_of_figure_4(order: str) -> None:
    unit = unit_of(small(order=order, first="branch"), "stage1.0")
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(unit(x), figure_4(order, unit, x))


def test_bottlenecks_take_the_same_order() -> None:
    unit = unit_of(small(block="bottleneck", depths=(2, 1)), "stage1.1")
    part = dict(unit.named_modules())
    x = torch.randn(1, 32, 4, 4)
    y = part["residual.conv1"](F.relu(norm(part["preactivation.norm"], x)))
    y = part["residual.conv2"](F.relu(norm(part["residual.norm1"], y)))
    y = part["residual.conv3"](F.relu(norm(part["residual.norm2"], y)))
    torch.testing.assert_close(unit(x), x + y)
    assert [part[f"residual.conv{n}"].weight.shape[2] for n in (1, 2, 3)] == [1, 3, 1]


def figure_2(shortcut: str, unit: Unit, x: Tensor, y: Tensor) -> Tensor:
    """Write out each addition of figure 2, for units that keep the shape."""
    if shortcut == "scaling":
        return 0.25 * x + 0.75 * y
    if shortcut == "conv":
        part = dict(unit.named_modules())
        return norm(part["shortcut.carrier.norm"], F.conv2d(x, part["shortcut.carrier.conv"].weight)) + y
    if shortcut in ("exclusive_gate", "shortcut_only_gate"):
        addition = unit.shortcut
        assert isinstance(addition, GatedAddition)
        weight, bias = addition.gate.weight[:, :, 0, 0], addition.gate.bias
        assert bias is not None
        gate = 1 / (1 + torch.exp(-(torch.einsum("oc,nchw->nohw", weight, x) + bias.view(1, -1, 1, 1))))
        return (1 - gate) * x + (gate * y if shortcut == "exclusive_gate" else y)
    return x + y


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_shortcuts_are_those_of_figure_2(shortcut: str) -> None:
    columns: dict[str, object] = {"order": "original", "shortcut": shortcut}
    if shortcut == "scaling":
        columns |= {"shortcut_scale": 0.25, "residual_scale": 0.75}
    if "gate" in shortcut:
        columns["gate_bias"] = -1.0
    unit = unit_of(small(**columns), "stage1.0")
    x = torch.randn(2, 8, 6, 6)
    part = dict(unit.named_modules())
    y = part["residual.conv2"](F.relu(norm(part["residual.norm1"], part["residual.conv1"](x))))
    y = norm(part["residual.norm2"], y)
    torch.testing.assert_close(unit(x), F.relu(figure_2(shortcut, unit, x, y)))


def test_dropped_shortcuts_are_so_in_training_only() -> None:
    unit = unit_of(small(shortcut="dropout", shortcut_dropout=0.25, first="branch"), "stage1.0")
    for layer in unit.residual.children():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
    x = torch.ones(4, 8, 32, 32)
    assert torch.equal(unit(x), x)
    y = unit.train()(x)
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_gradients_are_right_and_nothing_needed_is_overwritten(order: str, shortcut: str) -> None:
    network = small(order=order, shortcut=shortcut, option="A", widths=(2, 4)).double()
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: network(x), (x, *network.parameters()), fast_mode=True)
    network.train()(torch.cat([x, 2 * x])).sum().backward()


def test_five_orders_and_four_shortcuts_have_the_same_weights() -> None:
    """Table 1 and 2 compare nets of the same size: normalisations only move; scaling and dropout have no weights."""
    row, counts = catalogue.spec("preresnet110_cifar"), set()
    changes: list[dict[str, Any]] = [{"order": order} for order in ORDERS]
    changes += [{"order": "original", "shortcut": shortcut} for shortcut in ("scaling", "dropout")]
    for change in changes:
        with torch.device("meta"):
            counts.add(analysis.count_parameters(row.replace(**change).build(3, 10)))
    assert counts == {1_727_962}
    with torch.device("meta"):
        gated = row.replace(order="original", shortcut="exclusive_gate").build(3, 10)
    gates = sum(18 * c * (c + 1) for c in (16, 32, 64)) - 32 * 16 - 64 * 32  # the first of a stage sees half the maps
    assert analysis.count_parameters(gated) == 1_727_962 + gates


def test_the_original_order_is_resnet() -> None:
    ours = catalogue.spec("preresnet110_cifar").replace(order="original", depths=(3, 3, 3)).build(3, 10).eval()
    resnet = catalogue.create("resnet20_cifar", in_channels=3, num_classes=10).eval()
    resnet.load_state_dict(dict(zip(resnet.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(x), resnet(x))


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_without_residuals_a_stack_is_the_identity(block: str) -> None:
    """Equation 4: the sum of residuals is all that is added, whatever the signs of x."""
    network = small(block=block, depths=(5, 1), first="branch")
    units = [unit_of(network, f"stage1.{number}") for number in range(1, 5)]
    for unit in units:
        nn.init.zeros_(list(unit.residual.children())[-1].weight)
    x = torch.randn(1, 8 if block == "basic" else 32, 5, 5)
    y = x
    for unit in units:
        y = unit(y)
    assert torch.equal(y, x)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_a_units_input_stays_as_it_is(order: str, training: bool) -> None:
    network = small(order=order, first="branch", depths=(2, 1)).train(training)
    for name in ("stage1.0", "stage1.1", "stage2.0"):
        x = torch.randn(2, 8, 6, 6)
        before = x.clone()
        unit_of(network, name)(x)
        assert torch.equal(x, before)


def heard(network: Network, x: Tensor, unit: Unit) -> tuple[Tensor, Tensor]:
    """Return the unit's input and what its shortcut took."""
    heard: list[Tensor] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0].clone()))
        for module in (unit, unit.shortcut)
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return heard[0], heard[1]


def test_where_the_first_activation_is() -> None:
    x = torch.randn(1, 3, 8, 8)
    for first, is_raw in (("branch", True), ("shared", False)):
        network = small(first=first)
        unit = unit_of(network, "stage1.0")
        came, taken = heard(network, x, unit)
        assert torch.equal(came, F.conv2d(x, network.conv1.conv.weight, padding=1))
        assert torch.equal(taken, came if is_raw else unit.preactivation(came))
        assert torch.equal(came, taken) is is_raw
    network = small(first="stem")
    unit = unit_of(network, "stage1.0")
    came, taken = heard(network, x, unit)
    assert torch.equal(came, taken)
    torch.testing.assert_close(
        came, F.relu(norm(network.conv1.norm, F.conv2d(x, network.conv1.conv.weight, padding=1)))
    )
    assert isinstance(unit.preactivation, nn.Identity)
    came, taken = heard(network, x, unit_of(network, "stage2.0"))  # changes the shape: both paths
    assert (came < 0).any()
    assert (taken >= 0).all()


def test_the_two_forms_of_imagenet_nets_differ_where_a_gain_is_negative() -> None:
    """Pooling and normalising commute for gains of one sign only, so the forms agree only there."""
    torch.manual_seed(0)
    columns: dict[str, object] = {"depths": (1, 1), "widths": (8, 8)}
    before = catalogue.spec("preresnet50").replace(**columns).build(3, 4).eval()
    after = catalogue.spec("resnetv2_50").replace(**columns).build(3, 4).eval()
    x = torch.randn(1, 3, 64, 64)
    state = before.state_dict()
    moved = {name.replace("conv1.norm", "stage1.0.preactivation.norm"): tensor for name, tensor in state.items()}
    after.load_state_dict(moved)
    torch.testing.assert_close(after(x), before(x))
    for network, name in ((before, "conv1.norm"), (after, "stage1.0.preactivation.norm")):
        nn.init.constant_(network.get_parameter(f"{name}.weight"), -1.0)
    assert (after(x) - before(x)).norm() > 0.01 * before(x).norm()


def test_strides_are_where_the_forms_say() -> None:
    with torch.device("meta"):
        for name, stage, strides in (("preresnet50", "stage2", (1, 2, 1)), ("preresnet164_cifar", "stage2", (2, 1, 1))):
            unit = unit_of(catalogue.create(name, in_channels=3, num_classes=10), f"{stage}.0")
            convolutions = [layer for layer in unit.residual if isinstance(layer, nn.Conv2d)]
            assert tuple(layer.stride[0] for layer in convolutions) == strides


def test_projections_are_normalised_where_the_residual_branch_is() -> None:
    for order, is_normalised in (
        ("original", True),
        ("relu_only", True),
        ("bn_after_addition", False),
        ("full", False),
    ):
        names = dict(small(order=order).named_modules())
        assert ("stage2.0.shortcut.carrier.norm" in names) is is_normalised, order


def test_a_thousand_layers_learn_without_recursion() -> None:
    torch.manual_seed(0)
    row = catalogue.spec("preresnet1001_cifar").replace(widths=(2, 2, 2))
    network = row.build(1, 2).train()
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    projections = 3
    assert len(convolutions) - projections + 1 == 1001
    loss = F.cross_entropy(network(torch.randn(4, 1, 8, 8)), torch.tensor([0, 1, 0, 1]))
    loss.backward()
    first = convolutions[1].weight.grad
    assert first is not None
    assert first.isfinite().all()
    assert first.abs().max() > 0


def test_convolutions_start_by_their_outputs_and_gates_by_their_bias() -> None:
    torch.manual_seed(0)
    network = catalogue.create("preresnet50", in_channels=3, num_classes=10)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            expected = (2 / (layer.kernel_size[0] ** 2 * layer.out_channels)) ** 0.5
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.06), name
    assert network.get_parameter("fc.bias").abs().max() == 0
    gated = small(shortcut="shortcut_only_gate", gate_bias=-3.0)
    for module in gated.modules():
        if isinstance(module, GatedAddition):
            assert module.gate.bias is not None
            assert module.gate.bias.eq(-3).all()


def test_features_end_in_the_last_activation_and_slide() -> None:
    network = small(depths=(1, 1), first="shared")
    x = torch.randn(2, 3, 9, 7)
    maps = network.features(x)
    assert [tuple(found.shape[1:]) for found in maps] == [(8, 9, 7), (16, 5, 4)]
    assert (maps[0] < 0).any()
    assert (maps[1] >= 0).all()
    dense = network.dense_logits(x)
    assert dense.shape == (2, 5, 5, 4)
    torch.testing.assert_close(dense.mean((2, 3)), network(x))


@pytest.mark.parametrize(("name", "size", "least"), [("preresnet50", (31, 64), 32), ("preresnet110_cifar", (3, 9), 4)])
def test_too_small_images_are_refused(name: str, size: tuple[int, int], least: int) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=3, num_classes=10)
    with pytest.raises(SpecError) as caught:
        network(torch.zeros(1, 3, *size, device="meta"))
    assert str(caught.value) == (
        f"{name} cannot take images of {size[0]} x {size[1]} pixels. Expected at least {least} x {least}. "
        "Enlarge the images, or choose a network for small images such as preresnet110_cifar."
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"depths": (1, 2)},
            "x: depths=(1, 2), widths=(64, 128, 256, 512). Expected as many widths as depths, at least one, all "
            "positive. Correct them.",
        ),
        (
            {"depths": (1, 1), "widths": (8, 4), "option": "A"},
            "x: option=A with widths=(8, 4). Expected widths that never shrink: option A can only add maps. "
            "Set option=B.",
        ),
        (
            {"gate_bias": -3.0},
            "x: gate_bias=-3.0 with shortcut=identity. Expected shortcut=exclusive_gate or shortcut_only_gate, which "
            "alone heed it. Set shortcut, or leave gate_bias out.",
        ),
        (
            {"shortcut_scale": 1, "shortcut": "dropout"},
            "x: shortcut_scale=1.0 with shortcut=dropout. Expected shortcut=scaling, which alone heed it. Set "
            "shortcut, or leave shortcut_scale out.",
        ),
        (
            {"residual_scale": float("nan"), "shortcut": "scaling"},
            "x: residual_scale=nan. Expected a finite number. Correct the number.",
        ),
        (
            {"shortcut_dropout": 1.0, "shortcut": "dropout"},
            "x: shortcut_dropout=1.0. Expected a share between 0 and 1. Correct the number, or set shortcut=identity.",
        ),
        (
            {"order": "fully"},
            "x: order='fully'. Expected one of original, bn_after_addition, relu_before_addition, relu_only, full. "
            "Correct the value.",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        PreResNetSpec(name="x").replace(**columns)
    assert str(caught.value) == message


def as_timm(network: Network, *, change: Callable[[str], str] = str) -> dict[str, Tensor]:
    """Write timm's names, by substitutions of their own."""
    state = {}
    for name, tensor in network.state_dict().items():
        parts = name.split(".")
        if parts[0] == "conv1":
            theirs = f"stem.{parts[1]}.{parts[2]}"
        elif parts[0] == "bnrelu":
            theirs = f"norm.{parts[2]}"
        elif parts[0] == "fc":
            theirs = f"head.fc.{parts[1]}"
        else:
            where = {"preactivation": "norm1", "shortcut": "downsample.conv"}.get(parts[2])
            if where is None:
                kind, number = parts[3][:-1], int(parts[3][-1])
                where = f"conv{number}" if kind == "conv" else f"norm{number + 1}"
            theirs = f"stages.{int(parts[0][-1]) - 1}.blocks.{parts[1]}.{where}.{parts[-1]}"
        state[change(theirs)] = tensor[:, :, None, None] if name == "fc.weight" else tensor
    return state


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_timms_names_are_read_for_every_size(block: str) -> None:
    columns: dict[str, object] = {"block": block, "depths": (2, 1, 2), "widths": (4, 8, 8)}
    theirs = catalogue.spec("resnetv2_101").replace(**columns).build(3, 5)
    ours = catalogue.spec("resnetv2_101").replace(**columns).build(3, 5)
    state = as_timm(theirs, change=lambda name: f"module.{name}")
    assert "module.stages.2.blocks.1.norm2.running_var" in state
    assert load_tensors(ours, state, "file") == ()
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name
    assert ours.pretraining is not None
    assert (ours.pretraining.source, ours.pretraining.mean) == ("timm", (0.5, 0.5, 0.5))


def test_timms_weights_are_refused_by_the_other_form() -> None:
    columns: dict[str, object] = {"depths": (1, 1), "widths": (4, 8)}
    state = as_timm(catalogue.spec("resnetv2_50").replace(**columns).build(3, 5))
    with pytest.raises(WeightsError) as caught:
        load_tensors(catalogue.spec("preresnet50").replace(**columns).build(3, 5), state, "file")
    assert str(caught.value) == (
        "file holds weights of another network, as timm builds it: first=shared instead of stem. Expected weights of "
        "preresnet50 as it is. Set first=shared."
    )

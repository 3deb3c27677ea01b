"""Inception-v3: its modules, auxiliary head, small forms, initial weights, and torchvision's names."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.layers.inception import Branches, Conv, chain
from pixelwise.networks.classification.inception_v3 import InceptionV3, InceptionV3Spec
from pixelwise.networks.classification.inception_v3_blocks import PlainReduction
from pixelwise.weights import load_tensors

ORDERS: tuple[Literal["pool_first", "convolution_first"], ...] = ("pool_first", "convolution_first")
PUBLISHED_STEM = {"first_stride": 2, "first_pool": True}
"""The stem has no weights that tell one form from another, so that published files fit this form alone."""


def small(**columns: Any) -> InceptionV3Spec:
    spec = catalogue.spec("inception_v3").replace(**{"width": 0.1, "first_stride": 1, "first_pool": False, **columns})
    assert isinstance(spec, InceptionV3Spec)
    return spec


def as_torchvision(network: InceptionV3) -> dict[str, Tensor]:
    """Write torchvision's names, module by module, from a table of its own."""
    a = {"branch_0": ("branch1x1",), "branch_3": ("branch_pool",)}
    numbered = {
        "5": {"branch_1": "branch5x5", "branch_2": "branch3x3dbl"},
        "6": {"branch_1": "branch7x7", "branch_2": "branch7x7dbl"},
        "7": {"branch_1": "branch3x3", "branch_2": "branch3x3dbl"},
        "6a": {"branch_0": "branch3x3", "branch_1": "branch3x3dbl"},
        "7a": {"branch_0": "branch3x3", "branch_1": "branch7x7x3"},
    }
    renamed = {}
    for name, tensor in network.state_dict().items():
        parts = name.replace(".norm.", ".bn.").split(".")
        if parts[0].startswith("Mixed"):
            size, letter = parts[0][-2:]
            table = numbered.get(size + letter, numbered[size])
            if letter != "a" and parts[1] in a:
                parts = [parts[0], *a[parts[1]], *parts[-2:]]
            elif parts[0] == "Mixed_6a" and parts[1] == "branch_0":
                parts = [parts[0], "branch3x3", *parts[-2:]]
            else:
                letters = {"1x3": "a", "3x1": "b"}.get(parts[3], "")
                parts = [parts[0], f"{table[parts[1]]}_{int(parts[2]) + 1}{letters}", *parts[-2:]]
        renamed[".".join(parts)] = tensor
    return renamed


def test_the_map_is_a_rule_for_other_widths_and_prefixes() -> None:
    torch.manual_seed(0)
    for prefix in ("", "module."):
        ours, theirs = (small(auxiliary="batch", **PUBLISHED_STEM).build(3, 5).eval() for _ in range(2))
        renamed = {prefix + name: tensor for name, tensor in as_torchvision(ours).items()}
        assert prefix + "Mixed_7c.branch3x3dbl_3b.conv.weight" in renamed
        assert load_tensors(theirs, renamed, "file") == ()
        state = theirs.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in ours.state_dict().items())
        assert theirs.pretraining is not None
        assert theirs.pretraining.mean == theirs.pretraining.std == (0.5, 0.5, 0.5)


def multiply_adds(module: nn.Module, *shape: int) -> float:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        assert module.to("meta").eval()(torch.empty(shape)).shape[2:] == (17, 17)
    return counter.get_total_flops() / 2


def test_the_reductions_of_figure_9_cost_twice_and_more_than_eight_times_as_much() -> None:
    parallel = multiply_adds(
        Branches(chain(320, Conv(320, 3, 2, valid=True)), nn.MaxPool2d(3, stride=2)), 1, 320, 35, 35
    )
    first, last = (multiply_adds(PlainReduction(320, 640, order), 1, 320, 35, 35) for order in ORDERS)
    assert (parallel, first, last) == (289 * 320 * 2880, 289 * 640 * 2880, 1225 * 640 * 2880)


@pytest.mark.parametrize("order", ORDERS)
def test_a_reduction_of_figure_9_keeps_every_size_and_number_of_maps(order: str) -> None:
    torch.manual_seed(0)
    network, x = small(reduction=order).build(3, 5).eval(), torch.rand(1, 3, 79, 79)
    assert [stage.channels for stage in network.stages] == [stage.channels for stage in small().build(3, 5).stages]
    with torch.no_grad():
        maps = network.features(x)
    assert [tuple(each.shape) for each in maps] == [tuple(each.shape) for each in small().build(3, 5).features(x)]


def test_half_and_half_are_what_torchvisions_network_makes_of_its_usual_pictures() -> None:
    values = torch.rand(3, 4, 4)
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    transformed = (values - mean) / std * (std / 0.5) + (mean - 0.5) / 0.5  # its transform_input
    torch.testing.assert_close(transformed, (values - 0.5) / 0.5)


def test_an_auxiliary_head_that_is_not_wanted_is_left_out_and_said() -> None:
    torch.manual_seed(0)
    renamed = as_torchvision(small(auxiliary="batch", **PUBLISHED_STEM).build(3, 5))
    plain = small(**PUBLISHED_STEM).build(3, 5)
    assert load_tensors(plain, renamed, "file") == ("The file's auxiliary head AuxLogits was left out.",)
    without = {name: tensor for name, tensor in renamed.items() if not name.startswith("AuxLogits")}
    notes = load_tensors(small(auxiliary="batch", **PUBLISHED_STEM).build(3, 5), without, "file")
    assert notes == ("The file has no auxiliary head AuxLogits: its weights are fresh.",)


def test_both_heads_are_drawn_afresh_for_other_classes() -> None:
    torch.manual_seed(0)
    renamed = as_torchvision(small(auxiliary="batch", **PUBLISHED_STEM).build(3, 5))
    network = small(auxiliary="batch", **PUBLISHED_STEM).build(3, 7)
    assert network.heads == ("AuxLogits.fc", "fc")
    with pytest.raises(WeightsError, match="holds weights for 5 classes"):
        load_tensors(network, renamed, "file")
    assert load_tensors(network, renamed, "file", adapt=("head",)) == (
        "Fresh weights for 7 instead of 5 classes: AuxLogits.fc, fc.",
    )


def test_another_auxiliary_head_is_refused() -> None:
    plain, normalised = (small(auxiliary=form, **PUBLISHED_STEM).build(3, 5) for form in ("plain", "batch"))
    with pytest.raises(WeightsError, match=r"AuxLogits\.conv1\.conv\.bias is missing"):
        load_tensors(plain, as_torchvision(normalised), "file")


@pytest.mark.parametrize(("auxiliary", "fewer"), [("none", 3_326_696), ("plain", 768), ("batch", 0)])
def test_auxiliary_heads(auxiliary: str, fewer: int) -> None:
    with torch.device("meta"):
        network = catalogue.spec("inception_v3").replace(auxiliary=auxiliary).build(3, 1000).train()
    assert analysis.count_parameters(network) == 27_161_264 - fewer
    answers = network.training_logits(torch.empty(2, 3, 299, 299, device="meta"))
    assert [tuple(logits.shape) for logits in answers] == [(2, 1000)] * (1 if auxiliary == "none" else 2)
    head = dict(network.named_modules()).get("AuxLogits.conv1")
    norms = [isinstance(part, nn.BatchNorm2d) for part in head.children()] if head is not None else []
    assert norms == {"none": [], "plain": [False, False], "batch": [False, True, False]}[auxiliary]


def test_the_auxiliary_head_reads_mixed_6e_and_runs_in_training_only() -> None:
    torch.manual_seed(0)
    network = small(auxiliary="batch").build(1, 4).eval()
    x = torch.randn(2, 1, 79, 79)
    main, auxiliary = network.training_logits(x)
    torch.testing.assert_close(auxiliary, network.AuxLogits(network.features(x)[-2]))
    network.AuxLogits = nn.Identity()
    torch.testing.assert_close(network(x), main)


@pytest.mark.parametrize(
    ("columns", "least", "least_to_train"),
    [
        ({"first_stride": 2, "first_pool": True}, 75, 299),
        ({"first_stride": 1, "first_pool": True}, 39, 151),
        ({"first_stride": 1, "first_pool": False}, 21, 77),
    ],
)
def test_smallest_sizes(columns: dict[str, object], least: int, least_to_train: int) -> None:
    with torch.device("meta"):
        network = small(**columns, auxiliary="batch").build(1, 4)
        empty = {side: torch.empty(2, 1, side, side) for side in (least, least_to_train)}
    assert network.eval()(empty[least]).shape == (2, 4)
    assert network.features(empty[least])[-1].shape[2:] == (1, 1)
    assert len(network.train().training_logits(empty[least_to_train])) == 2
    advice = ", or set first_stride=1 and first_pool=false" if columns["first_pool"] else ""
    for is_trained, side, reason in (
        (False, least, ""),
        (True, least_to_train, " where the auxiliary head is trained"),
    ):
        with pytest.raises(SpecError) as caught:
            network.train(is_trained).check_size(side, side - 1)
        assert str(caught.value) == (
            f"inception_v3 cannot take images of {side} x {side - 1} pixels. "
            f"Expected at least {side} x {side}{reason}. Enlarge the images{advice}."
        )


def test_the_low_resolution_study_keeps_the_cost() -> None:
    """Section 9: 299, 151 and 79 pixels, with first layers that bring each to nearly the same maps and cost."""
    rows = (({}, 299), ({"first_stride": 1}, 151), ({"first_stride": 1, "first_pool": False}, 79))
    macs, coarse = [], []
    for columns, side in rows:
        with torch.device("meta"):
            network = catalogue.spec("inception_v3").replace(**columns).build(3, 1000)
        macs.append(analysis.count_macs(network, (3, side, side)))
        coarse.append(analysis.stage_shapes(network, (3, side, side))["Mixed_7c"])
    assert coarse == [(2048, 8, 8)] * 3
    assert min(macs) > 0.9 * max(macs)


@pytest.mark.parametrize("columns", [{}, {"first_pool": True}, {"first_stride": 2, "first_pool": True}])
def test_stages_are_where_they_say(columns: dict[str, object]) -> None:
    with torch.device("meta"):
        network = small(**columns).build(1, 4).eval()
        maps = network.features(torch.empty(1, 1, 160, 160))
    assert len({stage.stride for stage in network.stages}) == len(network.stages) == len(maps)
    for stage, found in zip(network.stages, maps, strict=True):
        assert found.shape[1] == stage.channels
        assert 160 / stage.stride - 10 < found.shape[2] <= 160 / stage.stride


def test_the_network_slid_over_a_picture_has_the_same_mean() -> None:
    torch.manual_seed(0)
    network = small().build(1, 4).eval()
    x = torch.randn(2, 1, 79, 95)
    dense = network.dense_logits(x)
    assert dense.shape[2:] == network.features(x)[-1].shape[2:]
    torch.testing.assert_close(dense.mean((2, 3)), network(x))


def test_initial_weights_are_the_released_codes() -> None:
    torch.manual_seed(0)
    network = small(width=0.5, auxiliary="plain").build(3, 100)
    expected = {"fc": 0.01, "AuxLogits.conv1.conv": 0.01, "AuxLogits.fc": 0.001}
    cut = 0.8796  # deviation of a normal distribution cut at two deviations
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    assert expected.keys() <= layers.keys()
    for name, layer in layers.items():
        std = expected.get(name, 0.1)
        assert layer.weight.abs().max() <= 2 * std, name
        assert layer.weight.std().item() == pytest.approx(cut * std, rel=0.1), name
        assert layer.bias is None or layer.bias.abs().max() == 0


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    network = small(dropout=0.5).build(1, 4)
    x = torch.randn(1, 1, 45, 45)
    with torch.no_grad():
        network.train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        assert not torch.equal(network(x), network(x))
        assert torch.equal(network.eval()(x), network(x))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"first_stride": 3}, "inception_v3: first_stride=3. Expected 1 or 2. Correct it."),
        ({"width": 0.0}, "inception_v3: width=0. Expected more than 0. Correct it."),
        ({"width": float("nan")}, "inception_v3: width=nan. Expected more than 0. Correct it."),
        ({"width": float("inf")}, "inception_v3: width=inf. Expected more than 0. Correct it."),
        ({"dropout": 1.0}, "inception_v3: dropout=1. Expected from 0 up to but not including 1. Correct it."),
        (
            {"auxiliary": "both"},
            "inception_v3: auxiliary='both'. Expected one of none, plain, batch. Correct the value.",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("inception_v3").replace(**columns)
    assert str(caught.value) == message

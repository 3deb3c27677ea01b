"""Inception-v4: the two orders of factors, widths, sizes, and timm's names."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.layers.inception import scaling
from pixelwise.networks.classification.inception_v4 import InceptionV4, InceptionV4Spec, module_c
from pixelwise.weights import load_tensors


def small(**columns: Any) -> InceptionV4Spec:
    spec = catalogue.spec("inception_v4").replace(**{"width": 0.1, "depths": (2, 1, 3), **columns})
    assert isinstance(spec, InceptionV4Spec)
    return spec


def as_timm(network: InceptionV4) -> dict[str, Tensor]:
    """Write timm's names: rows counted from end to end, branches as lists, single convolutions without a number."""
    depths = network.spec.depths
    rows = ["1_3x3/2V", "2_3x3V", "3_3x3", "mixed3", "mixed4", "mixed5"]
    starts = {name: index for index, name in enumerate(rows)}
    starts |= {f"{depths[0]}xA": 6, "redA": 6 + depths[0], f"{depths[1]}xB": 7 + depths[0]}
    starts |= {"redB": 7 + depths[0] + depths[1], f"{depths[2]}xC": 8 + depths[0] + depths[1]}
    single = {("A", "0"), ("B", "0"), ("C", "0"), ("redA", "0")}
    renamed = {}
    for name, tensor in network.state_dict().items():
        parts = name.replace(".norm.", ".bn.").split(".")
        row = parts.pop(0)
        if row == "fc":
            renamed[f"last_linear.{parts[0]}"] = tensor
            continue
        index = starts[row] + (int(parts.pop(0)) if "xA" in row or "xB" in row or "xC" in row else 0)
        kind = row[-1] if "x" in row and row[-1] in "ABC" else row
        if kind in ("mixed3", "mixed5"):
            parts = ["conv", *parts[-2:]]
        elif parts[0].startswith("branch_"):
            number = parts[0][-1]
            if (kind, number) in single:
                parts = [f"branch{number}", *parts[-2:]]
            elif number == "3":
                parts = ["branch3", "1", *parts[-2:]]
            elif kind == "C":
                letter = {"1x3": "a", "3x1": "b"}.get(parts[2], "")
                parts = [f"branch{number}_{parts[1]}{letter}", *parts[-2:]]
            else:
                parts = [f"branch{number}", *parts[1:]]
        renamed[".".join(["features", str(index), *parts])] = tensor
    return renamed


@pytest.mark.parametrize("depths", [(1, 1, 1), (2, 1, 3), (4, 7, 3)])
def test_the_map_is_a_rule_for_other_depths_and_widths(depths: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    ours, theirs = (small(depths=depths).build(3, 5) for _ in range(2))
    renamed = as_timm(ours)
    assert f"features.{8 + sum(depths) - 1}.branch2_3b.conv.weight" in renamed
    assert load_tensors(theirs, renamed, "file") == ()
    state = theirs.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in ours.state_dict().items())
    assert theirs.pretraining is not None
    assert theirs.pretraining.std == (0.5, 0.5, 0.5)


def test_weights_of_other_depths_are_refused_by_name() -> None:
    with pytest.raises(WeightsError, match=r"file does not fit inception_v4: 2xA\.1\."):
        load_tensors(small(depths=(2, 1, 3)).build(3, 5), as_timm(small(depths=(1, 1, 3)).build(3, 5)), "file")


def kernels(network: InceptionV4, branch: str) -> list[tuple[int, ...]]:
    return [layer.kernel_size for layer in network.get_submodule(branch).modules() if isinstance(layer, nn.Conv2d)]


def test_the_code_turns_some_factors_of_the_figures() -> None:
    with torch.device("meta"):
        code, figures = (small(factor_order=order).build(3, 5) for order in ("code", "figures"))
    expected = {
        "mixed4.branch_1": [(1, 1), (7, 1), (1, 7), (3, 3)],  # figure 3
        "1xB.0.branch_2": [(1, 1), (1, 7), (7, 1), (1, 7), (7, 1)],  # figure 5
        "3xC.0.branch_2": [(1, 1), (1, 3), (3, 1), (1, 3), (3, 1)],  # figure 6; the last two stand side by side
    }
    for branch, sides in expected.items():
        assert kernels(figures, branch) == sides
        turned = [side if index >= 3 and "C" in branch else side[::-1] for index, side in enumerate(sides)]
        assert kernels(code, branch) == turned
    for branch in ("1xB.0.branch_1", "redB.branch_1"):
        assert kernels(code, branch) == kernels(figures, branch)


def test_the_order_of_factors_changes_no_number_of_weights() -> None:
    with torch.device("meta"):
        network = catalogue.spec("inception_v4").replace(factor_order="figures").build(3, 1000)
    assert analysis.count_parameters(network) == 42_679_816
    assert analysis.count_macs(network, (3, 299, 299)) == 12_253_974_624


def test_module_c_by_hand() -> None:
    """Figure 6: branches side by side, two of which end in a 1x3 and a 3x1 convolution of the same maps."""
    torch.manual_seed(0)
    module = module_c(20, "figures", scaling(0.1)).eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.normal_(layer.running_mean)
    state = module.state_dict()

    def unit(x: Tensor, name: str) -> Tensor:
        weight = state[f"{name}.conv.weight"]
        x = F.conv2d(x, weight, padding=(weight.shape[2] // 2, weight.shape[3] // 2))
        norm = [state[f"{name}.norm.{entry}"] for entry in ("running_mean", "running_var", "weight", "bias")]
        return F.relu(F.batch_norm(x, *norm, eps=1e-3))

    x = torch.randn(2, 20, 4, 5)
    second, third = unit(x, "branch_1.0"), x
    for index in range(3):
        third = unit(third, f"branch_2.{index}")
    mean = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    expected = [
        unit(x, "branch_0.0"),
        *(unit(second, f"branch_1.1.{side}") for side in ("1x3", "3x1")),
        *(unit(third, f"branch_2.3.{side}") for side in ("1x3", "3x1")),
        unit(mean, "branch_3"),
    ]
    torch.testing.assert_close(module(x), torch.cat(expected, 1))


def test_the_smallest_size_and_the_refusal_of_smaller_ones() -> None:
    with torch.device("meta"):
        network = small().build(1, 4).eval()
        assert network.features(torch.empty(1, 1, 75, 75))[-1].shape[2:] == (1, 1)
    with pytest.raises(SpecError) as caught:
        network.check_size(300, 74)
    assert str(caught.value) == (
        "inception_v4 cannot take images of 300 x 74 pixels. Expected at least 75 x 75. "
        "Enlarge the images, or choose a network for small images such as resnet20_cifar."
    )


def test_the_network_slid_over_a_picture_has_the_same_mean() -> None:
    torch.manual_seed(0)
    network = small().build(1, 4).eval()
    x = torch.randn(1, 1, 107, 139)
    dense = network.dense_logits(x)
    assert dense.shape == (1, 4, 2, 3)
    torch.testing.assert_close(dense.mean((2, 3)), network(x))


def test_initial_weights() -> None:
    torch.manual_seed(0)
    network = small(width=0.5).build(3, 100)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx((2 / layer.weight[0].numel()) ** 0.5, rel=0.1), name
    assert network.fc.weight.std().item() == pytest.approx(0.0088, rel=0.02)
    assert network.fc.bias.abs().max() == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"depths": (4, 0, 3)}, "inception_v4: depths=(4, 0, 3). Expected three positive numbers. Correct them."),
        ({"width": -1.0}, "inception_v4: width=-1. Expected more than 0. Correct it."),
        ({"dropout": -0.1}, "inception_v4: dropout=-0.1. Expected from 0 up to but not including 1. Correct it."),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("inception_v4").replace(**columns)
    assert str(caught.value) == message

"""The Inception-ResNets: scaled sums, what the figures misprint, sizes, and timm's names."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.networks.classification.inception_resnet import InceptionResNet, InceptionResNetSpec
from pixelwise.networks.classification.inception_resnet_blocks import ResidualModule
from pixelwise.weights import load_tensors

NAMES = ("inception_resnet_v1", "inception_resnet_v2_paper", "inception_resnet_v2")


def small(name: str = "inception_resnet_v2", **columns: Any) -> InceptionResNetSpec:
    spec = catalogue.spec(name).replace(**{"width": 0.1, "depths": (2, 1, 2), **columns})
    assert isinstance(spec, InceptionResNetSpec)
    return spec


def as_timm(network: InceptionResNet) -> dict[str, Tensor]:
    """Write timm's names, row by row from a table of its own."""
    a, b, c = network.spec.depths
    rows = {f"{a}xblock35": "repeat", f"{b}xblock17": "repeat_1", f"{c}xblock8": "repeat_2"}
    rows |= {f"block8_{c + 1}": "block8", "fc": "classif"}
    rows |= {row: f"conv2d_{row}" for row in ("1a", "2a", "2b", "3b", "4a")} | {"conv7b": "conv2d_7b"}
    rows |= {"mixed5b": "mixed_5b", "mixed6a": "mixed_6a", "mixed7a": "mixed_7a"}
    renamed = {}
    for name, tensor in network.state_dict().items():
        first, *parts = name.replace(".norm.", ".bn.").replace(".up.", ".conv2d.").split(".")
        parts = [part for part in parts if part != "branches"]
        at = next((index for index, part in enumerate(parts) if part.startswith("branch_")), None)
        if at is not None:
            number = parts[at][-1]
            is_single = number == "0" and first != "mixed7a"
            rest = parts[-2:] if is_single else ["1", *parts[-2:]] if number == "3" else parts[at + 1 :]
            parts = [*parts[:at], f"branch{number}", *rest]
        renamed[".".join([rows[first], *parts])] = tensor
    return renamed


@pytest.mark.parametrize("depths", [(1, 1, 1), (2, 1, 2), (10, 20, 9)])
def test_the_map_is_a_rule_for_other_depths_and_widths(depths: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    ours, theirs = (small(depths=depths).build(3, 5) for _ in range(2))
    renamed = as_timm(ours)
    assert {"repeat_1.0.branch1.2.conv.weight", "block8.conv2d.bias", "mixed_5b.branch3.1.bn.weight"} <= set(renamed)
    assert load_tensors(theirs, renamed, "file") == ()
    state = theirs.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in ours.state_dict().items())
    assert theirs.pretraining is not None
    assert theirs.pretraining.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", NAMES[:2])
def test_released_weights_do_not_fit_the_figures(name: str) -> None:
    with pytest.raises(WeightsError, match=f"file does not fit {name}: "):
        load_tensors(small(name).build(3, 5), as_timm(small().build(3, 5)), "file")


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_the_branches_are_scaled_before_the_sum(activation: str) -> None:
    torch.manual_seed(0)
    widths, kernels = ((4,), (3, 5)), (1, (1, 3))
    module = ResidualModule(6, widths, kernels, lambda maps: maps, scale=0.25, activation=activation).eval()
    nn.init.normal_(module.up.bias)
    x = torch.randn(2, 6, 5, 5)
    before = x.clone()
    branches = torch.cat([module.branches["branch_0"](x), module.branches["branch_1"](x)], 1)
    total = x + 0.25 * F.conv2d(branches, module.up.weight, module.up.bias)
    torch.testing.assert_close(module(x), F.relu(total) if activation == "relu" else total)
    torch.testing.assert_close(x, before)
    assert (total < 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_scales_by_kind_of_module(name: str) -> None:
    with torch.device("meta"):
        network = small(name, scales=(0.1, 0.2, 0.3)).build(3, 5)
    modules = [module for module in network.modules() if isinstance(module, ResidualModule)]
    closing = name == "inception_resnet_v2"
    assert [module.scale for module in modules] == [0.1, 0.1, 0.2, 0.3, 0.3, *[1.0] * closing]
    assert [module.activation for module in modules] == [*["relu"] * 5, *["none"] * closing]
    assert all(module.up.bias is not None for module in modules)
    assert catalogue.spec(name).scales == (0.17, 0.10, 0.20)  # type: ignore[attr-defined]


def test_unscaled_sums_grow_faster() -> None:
    """Section 3.3: scaling keeps the sums of many modules small."""
    norms = []
    for scales in ((1.0, 1.0, 1.0), (0.17, 0.10, 0.20)):
        torch.manual_seed(0)
        network = small("inception_resnet_v1", depths=(5, 10, 5), scales=scales).build(3, 5).train()
        with torch.no_grad():
            norms.append(network.features(torch.randn(4, 3, 107, 107))[-1].std().item())
    assert norms[0] > 3 * norms[1]


def test_widths_follow_from_the_branches_where_the_figures_misprint_them() -> None:
    """Figures 17 and 19 print 1154 and 2048 maps."""
    with torch.device("meta"):
        network = catalogue.spec("inception_resnet_v2_paper").build(3, 1000)
    assert [stage.channels for stage in network.stages] == [64, 192, 384, 1152, 2144]
    assert network.get_submodule("10xB.0.up").out_channels == 1152
    assert network.get_submodule("5xC.0.up").out_channels == 2144


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_size_and_the_refusal_of_smaller_ones(name: str) -> None:
    with torch.device("meta"):
        network = small(name).build(1, 4).eval()
        maps = network.features(torch.empty(1, 1, 75, 75))
    assert maps[-1].shape[2:] == (1, 1)
    assert [found.shape[1] for found in maps] == [stage.channels for stage in network.stages]
    with pytest.raises(SpecError) as caught:
        network.check_size(74, 75)
    assert str(caught.value) == (
        f"{name} cannot take images of 74 x 75 pixels. Expected at least 75 x 75. "
        "Enlarge the images, or choose a network for small images such as resnet20_cifar."
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_network_slid_over_a_picture_has_the_same_mean(name: str) -> None:
    torch.manual_seed(0)
    network = small(name).build(1, 4).eval()
    x = torch.randn(1, 1, 107, 107)
    dense = network.dense_logits(x)
    assert dense.shape == (1, 4, 2, 2)
    torch.testing.assert_close(dense.mean((2, 3)), network(x))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"depths": (0, 1, 1)},
            "inception_resnet_v1: depths=(0, 1, 1). Expected three positive numbers. Correct them.",
        ),
        (
            {"scales": (0.1, 0.0, 0.1)},
            "inception_resnet_v1: scales=(0.1, 0.0, 0.1). Expected three positive numbers. Correct them.",
        ),
        ({"width": 0.0}, "inception_resnet_v1: width=0. Expected more than 0. Correct it."),
        (
            {"scales": (0.1, float("nan"), 0.1)},
            "inception_resnet_v1: scales=(0.1, nan, 0.1). Expected three positive numbers. Correct them.",
        ),
        (
            {"scales": (float("inf"), 0.1, 0.1)},
            "inception_resnet_v1: scales=(inf, 0.1, 0.1). Expected three positive numbers. Correct them.",
        ),
        (
            {"version": "v3"},
            "inception_resnet_v1: version='v3'. Expected one of v1, v2, v2_released. Correct the value.",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("inception_resnet_v1").replace(**columns)
    assert str(caught.value) == message

"""Wide residual networks: depths, widths, dropout, shared activations, ImageNet bottlenecks, initial weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.networks.classification.preact_resnet_blocks import Unit
from pixelwise.networks.classification.resnet import Block
from pixelwise.networks.classification.wide_resnet import WideResNetSpec
from pixelwise.specs import Network
from pixelwise.weights import LAYOUTS


def small(**columns: object) -> Network:
    torch.manual_seed(0)
    return WideResNetSpec(name="small", depth=10, widening=2).replace(**columns).build(3, 5).eval()


def by_hand(depth: int, k: int, classes: int) -> int:
    """Count table 1: two 3x3 convolutions and normalisations a unit, a projection where the width grows."""
    total, width = 3 * 16 * 9, 16
    for out in (16 * k, 32 * k, 64 * k):
        for _ in range((depth - 4) // 6):
            total += 9 * width * out + 9 * out * out + 2 * width + 2 * out + (width * out if width != out else 0)
            width = out
    return total + 2 * width + (width + 1) * classes


@pytest.mark.parametrize(("depth", "k"), [(10, 1), (28, 12), (34, 2), (40, 8)])
@pytest.mark.parametrize("classes", [10, 100])
def test_other_rows_of_the_table_count_what_the_table_says(depth: int, k: int, classes: int) -> None:
    spec = catalogue.spec("wrn_28_10_cifar").replace(depth=depth, widening=k)
    with torch.device("meta"):
        assert analysis.count_parameters(spec.build(3, classes)) == by_hand(depth, k, classes)


def test_units_are_those_of_the_authors_code() -> None:
    network = small(dropout=0.3, depth=16)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    parts = dict(network.named_modules())

    def activated(name: str, x: torch.Tensor) -> torch.Tensor:
        layer = parts[name]
        return F.relu(F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias))

    x = torch.randn(1, 32, 6, 6)
    y = parts["conv3.0.residual.conv1"](activated("conv3.0.preactivation.norm", x))
    y = parts["conv3.0.residual.conv2"](activated("conv3.0.residual.norm1", y))
    shared = activated("conv3.0.preactivation.norm", x)[:, :, ::2, ::2]  # both paths begin with it
    y = y + torch.einsum("oc,nchw->nohw", parts["conv3.0.shortcut.carrier.conv"].weight[:, :, 0, 0], shared)
    torch.testing.assert_close(parts["conv3.0"](x), y)
    z = parts["conv3.1.residual.conv1"](activated("conv3.1.preactivation.norm", y))
    z = parts["conv3.1.residual.conv2"](activated("conv3.1.residual.norm1", z))
    torch.testing.assert_close(parts["conv3.1"](y), y + z)  # the raw sum goes on


def test_dropout_lies_between_the_convolutions_and_acts_in_training_only() -> None:
    network, x = small(dropout=0.5), torch.randn(2, 3, 8, 8)
    unit = network.get_submodule("conv2.0")
    assert isinstance(unit, Unit)
    assert list(dict(unit.residual.named_children())) == ["conv1", "norm1", "act1", "dropout1", "conv2"]
    assert torch.equal(network(x), network(x))
    network.train()
    assert not torch.equal(network(x), network(x))
    assert not any(isinstance(module, nn.Dropout) for module in small().modules())


@pytest.mark.parametrize(("k", "shares"), [(1, False), (2, True)])
def test_the_first_unit_shares_its_activation_where_it_widens(k: int, shares: bool) -> None:
    unit = small(widening=k).get_submodule("conv2.0")
    assert isinstance(unit, Unit)
    assert unit.shares is shares
    assert isinstance(unit.shortcut.get_submodule("carrier"), nn.Identity) is not shares


def test_bottlenecks_are_resnets_with_wider_insides() -> None:
    with torch.device("meta"):
        wide = catalogue.create("wide_resnet50_2", in_channels=3, num_classes=10)
        resnet = catalogue.create("resnet50", in_channels=3, num_classes=10)
        narrow = catalogue.spec("wide_resnet50_2").replace(widening=1).build(3, 10)
    assert [tensor.shape for tensor in narrow.state_dict().values()] == [
        tensor.shape for tensor in resnet.state_dict().values()
    ]
    ours, theirs = wide.get_submodule("layer3.0"), resnet.get_submodule("conv4_x.0")
    assert isinstance(ours, Block)
    assert isinstance(theirs, Block)
    for mine, other in zip(ours.residual, theirs.residual, strict=True):
        assert mine.conv.stride == other.conv.stride
    assert [part.conv.out_channels for part in ours.residual] == [512, 512, 1024]
    assert [part.conv.out_channels for part in theirs.residual] == [256, 256, 1024]


def test_one_times_as_wide_is_resnet() -> None:
    torch.manual_seed(0)
    ours = catalogue.spec("wide_resnet50_2").replace(widening=1).build(3, 10).eval()
    resnet = catalogue.create("resnet50", in_channels=3, num_classes=10).eval()
    resnet.load_state_dict(dict(zip(resnet.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), resnet(x))


def test_convolutions_start_by_inputs_on_cifar_and_by_outputs_on_imagenet() -> None:
    torch.manual_seed(0)
    for name, fan in (("wrn_16_4_cifar", "in"), ("wide_resnet50_2", "out")):
        spec = catalogue.spec(name)
        network = spec.build(3, 10)
        for path, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 2_000:
                units = layer.in_channels if fan == "in" else layer.out_channels
                expected = (2 / (layer.kernel_size[0] ** 2 * units)) ** 0.5
                assert layer.weight.std().item() == pytest.approx(expected, rel=0.06), path
        assert network.get_parameter("fc.bias").abs().max() == 0


def test_the_papers_names_are_those_rows() -> None:
    assert catalogue.spec("wrn_50_2") is catalogue.spec("wide_resnet50_2")
    assert catalogue.spec("wrn_101_2").facts is catalogue.spec("wide_resnet101_2").facts
    for name in ("wrn_28_10_cifar10", "wrn_28_10_cifar100"):
        assert catalogue.spec(name) is catalogue.spec("wrn_28_10_cifar")


def test_torchvisions_names_are_mapped_for_every_depth() -> None:
    with torch.device("meta"):
        network = catalogue.create("wide_resnet101_2", in_channels=3, num_classes=2)
    (torchvision,), state = LAYOUTS["wide_resnet"], network.state_dict()
    for theirs, ours in (
        ("bn1.running_mean", "conv1.norm.running_mean"),
        ("module.layer3.22.conv3.weight", "layer3.22.residual.2.conv.weight"),
        ("layer4.0.downsample.1.bias", "layer4.0.shortcut.norm.bias"),
        ("fc.weight", "fc.weight"),
    ):
        assert torchvision.names(network, [theirs], "file") == {theirs: ours}
        assert ours in state


def test_maps_of_odd_sizes_and_slid_heads() -> None:
    network, x = small(), torch.randn(2, 3, 9, 13)
    maps = network.features(x)
    assert [tuple(found.shape[1:]) for found in maps] == [(32, 9, 13), (64, 5, 7), (128, 3, 4)]
    assert (maps[0] < 0).any()
    assert (maps[-1] >= 0).all()
    torch.testing.assert_close(network.dense_logits(x).mean((2, 3)), network(x))


@pytest.mark.parametrize(("name", "size", "least"), [("wrn_16_4_cifar", (3, 4), 4), ("wide_resnet50_2", (64, 31), 32)])
def test_too_small_images_are_refused(name: str, size: tuple[int, int], least: int) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=3, num_classes=10)
    with pytest.raises(SpecError) as caught:
        network(torch.zeros(1, 3, *size, device="meta"))
    assert str(caught.value) == (
        f"{name} cannot take images of {size[0]} x {size[1]} pixels. Expected at least {least} x {least}. "
        "Enlarge the images, or choose a network for small images such as wrn_16_4_cifar."
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"depth": 27}, "x: depth=27. Expected 10, 16, 22, 28 or another 6N + 4. Correct it."),
        ({"depth": 4}, "x: depth=4. Expected 10, 16, 22, 28 or another 6N + 4. Correct it."),
        (
            {"block": "bottleneck", "depth": 52},
            "x: depth=52 with bottlenecks. Expected one of 50, 101, 152. Correct it.",
        ),
        ({"widening": 0}, "x: widening=0. Expected at least 1. Correct the number."),
        ({"dropout": 1.0}, "x: dropout=1.0. Expected from 0 up to but not including 1. Correct it."),
        ({"dropout": float("nan")}, "x: dropout=nan. Expected from 0 up to but not including 1. Correct it."),
        (
            {"block": "bottleneck", "depth": 50, "dropout": 0.3},
            "x: dropout=0.3 with bottlenecks. Expected 0: only basic units have dropout. Leave it out, or set "
            "block=basic.",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        WideResNetSpec(name="x").replace(**columns)
    assert str(caught.value) == message

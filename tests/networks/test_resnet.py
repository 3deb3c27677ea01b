"""Residual and plain networks: shortcuts, strides, sizes, initial weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.shortcuts import ZeroPadShortcut
from pixelwise.networks.classification.resnet import Block, ResNetSpec, make_shortcut


def meta_parameters(name: str, **columns: object) -> int:
    with torch.device("meta"):
        return analysis.count_parameters(catalogue.spec(name).replace(**columns).build(3, 10))


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_option_a_has_the_plain_networks_parameters_and_b_a_few_more(depth: int) -> None:
    plain = meta_parameters(f"plain{depth}_cifar")
    assert meta_parameters(f"resnet{depth}_cifar") == plain
    assert meta_parameters(f"resnet{depth}_cifar", shortcut="B") == plain + 2_752


def test_networks_for_cifar_10_may_be_called_so() -> None:
    rows = [name for name in catalogue.names() if name.startswith(("resnet", "plain")) and name.endswith("_cifar")]
    assert len(rows) == 10
    for name in rows:
        assert catalogue.spec(f"{name}10") is catalogue.spec(name)


def test_option_c_projects_everywhere() -> None:
    with torch.device("meta"):
        network = catalogue.spec("resnet20_cifar").replace(shortcut="C").build(3, 10)
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    assert len(blocks) == 9
    assert all(isinstance(block.shortcut, nn.Sequential) for block in blocks)


@pytest.mark.parametrize(("channels", "out", "before"), [(16, 32, 8), (3, 8, 2), (4, 4, 0)])
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
def test_zero_padded_shortcut(channels: int, out: int, before: int, size: tuple[int, int]) -> None:
    x = torch.randn(2, channels, *size)
    y = ZeroPadShortcut(channels, out, 2)(x)
    assert y.shape == (2, out, -(-size[0] // 2), -(-size[1] // 2))
    assert torch.equal(y[:, before : before + channels], x[:, :, ::2, ::2])
    assert y[:, :before].eq(0).all()
    assert y[:, before + channels :].eq(0).all()


def test_shortcuts_by_option() -> None:
    assert make_shortcut("none", 4, 8, 2) is None
    assert isinstance(make_shortcut("A", 4, 4, 1), nn.Identity)
    assert isinstance(make_shortcut("B", 4, 4, 1), nn.Identity)
    assert isinstance(make_shortcut("A", 4, 8, 1), ZeroPadShortcut)
    assert isinstance(make_shortcut("B", 4, 4, 2), nn.Sequential)


def test_block_adds_before_the_last_relu() -> None:
    torch.manual_seed(0)
    network = catalogue.create("resnet20_cifar", in_channels=3, num_classes=10).eval()
    block = network.get_submodule("stage2.0")
    assert isinstance(block, Block)
    x = torch.randn(1, 16, 8, 8)
    first, second = block.residual
    y = F.conv2d(x, first.conv.weight, stride=2, padding=1)
    y = F.relu(F.batch_norm(y, first.norm.running_mean, first.norm.running_var, first.norm.weight, first.norm.bias))
    y = F.conv2d(y, second.conv.weight, padding=1)
    y = F.batch_norm(y, second.norm.running_mean, second.norm.running_var, second.norm.weight, second.norm.bias)
    y[:, 8:24] += x[:, :, ::2, ::2]
    torch.testing.assert_close(block(x), F.relu(y))


def test_plain_blocks_have_no_addition() -> None:
    network = catalogue.create("plain20_cifar", in_channels=3, num_classes=10).eval()
    block = network.get_submodule("stage1.0")
    x = torch.randn(1, 16, 8, 8)
    assert isinstance(block, Block)
    torch.testing.assert_close(block(x), F.relu(block.residual(x)))


@pytest.mark.parametrize(("name", "strides"), [("resnet50_v1", (2, 1, 1)), ("resnet50", (1, 2, 1))])
def test_bottlenecks_stride_where_their_form_says(name: str, strides: tuple[int, ...]) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=3, num_classes=10)
    for stage in ("conv3_x", "conv4_x", "conv5_x"):
        block = network.get_submodule(f"{stage}.0")
        assert isinstance(block, Block)
        assert tuple(part.conv.stride[0] for part in block.residual) == strides
        assert block.shortcut is not None
        assert block.shortcut.get_submodule("conv").stride == (2, 2)  # type: ignore[comparison-overlap]
    first = network.get_submodule("conv2_x.0")
    assert isinstance(first, Block)
    assert {part.conv.stride[0] for part in first.residual} == {1}


def test_convolutions_start_as_he_says() -> None:
    torch.manual_seed(0)
    network = catalogue.create("resnet18", in_channels=3, num_classes=10)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is None
            expected = (2 / layer.weight[0].numel()) ** 0.5
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.05), name
    assert network.get_submodule("fc").bias.abs().max() == 0  # type: ignore[union-attr,operator]


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 9), (31, 32), (33, 17)])
def test_cifar_networks_take_any_size_from_their_stride(height: int, width: int) -> None:
    network = catalogue.create("resnet20_cifar", in_channels=1, num_classes=3).eval()
    maps = network.features(torch.randn(1, 1, height, width))
    assert [tuple(found.shape[2:]) for found in maps] == [
        (-(-height // stride), -(-width // stride)) for stride in (1, 2, 4)
    ]
    assert network(torch.randn(1, 1, height, width)).shape == (1, 3)


@pytest.mark.parametrize(("name", "size", "least"), [("resnet18", (31, 64), 32), ("resnet20_cifar", (3, 3), 4)])
def test_too_small_images_are_refused(name: str, size: tuple[int, int], least: int) -> None:
    network = catalogue.create(name, in_channels=3, num_classes=10)
    with pytest.raises(SpecError) as caught:
        network(torch.zeros(1, 3, *size))
    assert str(caught.value) == (
        f"{name} cannot take images of {size[0]} x {size[1]} pixels. Expected at least {least} x {least}. "
        "Enlarge the images, or choose a network for small images such as resnet20_cifar."
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
            {"depths": (1, 0), "widths": (4, 4)},
            "x: depths=(1, 0), widths=(4, 4). Expected as many widths as depths, at least one, all positive. "
            "Correct them.",
        ),
        (
            {"depths": (1, 1), "widths": (8, 4), "shortcut": "A"},
            "x: shortcut=A with widths=(8, 4). Expected widths that never shrink: option A can only add maps. "
            "Set shortcut=B.",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        ResNetSpec(name="x").replace(**columns)
    assert str(caught.value) == message


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_stages_answer_as_strided_ones_between_their_places(block: str, output_stride: int) -> None:
    """The algorithme a trous: the same weights on a finer grid, whose every second value is the strided network's."""
    torch.manual_seed(0)
    row = catalogue.spec("resnet18").replace(block=block, widths=(4, 6, 8, 10))
    strided = row.build(3, 2).eval()
    dilated = row.replace(output_stride=output_stride).build(3, 2).eval()
    dilated.load_state_dict(strided.state_dict())
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for ours, theirs, stage in zip(dilated.features(x), strided.features(x), strided.stages, strict=True):
            step = max(1, stage.stride // output_stride)
            torch.testing.assert_close(ours[..., ::step, ::step], theirs)
    assert [stage.stride for stage in dilated.stages] == [min(stage.stride, output_stride) for stage in strided.stages]


def test_multi_grid_multiplies_the_rate_of_the_last_stage() -> None:
    for output_stride, third, last in ((16, [1] * 6, [2, 4, 8]), (8, [2] * 6, [4, 8, 16])):
        with torch.device("meta"):
            network = catalogue.spec("resnet50").replace(output_stride=output_stride, multi_grid=(1, 2, 4)).build(3, 2)
        for name, rates in (("conv4_x", third), ("conv5_x", last)):
            found = [block.residual[1].conv.dilation[0] for block in network.get_submodule(name)]
            assert found == rates


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"output_stride": 4}, "resnet50: output_stride=4. Expected 8, 16 or 32. Correct it."),
        (
            {"output_stride": 16, "multi_grid": (1, 2)},
            "resnet50: multi_grid=(1, 2) with output_stride=16 and depths=(3, 4, 6, 3). Expected one positive factor "
            "for each block of the last stage, and output_stride=16 or 8. Correct them, or leave multi_grid empty.",
        ),
    ],
)
def test_impossible_rates_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("resnet50").replace(**columns)
    assert str(caught.value) == message

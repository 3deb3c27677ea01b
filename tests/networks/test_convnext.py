"""ConvNeXt: blocks, stochastic depth, initial weights, others' names, sliding."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise import catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.networks.classification.convnext import Block, ChannelNorm, ConvNeXtSpec
from pixelwise.specs import Network
from pixelwise.weights import load_tensors


def small(**columns: object) -> Network:
    torch.manual_seed(0)
    shape = {"depths": (1, 2, 1), "widths": (6, 8, 10), "layer_scale": 0.5, **columns}
    network = catalogue.spec("convnext_tiny").replace(**shape).build(3, 5)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network


def norm(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Over the maps, from the definition."""
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).square().mean(1, keepdim=True)
    return (x - mean) / (variance + 1e-6).sqrt() * gain[:, None, None] + shift[:, None, None]


def branch(block: Block, x: Tensor) -> Tensor:
    """Figure 4 with 1x1 convolutions for the full connections, without the sum."""
    y = F.conv2d(x, block.depthwise.weight, block.depthwise.bias, padding=3, groups=x.shape[1])
    y = norm(y, block.norm.weight, block.norm.bias)
    y = F.conv2d(y, block.expand.weight[:, :, None, None], block.expand.bias)
    y = 0.5 * y * (1 + torch.erf(y / 2**0.5))
    y = F.conv2d(y, block.project.weight[:, :, None, None], block.project.bias)
    return y if block.gain is None else y * block.gain[:, None, None]


@pytest.mark.parametrize("layer_scale", [0.5, None])
def test_networks_are_those_of_the_paper(layer_scale: float | None) -> None:
    network = small(layer_scale=layer_scale).eval()
    x = torch.randn(2, 3, 35, 40)
    state = network.state_dict()
    y = F.conv2d(x, state["stem.0.weight"], state["stem.0.bias"], stride=4)
    y = norm(y, state["stem.1.weight"], state["stem.1.bias"])
    for stage, depth in enumerate((1, 2, 1), 1):
        if stage > 1:
            down = f"down{stage - 1}"
            y = norm(y, state[f"{down}.0.weight"], state[f"{down}.0.bias"])
            y = F.conv2d(y, state[f"{down}.1.weight"], state[f"{down}.1.bias"], stride=2)
        for number in range(depth):
            block = network.get_submodule(f"stage{stage}.{number}")
            assert isinstance(block, Block)
            y = y + branch(block, y)
        torch.testing.assert_close(network.features(x)[stage - 1], y, rtol=1e-4, atol=1e-5)
    y = norm(y.mean((2, 3), keepdim=True), state["norm.weight"], state["norm.bias"]).flatten(1)
    torch.testing.assert_close(network(x), F.linear(y, state["fc.weight"], state["fc.bias"]), rtol=1e-4, atol=1e-5)


def test_maps_lie_with_their_channels_innermost_behind_the_stem() -> None:
    network = small().eval()
    for maps in network.features(torch.randn(2, 3, 64, 64)):
        assert maps.is_contiguous(memory_format=torch.channels_last)


def test_rates_of_stochastic_depth_rise_from_block_to_block() -> None:
    with torch.device("meta"):
        network = catalogue.create("convnext_small", in_channels=3, num_classes=2)
    rates = [module.drop_rate for module in network.modules() if isinstance(module, Block)]
    assert rates == pytest.approx([0.4 * place / 35 for place in range(36)])
    single = ConvNeXtSpec(name="x", depths=(1,), widths=(4,), stochastic_depth=0.3).build(1, 2)
    assert [module.drop_rate for module in single.modules() if isinstance(module, Block)] == [0.0]


@pytest.mark.parametrize("layer_scale", [0.5, None])
def test_stochastic_depth_leaves_whole_branches_out(layer_scale: float | None) -> None:
    torch.manual_seed(0)
    block = Block(4, layer_scale, drop_rate=0.25).train()
    x = torch.randn(400, 4, 3, 3)
    torch.manual_seed(1)
    with torch.no_grad():
        added = block(x) - x
        kept = added.flatten(1).abs().sum(1) > 1e-6
        expected = branch(block, x) / 0.75
        torch.testing.assert_close(added[kept], expected[kept], rtol=1e-4, atol=1e-5)
        assert 0.68 < kept.float().mean() < 0.82  # 0.75 +- 3.2 standard deviations of 400 draws
        torch.manual_seed(1)
        assert torch.equal(block(x) - x, added)
        assert not torch.equal(block(x) - x, added)
        torch.testing.assert_close(block.eval()(x) - x, branch(block, x), rtol=1e-4, atol=1e-5)


def test_evaluation_draws_nothing() -> None:
    network, x = small(stochastic_depth=0.5).eval(), torch.randn(2, 3, 32, 32)
    before = torch.get_rng_state()
    assert torch.equal(network(x), network(x))
    assert torch.equal(torch.get_rng_state(), before)


def test_gains_learn_whatever_is_left_out() -> None:
    torch.manual_seed(3)
    network = small(stochastic_depth=0.5).train()
    network(torch.randn(8, 3, 32, 32)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_initial_weights_are_the_papers() -> None:
    torch.manual_seed(0)
    network = catalogue.create("convnext_tiny", in_channels=3, num_classes=1000)
    assert not hasattr(network, "gain")
    for name, parameter in network.named_parameters():
        if name.endswith("gain"):
            assert parameter.ndim == 1, "spared by the optimiser's decay"
            assert parameter.eq(1e-6).all(), name
        elif parameter.ndim > 1:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name
        else:
            is_norm_gain = re.search(r"(norm|stem\.1|down\d\.0)\.weight$", name)
            assert parameter.eq(1.0 if is_norm_gain else 0.0).all(), name


@pytest.mark.parametrize(
    ("size", "rate", "widths"),
    [
        ("tiny", 0.1, (96, 192, 384, 768)),
        ("small", 0.4, (96, 192, 384, 768)),
        ("base", 0.5, (128, 256, 512, 1024)),
        ("large", 0.5, (192, 384, 768, 1536)),
        ("xlarge", 0.2, (256, 512, 1024, 2048)),
    ],
)
def test_rows_of_the_paper(size: str, rate: float, widths: tuple[int, ...]) -> None:
    spec = catalogue.spec(f"convnext_{size}")
    assert isinstance(spec, ConvNeXtSpec)
    assert (spec.stochastic_depth, spec.widths, spec.layer_scale) == (rate, widths, 1e-6)
    assert spec.depths == ((3, 3, 9, 3) if size == "tiny" else (3, 3, 27, 3))


# --- others' names --------------------------------------------------------------------------------------------------


def as_authors(parts: list[str]) -> str:
    if parts[0] == "stem":
        return f"downsample_layers.0.{parts[1]}.{parts[2]}"
    if parts[0].startswith("down"):
        return ".".join(["downsample_layers", parts[0][-1], *parts[1:]])
    if parts[0].startswith("stage"):
        names = {"depthwise": "dwconv", "expand": "pwconv1", "project": "pwconv2", "gain": "gamma"}
        return ".".join(["stages", str(int(parts[0][-1]) - 1), parts[1], names.get(parts[2], parts[2]), *parts[3:]])
    return ".".join(["head" if parts[0] == "fc" else "norm", parts[1]])


def as_timm(parts: list[str]) -> str:
    if parts[0].startswith("down"):
        return ".".join(["stages", parts[0][-1], "downsample", *parts[1:]])
    if parts[0].startswith("stage"):
        names = {"depthwise": "conv_dw", "expand": "mlp.fc1", "project": "mlp.fc2", "gain": "gamma"}
        block = ["stages", str(int(parts[0][-1]) - 1), "blocks", parts[1]]
        return ".".join([*block, names.get(parts[2], parts[2]), *parts[3:]])
    return ".".join(parts if parts[0] == "stem" else ["head", *parts])


def as_torchvision(parts: list[str]) -> str:
    if parts[0] == "stem":
        return ".".join(["features.0", *parts[1:]])
    if parts[0].startswith("down"):
        return ".".join([f"features.{2 * int(parts[0][-1])}", *parts[1:]])
    if parts[0].startswith("stage"):
        names = {"depthwise": "block.0", "norm": "block.2", "expand": "block.3", "project": "block.5"}
        block = [f"features.{2 * int(parts[0][-1]) - 1}", parts[1]]
        return ".".join([*block, names.get(parts[2], "layer_scale"), *parts[3:]])
    return ".".join(["classifier", "2" if parts[0] == "fc" else "0", parts[1]])


@pytest.mark.parametrize("depths", [(1, 2, 1), (2, 1, 3, 1, 1)])
@pytest.mark.parametrize(
    ("rename", "source", "shape"),
    [
        (as_authors, "facebookresearch/ConvNeXt", (-1,)),
        (as_timm, "timm", (-1,)),
        (as_torchvision, "torchvision", (-1, 1, 1)),
    ],
    ids=["authors", "timm", "torchvision"],
)
def test_others_names_are_read(rename, source: str, shape: tuple[int, ...], depths: tuple[int, ...]) -> None:
    columns = {"depths": depths, "widths": tuple(range(3, 3 + len(depths)))}
    first, second = small(**columns), small(**columns, stochastic_depth=0.7)
    theirs = {}
    for name, tensor in first.state_dict().items():
        kept = tensor.reshape(shape) if name.endswith("gain") else tensor
        if rename is as_timm and re.search(r"(expand|project)\.weight$", name):
            kept = tensor[:, :, None, None]  # its smallest sizes keep full connections as convolutions
        theirs[rename(name.split("."))] = kept
    assert len(theirs) == len(first.state_dict())
    nn.init.zeros_(second.get_parameter("fc.weight"))
    load_tensors(second, theirs, "w.pth")
    ours = second.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in first.state_dict().items())
    assert second.pretraining is not None
    assert (second.pretraining.source, second.pretraining.std) == (source, (0.229, 0.224, 0.225))


def test_weights_of_another_size_name_the_first_differences() -> None:
    theirs = {as_timm(name.split(".")): tensor for name, tensor in small().state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_tensors(small(depths=(1, 1, 1)), theirs, "w.pth")
    assert str(caught.value).startswith(
        "w.pth does not fit convnext_tiny: stage2.1.gain (stages.1.blocks.1.gamma in the file) is not in the network; "
    )


# --- sizes ----------------------------------------------------------------------------------------------------------


def test_the_head_slides_over_windows_of_the_papers_size() -> None:
    network = small().eval()
    state, x = network.state_dict(), torch.randn(1, 3, 9 * 16, 8 * 16)
    places = network.dense_logits(x)  # three stages: a window is 7 x 16 pixels
    assert places.shape == (1, 5, 3, 2)
    last = network.features(x)[-1]
    for row in range(3):
        for column in range(2):
            mean = last[:, :, row : row + 7, column : column + 7].mean((2, 3), keepdim=True)
            y = norm(mean, state["norm.weight"], state["norm.bias"]).flatten(1)
            expected = F.linear(y, state["fc.weight"], state["fc.bias"])
            torch.testing.assert_close(places[:, :, row, column], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(112, 112), (32, 112), (47, 16)])
def test_one_window_has_the_answer_of_the_network(size: tuple[int, int]) -> None:
    network, x = small().eval(), torch.randn(2, 3, *size)
    torch.testing.assert_close(network.dense_logits(x)[:, :, 0, 0], network(x), rtol=1e-4, atol=1e-5)


def test_too_small_images_are_refused() -> None:
    with torch.device("meta"):
        network = catalogue.create("convnext_tiny", in_channels=1, num_classes=2).eval()
    assert network(torch.empty(1, 1, 32, 33, device="meta")).shape == (1, 2)
    with pytest.raises(SpecError) as caught:
        network(torch.empty(1, 1, 31, 64, device="meta"))
    assert str(caught.value) == (
        "convnext_tiny cannot take images of 31 x 64 pixels. Expected at least 32 x 32. "
        "Enlarge the images, or choose a network for small images such as resnet20_cifar."
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"depths": (3, 3)},
            "x: depths=(3, 3), widths=(96, 192, 384, 768). Expected as many widths as depths, at least one, all "
            "positive. Correct them.",
        ),
        (
            {"depths": (1,), "widths": (0,)},
            "x: depths=(1,), widths=(0,). Expected as many widths as depths, at least one, all positive. Correct them.",
        ),
        (
            {"stochastic_depth": 1},
            "x: stochastic_depth=1.0. Expected from 0 up to but not including 1. Correct it.",
        ),
        *(
            ({"layer_scale": value}, f"x: layer_scale={value}. Expected more than 0, or none. Correct it.")
            for value in (-1.0, 0.0, float("nan"), float("inf"))
        ),
        ({"layer_scale": "small"}, "x: layer_scale='small'. Expected a number or none. Correct the value."),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        ConvNeXtSpec(name="x").replace(**columns)
    assert str(caught.value) == message


def test_normalisation_over_maps() -> None:
    layer = ChannelNorm(3)
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(layer(x), norm(x, layer.weight, layer.bias))

"""ENet's encoder: counted once more from table 1, its blocks, and the places that a decoder will need."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError
from pixelwise.networks.classification.enet import ENetClassifierSpec
from pixelwise.networks.classification.enet_blocks import (
    AUTHORS,
    Bottleneck,
    DownsamplingBottleneck,
    InitialBlock,
    Middle,
)

CONTEXT: tuple[Middle, ...] = (
    *("regular", "dilated2", "asymmetric5", "dilated4"),
    *("regular", "dilated8", "asymmetric5", "dilated16"),
)


def count(height: int, width: int, classes: int, *, every_place: bool) -> tuple[int, int]:
    """Parameters and multiply-adds, from table 1 and the authors' widths alone."""
    params, macs = 13 * 3 * 9 + 13, 13 * 3 * 9 * (height // 2) * (width // 2)
    params += 3 * 16  # gain, shift, slope

    def bottleneck(maps_in: int, maps: int, pixels: int, middle: str, side: int) -> None:
        nonlocal params, macs
        inner = maps // 4
        taps = 10 if middle == "asymmetric5" else 9
        weights = side * side * maps_in * inner + taps * inner * inner + inner * maps
        params += weights + inner  # the middle convolution alone has a bias
        params += 2 * 3 * inner + 2 * maps + maps  # norm and slope twice; norm; slope after the sum
        macs += weights * pixels

    quarter, eighth = (height // 4) * (width // 4), (height // 8) * (width // 8)
    bottleneck(16, 64, quarter, "regular", 2)
    for _ in range(4):
        bottleneck(64, 64, quarter, "regular", 1)
    bottleneck(64, 128, eighth, "regular", 2)
    for middle in (*CONTEXT, *CONTEXT):
        bottleneck(128, 128, eighth, middle, 1)
    return params + 128 * classes + classes, macs + 128 * classes * (eighth if every_place else 1)


def test_the_classifier_is_the_encoder_of_table_1_with_a_head() -> None:
    facts = catalogue.spec("enet_classifier").facts
    assert facts is not None
    assert (facts.params, facts.macs) == count(224, 224, 1000, every_place=False) == (467_156, 311_206_656)
    assert facts.published == ()


def test_the_first_phase_of_segmentation_is_the_same_network_slid() -> None:
    """19 classes on 512 x 1024: 340,607 parameters and 3,270,377,472 multiply-adds."""
    with torch.device("meta"):
        network = catalogue.create("enet_classifier", in_channels=3, num_classes=19).eval()
    assert analysis.count_parameters(network) == 340_607
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        places = network.dense_logits(torch.empty(1, 3, 512, 1024, device="meta"))
    assert places.shape == (1, 19, 64, 128)
    assert counter.get_total_flops() / 2 == 3_270_377_472
    assert count(512, 1024, 19, every_place=True) == (340_607, 3_270_377_472)


def test_stages_have_the_shapes_of_table_1() -> None:
    with torch.device("meta"):
        network = catalogue.create("enet_classifier", in_channels=3, num_classes=12)
    assert analysis.stage_shapes(network, (3, 512, 512)) == {
        "initial": (16, 256, 256),
        "bottleneck1_0": (64, 128, 128),
        "bottleneck1": (64, 128, 128),
        "bottleneck2_0": (128, 64, 64),
        "bottleneck2": (128, 64, 64),
        "bottleneck3": (128, 64, 64),
        "gap": (128, 1, 1),
        "fc": (12,),
    }


def test_answers_at_every_place_average_to_the_answer() -> None:
    torch.manual_seed(0)
    network = catalogue.create("enet_classifier", in_channels=3, num_classes=5).eval()
    x = torch.randn(2, 3, 40, 24)
    places = network.dense_logits(x)
    assert places.shape == (2, 5, 5, 3)
    torch.testing.assert_close(places.mean((2, 3)), network(x))


def test_the_head_starts_small_and_the_rest_as_in_pytorch() -> None:
    torch.manual_seed(0)
    network = catalogue.create("enet_classifier", in_channels=3, num_classes=1000)
    assert network.get_parameter("fc.weight").std().item() == pytest.approx(0.01, rel=0.02)
    assert network.get_parameter("fc.bias").abs().max() == 0
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4:
            bound = parameter[0].numel() ** -0.5
            assert 0.9 * bound < parameter.abs().max() <= bound, name


# --- blocks ---------------------------------------------------------------------------------------------------------


def spread(module: nn.Module) -> nn.Module:
    """Give every parameter and statistic a value of its own, in evaluation."""
    torch.manual_seed(0)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(std=0.4)
    return module.eval()


def norm(module: nn.Module, x: Tensor) -> Tensor:
    state = {name: tensor[:, None, None] for name, tensor in module.state_dict().items() if tensor.ndim}
    root = (state["running_var"] + 1e-3).sqrt()
    return (x - state["running_mean"]) / root * state["weight"] + state["bias"]


def prelu(module: nn.Module, x: Tensor) -> Tensor:
    slope = module.state_dict()["weight"][:, None, None]
    assert len(slope) == x.shape[1], "one slope for each map"
    return torch.where(x > 0, x, slope * x)


def middle(convolution: nn.Module, kind: str, x: Tensor) -> Tensor:
    state = convolution.state_dict()
    if kind == "asymmetric5":
        assert sorted(state) == ["0.weight", "1.bias", "1.weight"]
        x = F.conv2d(x, state["0.weight"], padding=(0, 2))
        return F.conv2d(x, state["1.weight"], state["1.bias"], padding=(2, 0))
    dilation = int(kind.removeprefix("dilated")) if kind != "regular" else 1
    return F.conv2d(x, state["weight"], state["bias"], padding=dilation, dilation=dilation)


def branch(block: nn.Module, kind: str, x: Tensor, stride: int) -> Tensor:
    parts = dict(block.get_submodule("branch").named_modules())
    y = F.conv2d(x, parts["project.conv"].state_dict()["weight"], stride=stride)
    y = prelu(parts["project.act"], norm(parts["project.norm"], y))
    y = prelu(parts["middle.act"], norm(parts["middle.norm"], middle(parts["middle.conv"], kind, y)))
    return norm(parts["norm"], F.conv2d(y, parts["expand"].state_dict()["weight"]))


@pytest.mark.parametrize("kind", sorted(set(CONTEXT)))
def test_bottlenecks_that_keep_the_size(kind: Middle) -> None:
    block = spread(Bottleneck(8, kind, 0.1))
    x = torch.randn(2, 8, 9, 7)
    expected = prelu(block.get_submodule("act"), x + branch(block, kind, x, 1))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "height", "width"), [("regular", 3, 3), ("asymmetric5", 5, 5), ("dilated8", 17, 17)])
def test_how_far_a_middle_convolution_sees(kind: Middle, height: int, width: int) -> None:
    layer = AUTHORS.middle(kind, 4).get_submodule("conv")
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    x = torch.zeros(1, 4, 41, 41, requires_grad=True)
    layer(x)[0, 0, 20, 20].backward()
    assert x.grad is not None
    seen = x.grad[0, 0].nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [height, width]


@pytest.mark.parametrize("size", [(8, 6), (9, 7), (2, 3)])
def test_bottlenecks_that_halve_the_size(size: tuple[int, int]) -> None:
    block = spread(DownsamplingBottleneck(4, 12, 0.1))
    x = torch.randn(2, 4, *size)
    found = block(x)
    assert found.shape == (2, 12, size[0] // 2, size[1] // 2)
    shortcut = torch.cat([F.max_pool2d(x, 2), torch.zeros(2, 8, size[0] // 2, size[1] // 2)], 1)
    expected = prelu(block.get_submodule("act"), shortcut + branch(block, "regular", x, 2))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 6), (9, 7), (45, 80)])
def test_the_places_of_the_maxima_lead_back(size: tuple[int, int]) -> None:
    block = spread(DownsamplingBottleneck(4, 12, 0.1))
    x = torch.randn(2, 4, *size)
    places: list[Tensor] = []
    assert torch.equal(block(x, places), block(x))
    assert len(places) == 1
    back = F.max_unpool2d(F.max_pool2d(x, 2), places[0], 2, output_size=size)
    assert back.shape == x.shape
    filled = back != 0
    assert filled.sum() == 2 * 4 * (size[0] // 2) * (size[1] // 2)
    assert torch.equal(back[filled], x[filled])


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_the_initial_block_puts_pooled_pixels_behind_its_convolution(size: tuple[int, int]) -> None:
    block = spread(InitialBlock(3, 16))
    x = torch.randn(2, 3, *size)
    state = block.state_dict()
    assert state["conv.weight"].shape == (13, 3, 3, 3)
    beyond = F.pad(x, (0, size[1] % 2, 0, size[0] % 2), value=-100)
    both = torch.cat([F.conv2d(x, state["conv.weight"], state["conv.bias"], 2, 1), F.max_pool2d(beyond, 2)], 1)
    expected = prelu(block.get_submodule("act"), norm(block.get_submodule("norm"), both))
    assert expected.shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_spatial_dropout_is_rare_before_the_second_down_sampling() -> None:
    with torch.device("meta"):
        network = catalogue.create("enet_classifier", in_channels=3, num_classes=2)
    rates = [(name, layer.p) for name, layer in network.named_modules() if isinstance(layer, nn.Dropout2d)]
    assert [rate for _, rate in rates] == [0.01] * 5 + [0.1] * 17
    assert rates[4][0].startswith("bottleneck1.3.")


def test_odd_sizes_are_rounded_as_the_stages_say() -> None:
    network = catalogue.create("enet_classifier", in_channels=1, num_classes=2).eval()
    maps = network.features(torch.randn(1, 1, 45, 83))
    assert [tuple(found.shape[1:]) for found in maps] == [(16, 23, 42), (64, 11, 21), (128, 5, 10)]
    assert all(one.stride * 2 == other.stride for one, other in pairwise(network.stages))


# --- refusals -------------------------------------------------------------------------------------------------------


def test_too_small_images_are_refused() -> None:
    network = catalogue.create("enet_classifier", in_channels=1, num_classes=2).eval()
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 2)
    with pytest.raises(SpecError) as caught:
        network(torch.zeros(1, 1, 7, 90))
    assert str(caught.value) == (
        "enet_classifier cannot take images of 7 x 90 pixels. Expected at least 8 x 8. "
        "Enlarge the images, or choose a network for small images such as resnet20_cifar."
    )


def test_channels_that_leave_the_initial_convolution_no_maps_are_refused() -> None:
    network = catalogue.create("enet_classifier", in_channels=15, num_classes=2)
    assert network.get_parameter("initial.conv.weight").shape == (1, 15, 3, 3)
    with pytest.raises(SpecError) as caught:
        catalogue.create("enet_classifier", in_channels=16, num_classes=2)
    assert str(caught.value) == (
        "enet_classifier: in_channels=16. Expected fewer than the initial block's 16 maps, which pooling alone would "
        "fill. Widen it (widths), or choose another network."
    )


WIDTHS = "Expected widths that never shrink, the last two multiples of 4; all others positive. Correct them."


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"widths": (16, 62, 128)}, f"x: widths=(16, 62, 128), early_depth=4, context of 8, repeats=2. {WIDTHS}"),
        ({"widths": (16, 64, 126)}, f"x: widths=(16, 64, 126), early_depth=4, context of 8, repeats=2. {WIDTHS}"),
        ({"widths": (16, 64, 32)}, f"x: widths=(16, 64, 32), early_depth=4, context of 8, repeats=2. {WIDTHS}"),
        ({"widths": (0, 64, 128)}, f"x: widths=(0, 64, 128), early_depth=4, context of 8, repeats=2. {WIDTHS}"),
        ({"early_depth": 0}, f"x: widths=(16, 64, 128), early_depth=0, context of 8, repeats=2. {WIDTHS}"),
        ({"context": ()}, f"x: widths=(16, 64, 128), early_depth=4, context of 0, repeats=2. {WIDTHS}"),
        ({"repeats": 0}, f"x: widths=(16, 64, 128), early_depth=4, context of 8, repeats=0. {WIDTHS}"),
        (
            {"dropout": (0.1, 1)},
            "x: dropout=(0.1, 1.0). Expected rates from 0 up to but not including 1. Correct them.",
        ),
        (
            {"context": ("dilated3",)},
            "x: context=('dilated3',). Expected comma-separated values, each one of regular, asymmetric5, dilated2, "
            "dilated4, dilated8, dilated16. Correct the value.",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        ENetClassifierSpec(name="x").replace(**columns)
    assert str(caught.value) == message


def test_more_repeats_make_more_stages() -> None:
    with torch.device("meta"):
        network = catalogue.spec("enet_classifier").replace(repeats=3).build(3, 2)
    assert network.stages[-1].module == "bottleneck4"
    assert network(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 2)

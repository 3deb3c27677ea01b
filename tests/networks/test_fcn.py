"""Fully convolutional networks: positions, crops, first loss, every backbone, and what they refuse."""

from math import log

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise import catalogue
from pixelwise.errors import PixelwiseError, SpecError
from pixelwise.layers.bilinear import Grid, bilinear_filter, bilinear_transposed
from pixelwise.networks import backbones
from pixelwise.networks.segmentation.fcn import FCN
from pixelwise.specs import Network

THIN = {
    "vgg16": {"widths": (3, 4, 5, 6, 7), "depths": (1, 1, 1, 1, 1), "hidden": (6, 5)},
    "vgg16_bn": {"widths": (3, 4, 5, 6, 7), "depths": (1, 1, 1, 1, 1), "hidden": (6, 5)},
    "alexnet_2012": {"widths": (4, 6, 8, 8, 8), "hidden": (6, 5)},
    "bn_alexnet": {"widths": (4, 6, 8, 8, 8), "hidden": (6, 5)},
}


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backbones of the same layers and few maps."""
    for name, columns in THIN.items():
        monkeypatch.setitem(backbones.BACKBONES, name, backbones.BACKBONES[name].replace(**columns))


@pytest.mark.parametrize(("kernel", "step"), [(64, 32), (63, 32), (4, 2), (3, 2), (16, 8), (2, 1)])
def test_the_bilinear_filter_is_the_papers_formula(kernel: int, step: int) -> None:
    centre = step - 0.5 if kernel % 2 == 0 else step - 1
    found = bilinear_filter(kernel, step)
    for i in range(kernel):
        for j in range(kernel):
            expected = (1 - abs(i - centre) / step) * (1 - abs(j - centre) / step)
            assert found[i, j] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("step", [2, 8])
def test_it_interpolates_each_channel_by_itself(step: int) -> None:
    """Away from the borders; PyTorch's own interpolation is the reference."""
    x = torch.rand(1, 3, 5, 6)
    layer = bilinear_transposed(3, step, 2 * step, is_learned=True)
    inner = step // 2
    found = layer(x)[..., inner:-inner, inner:-inner]
    expected = F.interpolate(x, scale_factor=step, mode="bilinear", align_corners=False)
    away = slice(step, -step)
    torch.testing.assert_close(found[..., away, away], expected[..., away, away])


def test_fixed_filters_are_no_parameters() -> None:
    layer = bilinear_transposed(3, 2, 4, is_learned=False)
    assert not list(layer.parameters())
    assert list(layer.state_dict()) == ["weight"]
    torch.testing.assert_close(layer.weight, bilinear_transposed(3, 2, 4, is_learned=True).weight.detach())


CROPS = {
    "fcn32s": (19, []),
    "fcn16s": (27, [5]),
    "fcn8s": (31, [5, 9]),
    "fcn_alexnet": (18, []),
}
"""Of the networks published with the paper."""


@pytest.mark.parametrize("name", CROPS)
def test_crops_are_those_of_the_published_networks(name: str) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=3, num_classes=21)
    assert isinstance(network, FCN)
    assert (network.crop.offset, [skip.offset for skip in network._skips]) == CROPS[name]


def test_grids_are_brute_forces() -> None:
    """A layer's value lies in the middle of what it depends on."""
    layers = nn.Sequential(nn.Conv2d(1, 1, 7, stride=3, padding=2), nn.MaxPool2d(2), nn.Conv2d(1, 1, 5, padding=1))
    x = torch.rand(1, 1, 80, 80, requires_grad=True)
    grid = Grid()
    for layer in layers:
        nn.init.ones_(layer.weight) if isinstance(layer, nn.Conv2d) else None
        grid = grid.through(layer)
    linear = nn.Sequential(layers[0], nn.AvgPool2d(2), layers[2])
    (seen,) = torch.autograd.grad(linear(x)[0, 0, 5, 5], x)
    rows = seen[0, 0].any(1).nonzero()
    assert grid.step == 6
    assert 6 * 5 + grid.start == (rows.min() + rows.max()) / 2


def averaging(network: Network) -> Network:
    """Make every layer an average of its window, so that each value of a map knows its position."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.bias)
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        elif isinstance(module, nn.MaxPool2d):
            network.set_submodule(name, nn.AvgPool2d(module.kernel_size, module.stride, ceil_mode=True))
    return network


@pytest.mark.usefixtures("thin")
@pytest.mark.parametrize(
    ("skips", "backbone"),
    [(0, "vgg16"), (1, "vgg16_bn"), (2, "vgg16"), (3, "vgg16"), (0, "bn_alexnet"), (2, "bn_alexnet")],
)
def test_each_pixel_is_answered_at_its_own_place(skips: int, backbone: str) -> None:
    """Averages and bilinear interpolation leave a ramp as it is: a crop that is off by a pixel shifts it."""
    network = averaging(catalogue.spec("fcn32s", backbone=backbone).replace(skips=skips).build(1, 1)).double().eval()
    rows = torch.arange(1.0, 801, dtype=torch.double)[:, None].expand(800, 801)
    columns = torch.arange(1.0, 802, dtype=torch.double)[None, :].expand(800, 801)
    with torch.no_grad():
        y = network(torch.stack([rows, columns, torch.ones_like(rows)])[:, None])[:, 0]
    inner = slice(390, 410)  # further from the borders than any receptive field reaches
    torch.testing.assert_close(y[0, inner, inner] / y[2, inner, inner], rows[inner, inner])
    torch.testing.assert_close(y[1, inner, inner] / y[2, inner, inner], columns[inner, inner])


@pytest.mark.usefixtures("thin")
@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s", "fcn_alexnet"])
@pytest.mark.parametrize("size", [(1, 1), (31, 64), (97, 70)])
def test_every_size_gives_scores_of_its_size_and_the_loss_of_guessing(name: str, size: tuple[int, int]) -> None:
    network = catalogue.create(name, in_channels=3, num_classes=7).eval()
    y = network(torch.randn(1, 3, *size))
    assert y.shape == (1, 7, *size)
    loss = F.cross_entropy(y, torch.randint(7, (1, *size)))
    assert loss.item() == pytest.approx(log(7), abs=1e-6)


@pytest.mark.usefixtures("thin")
@pytest.mark.parametrize(("upsampling", "learned"), [("learned", 3), ("inner", 2), ("fixed", 0)])
def test_which_transposed_convolutions_learn(upsampling: str, learned: int) -> None:
    network = catalogue.spec("fcn8s").replace(upsampling=upsampling).build(3, 5)
    names = {name for name, _ in network.named_parameters()}
    assert len(names & {"upscore2.weight", "upscore_pool4.weight", "up.weight"}) == learned
    assert {"upscore2.weight", "upscore_pool4.weight", "up.weight"} < set(network.state_dict())


@pytest.mark.usefixtures("thin")
def test_at_once_finer_maps_count_less() -> None:
    torch.manual_seed(0)
    plain = catalogue.create("fcn8s", in_channels=3, num_classes=4).eval()
    at_once = plain.spec.replace(skip_scaling="at_once").build(3, 4).eval()
    for score in ("score_fr", "score_pool4", "score_pool3"):
        nn.init.normal_(plain.get_submodule(score).weight)
    state = plain.state_dict()
    at_once.load_state_dict(state)
    state["score_pool4.weight"] = state["score_pool4.weight"] * 0.01
    state["score_pool3.weight"] = state["score_pool3.weight"] * 0.0001
    plain.load_state_dict(state)
    x = torch.randn(1, 3, 40, 50)
    torch.testing.assert_close(at_once(x), plain(x))


@pytest.mark.usefixtures("thin")
def test_fc6_and_fc7_are_the_classifiers_connections_at_every_place() -> None:
    torch.manual_seed(0)
    classifier = catalogue.spec("bn_alexnet").replace(**THIN["bn_alexnet"]).build(3, 5).eval()
    network = catalogue.create("fcn_alexnet", backbone="bn_alexnet", in_channels=3, num_classes=5).eval()
    assert isinstance(network, FCN)
    for name, tensor in classifier.state_dict().items():
        if name in network.state_dict():
            own = network.state_dict()[name]
            own.copy_(tensor.view(own.shape))
    maps = torch.randn(1, 8, 7, 9)
    expected = classifier.fc7.slide(classifier.fc6.slide(maps, 6), 1)  # type: ignore[operator, union-attr] # fc6 slides
    torch.testing.assert_close(network.fc7(network.fc6(maps)), expected)


TOO_FEW_FOR_8S = {"nin_cifar", "bn_nin_cifar"}
"""Their last maps are the classes', so that two strides remain."""
LIGHTEST = {
    min((row.facts.macs, row.name) for row in backbones.BACKBONES.values() if row.facts and row.family == family)[1]
    for family in {row.family for row in backbones.BACKBONES.values()}
}
BACKBONES = [name if name in LIGHTEST else pytest.param(name, marks=pytest.mark.slow) for name in backbones.BACKBONES]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("network", ["fcn32s", "fcn8s"])
def test_every_backbone_serves(network: str, name: str) -> None:
    if network == "fcn8s" and name in TOO_FEW_FOR_8S:
        pytest.skip("it has two strides")
    with torch.device("meta"):
        built = catalogue.create(network, backbone=name, in_channels=3, num_classes=5).eval()
    for size in ((97, 131), (224, 192)):
        with torch.no_grad():
            assert built(torch.empty(1, 3, *size, device="meta")).shape == (1, 5, *size)
    depending = {key for key, tensor in built.state_dict().items() if tensor.ndim and 5 in tensor.shape[:2]}
    assert {key.rpartition(".")[0] for key in depending} == set(built.heads)


@pytest.mark.parametrize("name", sorted(TOO_FEW_FOR_8S))
def test_backbones_with_too_few_strides_are_refused(name: str) -> None:
    with pytest.raises(SpecError) as caught, torch.device("meta"):
        catalogue.create("fcn8s", backbone=name, in_channels=3, num_classes=5)
    assert str(caught.value) == (
        f"fcn8s: skips=2 with {name}, whose maps have the strides 1, 2. Expected skips of at most 1. "
        "Correct the number, or choose another backbone."
    )


@pytest.mark.parametrize(
    ("name", "backbone", "message"),
    [
        (
            "fcn8s",
            "lenet5",
            "fcn8s: backbone=lenet5 takes pictures of 32 x 32 pixels only. Expected a network of convolutions that "
            "takes pictures of many sizes. Choose a row of another family: alexnet, nin, vgg, googlenet, bn_inception, "
            "inception_v3, resnet, inception_v4, inception_resnet, preact_resnet, wide_resnet, enet_classifier, "
            "densenet, convnext.",
        ),
        (
            "fcn8s",
            "resnet5",
            "fcn8s: backbone=resnet5 is no classification network. Expected the name of one. "
            "Did you mean resnet50 or resnet50_v1 or resnet56_cifar?",
        ),
        (
            "fcn8s",
            "zzzz",
            "fcn8s: backbone=zzzz is no classification network. Expected the name of one. `pixelwise nets` lists them.",
        ),
    ],
)
def test_backbones_that_cannot_serve_are_refused(name: str, backbone: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec(name, backbone=backbone)
    assert str(caught.value) == message


def test_networks_without_a_backbone_say_which_have_one() -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("unet", backbone="vgg16")
    assert str(caught.value).startswith(
        "unet stands on no backbone, asked for vgg16. Expected a network whose backbone can be chosen. "
        "Leave the backbone out, or choose one of fcn32s, fcn16s, fcn8s, fcn_alexnet, "
    )


def test_a_backbone_may_be_called_by_another_name_and_the_rows_own_keeps_its_facts() -> None:
    assert catalogue.spec("fcn8s", backbone="vgg16").facts is not None
    assert catalogue.spec("fcn8s_vgg16") is catalogue.spec("fcn8s")
    other = catalogue.spec("fcn8s", backbone="resnet18_v1")
    assert other.facts is None
    assert catalogue.spec_from_json(other.to_json()) == other


@pytest.mark.usefixtures("thin")
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"skips": -1},
            "fcn32s: skips=-1, padding=100, dropout=0.5. Expected skips and padding of 0 or more; a dropout from 0 up "
            "to, but not 1. Correct them.",
        ),
        (
            {"skips": 5},
            "fcn32s: skips=5 with backbone=vgg16. Expected at most 4: it has 5 poolings, and the last is scored "
            "anyway. Correct the number.",
        ),
        (
            {"padding": 80},
            "fcn32s: padding=80 leaves 1 pixels at each border without scores. Expected at least 81. Correct the "
            "padding; the paper's is 100.",
        ),
    ],
)
def test_impossible_columns_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec("fcn32s").replace(**columns).build(3, 5)
    assert str(caught.value) == message


@pytest.mark.usefixtures("thin")
def test_pictures_that_are_too_small_are_refused() -> None:
    for spec, size, expected in (
        (catalogue.spec("fcn32s").replace(padding=81), (1, 40), "a size that the scores cover, such as 33 x 40"),
        (catalogue.spec("fcn8s").replace(padding=69), (3, 90), "a size that the scores cover, such as 57 x 90"),
        (catalogue.spec("fcn32s"), (0, 5), "a size that the scores cover, such as 1 x 5"),
        (catalogue.spec("fcn_inception_v3"), (74, 300), "at least 75 x 75"),
        (catalogue.spec("fcn32s", backbone="resnet18"), (0, 1), "at least 1 x 1"),
    ):
        with torch.device("meta"):
            network = spec.build(3, 2)
        with pytest.raises(PixelwiseError) as caught:
            network.check_size(*size)
        assert caught.value.expected == expected


@pytest.mark.usefixtures("thin")
def test_half_precision_in_any_memory_layout_gives_nearly_the_same_numbers() -> None:
    torch.manual_seed(0)
    network = catalogue.create("fcn8s", in_channels=3, num_classes=4).eval()
    for head in ("score_fr", "score_pool4", "score_pool3"):
        nn.init.normal_(network.get_submodule(head).weight)
    x = torch.randn(1, 3, 45, 61)
    with torch.no_grad():
        expected = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            found = network.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert (found.float() - expected).norm() < 0.05 * expected.norm()


@pytest.mark.usefixtures("thin")
def test_features_are_the_trunks_and_other_batches_are_refused() -> None:
    for spec in (catalogue.spec("fcn8s"), catalogue.spec("fcn8s", backbone="resnet20_cifar")):
        network = spec.build(3, 4).eval()
        x = torch.randn(1, 3, 40, 50)
        maps = network.features(x)
        assert [found.shape[1] for found in maps] == [stage.channels for stage in network.stages]
        for use in (network, network.features):
            with pytest.raises(SpecError, match=r"a batch of shape \(1, 1, 40, 50\)"):
                use(x[:, :1])

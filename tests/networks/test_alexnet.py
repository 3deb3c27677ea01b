"""AlexNet: towers, the sizes it takes, sliding, initial weights, torchvision's names."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.layers.full_connections import FullConnection
from pixelwise.layers.lrn import LocalResponseNorm
from pixelwise.networks.classification.alexnet import SPECS, AlexNet, AlexNetSpec
from pixelwise.weights import load_tensors

THIN = {"widths": (8, 12, 16, 16, 12), "hidden": (20, 24)}


def small(name: str = "alexnet_2012", **columns: object) -> AlexNet:
    torch.manual_seed(0)
    return catalogue.spec(name).replace(**THIN | columns).build(3, 5).eval()  # type: ignore[return-value]


def on_meta(name: str, **columns: object) -> AlexNet:
    with torch.device("meta"):
        return catalogue.spec(name).replace(**columns).build(3, 1000)  # type: ignore[return-value]


def counted(spec: AlexNetSpec) -> int:
    """Parameters by the table's arithmetic: weights, biases, and two numbers per map for batch normalisation."""
    total, before = 0, 3
    for kernel, width, groups in zip((11, 5, 3, 3, 3), spec.widths, spec.groups, strict=True):
        total += kernel**2 * before // groups * width + width
        before = width
    before *= 6 * 6
    for units in (*spec.hidden, 1000):
        total += before * units + units
        before = units
    return total + (2 * sum((*spec.widths, *spec.hidden)) if spec.normalisation == "batch" else 0)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_parameters_by_arithmetic(spec: AlexNetSpec) -> None:
    assert spec.facts is not None
    assert counted(spec) == spec.facts.params


def test_most_parameters_are_in_the_full_connections() -> None:
    network = on_meta("alexnet_2012")
    assert sum(analysis.count_parameters(layer) for layer in (network.fc6, network.fc7, network.fc8)) == 58_631_144


def test_the_rows_are_the_figures() -> None:
    rows = [name for name, _ in on_meta("alexnet_2012").named_children()]
    assert rows[:5] == ["conv1", "norm1", "pool1", "conv2", "norm2"]
    assert rows[5:] == ["pool2", "conv3", "conv4", "conv5", "pool5", "avgpool", "fc6", "fc7", "fc8"]
    without = [name for name, _ in on_meta("bn_alexnet").named_children()]
    assert without == [name for name in rows if not name.startswith("norm")]


def test_towers_meet_in_conv3_and_the_full_connections_only() -> None:
    """Two towers built apart and joined where the paper joins them compute the same."""
    network, x = small(), torch.randn(2, 3, 227, 227)

    def half(name: str, tower: int) -> tuple[torch.Tensor, torch.Tensor]:
        layer = network.get_submodule(f"{name}.conv")
        return layer.weight.chunk(2)[tower], layer.bias.chunk(2)[tower]  # type: ignore[operator,union-attr]

    def pool(maps: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(maps, 3, stride=2)

    with torch.no_grad():
        first = F.relu(F.conv2d(x, *(torch.cat([half("conv1", t)[i] for t in (0, 1)]) for i in (0, 1)), stride=4))
        towers = pool(F.local_response_norm(first, 5, 1e-4, 0.75, 2)).chunk(2, 1)
        second = [F.relu(F.conv2d(maps, *half("conv2", t), padding=2)) for t, maps in enumerate(towers)]
        joined = pool(F.local_response_norm(torch.cat(second, 1), 5, 1e-4, 0.75, 2))
        third = [F.relu(F.conv2d(joined, *half("conv3", t), padding=1)) for t in (0, 1)]
        fourth = [F.relu(F.conv2d(maps, *half("conv4", t), padding=1)) for t, maps in enumerate(third)]
        fifth = [pool(F.relu(F.conv2d(maps, *half("conv5", t), padding=1))) for t, maps in enumerate(fourth)]
        hidden = torch.cat(fifth, 1).flatten(1)
        for layer in (network.fc6, network.fc7):
            hidden = F.relu(layer.linear(hidden))
        torch.testing.assert_close(network(x), network.fc8(hidden))


def test_a_tower_does_not_see_the_other() -> None:
    network = small()
    x = torch.randn(1, 8, 27, 27)
    other = x.clone()
    other[:, 4:] += 1
    same = network.get_submodule("conv2")(x) == network.get_submodule("conv2")(other)
    assert same[:, :6].all()
    assert not same[:, 6:].all()


@pytest.mark.parametrize(
    ("local_response", "factor", "k"), [("author", 2e-5, 2), ("paper", 1e-4, 2), ("caffe", 2e-5, 1)]
)
def test_local_response_is_that_of_the_convention(local_response: str, factor: float, k: float) -> None:
    layers = [
        m for m in on_meta("alexnet_2012", local_response=local_response).modules() if type(m) is LocalResponseNorm
    ]
    assert [(layer.constants.factor, layer.constants.k) for layer in layers] == [(pytest.approx(factor), k)] * 2


@pytest.mark.parametrize(
    ("name", "padding", "side"), [("alexnet_2012", 0, 227), ("alexnet_2012", 2, 224), ("alexnet", 2, 224)]
)
@pytest.mark.parametrize("pooling", ["overlapping", "apart"])
def test_the_papers_sizes_give_its_maps(name: str, padding: int, side: int, pooling: str) -> None:
    network = small(name, padding=padding, pooling=pooling)
    with torch.no_grad():
        maps = network.features(torch.zeros(1, 3, side, side))
    assert [found.shape[-1] for found in maps] == [55, 27, 13, 6]


@pytest.mark.parametrize("name", ["alexnet_2012", "bn_alexnet"])
def test_at_its_own_size_the_average_changes_nothing(name: str) -> None:
    network, x = small(name), torch.randn(2, 3, 227, 227)
    with torch.no_grad():
        maps = network.features(x)[-1]
        assert torch.equal(network.avgpool(maps), maps)
        dense = network.dense_logits(x)
        assert dense.shape == (2, 5, 1, 1)
        torch.testing.assert_close(dense[:, :, 0, 0], network(x))


@pytest.mark.parametrize("name", ["alexnet_2012", "bn_alexnet"])
def test_slid_over_a_picture_every_place_answers_for_its_window(name: str) -> None:
    """A step in the last maps is 32 pixels; zeros around conv2 to conv5 see the window's edge, so only maps compare."""
    network, x = small(name), torch.randn(1, 3, 270, 300)
    with torch.no_grad():
        maps, dense = network.features(x)[-1], network.dense_logits(x)
        assert dense.shape == (1, 5, maps.shape[2] - 5, maps.shape[3] - 5)
        for row in range(dense.shape[2]):
            for column in range(dense.shape[3]):
                window = maps[:, :, row : row + 6, column : column + 6].flatten(1)
                expected = network.fc8(network.fc7(network.fc6(window)))
                torch.testing.assert_close(dense[:, :, row, column], expected)


def test_sliding_in_training_normalises_over_places() -> None:
    layer = FullConnection(8, 3, dropout=0.0, normalisation="batch").train()
    maps = torch.randn(2, 2, 3, 5)
    rows = torch.stack([maps[n, :, i : i + 2, j : j + 2].flatten() for n in (0, 1) for i in (0, 1) for j in range(4)])
    expected = layer(rows).view(2, 2, 4, 3).permute(0, 3, 1, 2)
    torch.testing.assert_close(layer.slide(maps, 2), expected)


@pytest.mark.parametrize(
    ("name", "columns", "least"),
    [
        ("alexnet_2012", {}, 67),
        ("alexnet", {}, 63),
        ("alexnet", {"padding": 0}, 67),
        ("alexnet", {"pooling": "apart"}, 35),
    ],
)
def test_the_smallest_image_is_said(name: str, columns: dict[str, object], least: int) -> None:
    network = small(name, **columns)
    assert network(torch.zeros(1, 3, least, least)).shape == (1, 5)
    for size in ((least - 1, least), (least, least - 1)):
        with pytest.raises(SpecError) as caught:
            network(torch.zeros(1, 3, *size))
        assert str(caught.value) == (
            f"{name} cannot take images of {size[0]} x {size[1]} pixels. Expected at least {least} x {least}. "
            "Enlarge the images, or choose a network for small images such as resnet20_cifar."
        )


@pytest.mark.parametrize(("name", "least"), [("alexnet_2012", 227), ("alexnet", 223)])
def test_the_smallest_image_to_slide_over_is_said(name: str, least: int) -> None:
    network = small(name)
    assert network.dense_logits(torch.zeros(1, 3, least, least)).shape == (1, 5, 1, 1)
    with pytest.raises(SpecError) as caught:
        network.dense_logits(torch.zeros(1, 3, least, least - 1))
    assert str(caught.value) == (
        f"{name} cannot be slid over images of {least} x {least - 1} pixels. Expected at least {least} x {least}. "
        "Enlarge the images, or choose another test protocol."
    )


def test_weights_start_as_in_section_5() -> None:
    network = small(hidden=(400, 300))
    ones = {"conv2.conv", "conv4.conv", "conv5.conv", "fc6.linear", "fc7.linear"}
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            assert layer.bias is not None
            assert layer.weight.std().item() == pytest.approx(0.01, rel=0.1), name
            assert layer.bias.unique().tolist() == [float(name in ones)], name
    caffe = small(hidden_bias=0.1)
    assert caffe.fc6.linear.bias.unique().tolist() == pytest.approx([0.1])


def test_torchvisions_form_starts_as_pytorch_does() -> None:
    network = small("alexnet")
    bound = (8 * 25) ** -0.5
    assert network.get_parameter("conv2.conv.weight").abs().max().item() == pytest.approx(bound, rel=0.02)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("alexnet_2012", ["linear", "act", "dropout"]),
        ("alexnet", ["dropout", "linear", "act"]),
        ("bn_alexnet", ["dropout", "linear", "norm", "act"]),
        ("bn_alexnet_2012", ["linear", "norm", "act", "dropout"]),
    ],
)
def test_dropout_stands_where_the_source_has_it(name: str, parts: list[str]) -> None:
    network = on_meta(name)
    for layer in (network.fc6, network.fc7):
        assert list(layer._modules) == parts
        assert layer.dropout.p == 0.5
    norms = [module for module in network.modules() if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d))]
    assert [norm.eps for norm in norms] == [1e-3] * (7 if "bn" in name else 0)


def test_tanh_and_pooling_apart_are_fields() -> None:
    network = on_meta("alexnet_2012", activation="tanh", pooling="apart")
    assert sum(isinstance(module, nn.Tanh) for module in network.modules()) == 7
    assert {module.kernel_size for module in network.modules() if isinstance(module, nn.MaxPool2d)} == {2}


def sequences(spec: AlexNetSpec) -> dict[str, nn.Sequential]:
    """Torchvision's two sequences, or soumith's with batch normalisation, for the columns of a spec."""
    trunk: list[nn.Module] = []
    before = 3
    columns = zip((11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (2, 2, 1, 1, 1), spec.widths, spec.groups, strict=True)
    for number, (kernel, stride, padding, width, groups) in enumerate(columns, start=1):
        trunk.append(nn.Conv2d(before, width, kernel, stride, padding, groups=groups))
        trunk += [nn.BatchNorm2d(width, 1e-3)] if spec.normalisation == "batch" else []
        trunk.append(nn.ReLU())
        trunk += [nn.MaxPool2d(3, 2)] if number in (1, 2, 5) else []
        before = width
    head: list[nn.Module] = []
    before *= 36
    for units in spec.hidden:
        head += [nn.Dropout(), nn.Linear(before, units)]
        head += [nn.BatchNorm1d(units, 1e-3)] if spec.normalisation == "batch" else []
        head.append(nn.ReLU())
        before = units
    return {"features": nn.Sequential(*trunk), "classifier": nn.Sequential(*head, nn.Linear(before, 5))}


@pytest.mark.parametrize("name", ["alexnet", "bn_alexnet"])
@pytest.mark.parametrize("prefix", ["", "module.", "features.module."])
def test_torchvisions_names_are_read_whatever_the_layers(name: str, prefix: str) -> None:
    network = small(name)
    reference = nn.ModuleDict(sequences(network.spec)).eval()
    with torch.no_grad():
        for key, value in reference.state_dict().items():
            if "running" in key:
                value.uniform_(0.5, 1.5)
    state = {
        key.replace("features.", prefix) if prefix == "features.module." else f"{prefix}{key}": value
        for key, value in reference.state_dict().items()
    }
    assert load_tensors(network, state, "state") == ()
    assert network.pretraining is not None
    assert network.pretraining.source == "torchvision"
    for size in ((224, 224), (63, 90)):
        x = torch.randn(2, 3, *size)
        with torch.no_grad():
            maps = F.adaptive_avg_pool2d(reference["features"](x), 6).flatten(1)
            torch.testing.assert_close(network(x), reference["classifier"](maps))


def test_weights_of_a_variant_are_refused_with_the_first_differences() -> None:
    tensors = {
        f"features.{key}": value for key, value in sequences(small("bn_alexnet").spec)["features"].state_dict().items()
    }
    with pytest.raises(WeightsError, match=r"state does not fit alexnet: conv2\.conv\.weight is missing; "):
        load_tensors(small("alexnet"), tensors, "state")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"groups": (1, 5, 1, 2, 2)},
            "x: 5 groups in conv2, widths=(96, 256, 384, 384, 256). Expected groups that divide the maps before and "
            "after them; one in conv1. Change groups or widths.",
        ),
        (
            {"groups": (2, 2, 1, 2, 2)},
            "x: 2 groups in conv1, widths=(96, 256, 384, 384, 256). Expected groups that divide the maps before and "
            "after them; one in conv1. Change groups or widths.",
        ),
        (
            {"dropout": 1.0},
            "x: widths=(96, 256, 384, 384, 256), groups=(1, 2, 1, 2, 2), hidden=(4096, 4096), padding=0, dropout=1.0. "
            "Expected positive numbers, a padding of 0 or more, a dropout from 0 up to, but not 1. Correct them.",
        ),
        (
            {"widths": (96, 256, 384, 384)},
            "x: widths=(96, 256, 384, 384). Expected comma-separated values, each a whole number. Correct the value.",
        ),
        ({"hidden_bias": float("nan")}, "x: hidden_bias=nan. Expected a finite number. Correct it."),
        ({"hidden_bias": float("-inf")}, "x: hidden_bias=-inf. Expected a finite number. Correct it."),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        AlexNetSpec(name="x").replace(**columns)
    assert str(caught.value) == message

"""VGG: configurations, sliding, starting from A, torchvision's and timm's names."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise import analysis, catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.layers.lrn import LocalResponseNorm
from pixelwise.networks.classification.vgg import SPECS, VGG, VGGSpec
from pixelwise.weights import load_tensors

THIN = {"widths": (4, 6, 8, 10, 12), "hidden": (20, 24)}

TABLE_1 = {
    "vgg11": "64 / 128 / 256 256 / 512 512 / 512 512",
    "vgg11_lrn": "64 LRN / 128 / 256 256 / 512 512 / 512 512",
    "vgg13": "64 64 / 128 128 / 256 256 / 512 512 / 512 512",
    "vgg16c": "64 64 / 128 128 / 256 256 1x1 / 512 512 1x1 / 512 512 1x1",
    "vgg16": "64 64 / 128 128 / 256 256 256 / 512 512 512 / 512 512 512",
    "vgg19": "64 64 / 128 128 / 256 256 256 256 / 512 512 512 512 / 512 512 512 512",
}


def small(name: str = "vgg16", **columns: object) -> VGG:
    torch.manual_seed(0)
    return catalogue.spec(name).replace(**THIN | columns).build(3, 5).eval()  # type: ignore[return-value]


def on_meta(name: str, **columns: object) -> VGG:
    with torch.device("meta"):
        return catalogue.spec(name).replace(**columns).build(3, 1000)  # type: ignore[return-value]


def written(network: VGG) -> str:
    """The blocks in the words of table 1."""
    blocks = []
    for name, block in network.named_children():
        if name.startswith("block"):
            words = []
            for layer in block.children():
                if isinstance(layer, LocalResponseNorm):
                    words.append("LRN")
                    continue
                conv = layer.get_submodule("conv")
                assert isinstance(conv, nn.Conv2d)
                assert conv.stride == (1, 1)
                words.append(str(conv.out_channels) if conv.kernel_size == (3, 3) else "1x1")
            blocks.append(" ".join(words))
    return " / ".join(blocks)


@pytest.mark.parametrize("name", [spec.name for spec in SPECS])
def test_the_blocks_are_those_of_table_1(name: str) -> None:
    network = on_meta(name)
    plain = name.removesuffix("_bn")
    assert written(network) == TABLE_1[plain]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    layers = [word for word in TABLE_1[plain].split() if word not in ("/", "LRN")]
    assert len(norms) == (len(layers) if name.endswith("_bn") else 0)
    rows = [row for row, _ in network.named_children()]
    assert rows[10:] == ["avgpool", "fc6", "fc7", "fc8"]
    assert rows[:10] == [f"{kind}{number}" for number in range(1, 6) for kind in ("block", "pool")]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_parameters_and_macs_by_arithmetic(spec: VGGSpec) -> None:
    params, macs, before, maps = 0, 0, 3, 0
    for block, side in zip(TABLE_1[spec.name.removesuffix("_bn")].split(" / "), (224, 112, 56, 28, 14), strict=True):
        for word in block.split():
            if word == "LRN":
                continue
            width, area = (before, 1) if word == "1x1" else (int(word), 9)
            params += area * before * width + width
            macs += area * before * width * side**2
            before, maps = width, maps + width
    for units in (4096, 4096, 1000):
        before *= 49 if before == 512 else 1
        params += before * units + units
        macs += before * units
        before = units
    assert spec.facts is not None
    assert spec.facts.params == params + (2 * maps if spec.name.endswith("_bn") else 0)
    assert spec.facts.macs == macs


def test_most_of_vgg16_is_its_full_connections() -> None:
    network = on_meta("vgg16")
    sizes = [analysis.count_parameters(layer) for layer in (network.fc6, network.fc7, network.fc8)]
    assert sizes == [102_764_544, 16_781_312, 4_097_000]


def test_every_convolution_is_rectified_and_only_lrn_changes_a() -> None:
    plain, normalised = small("vgg11"), small("vgg11_lrn")
    normalised.load_state_dict(plain.state_dict())
    x = 100 * torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        first = F.relu(
            F.conv2d(
                x, plain.get_parameter("block1.0.conv.weight"), plain.get_parameter("block1.0.conv.bias"), padding=1
            )
        )
        torch.testing.assert_close(plain.features(x)[0], first)
        expected = F.local_response_norm(first, 5, 1e-4, 0.75, 2)
        torch.testing.assert_close(normalised.features(x)[0], expected)
        assert (expected - first).norm() > 0.1 * first.norm()


def test_stages_are_the_maps_before_each_pooling_and_the_last_after() -> None:
    network = small()
    with torch.no_grad():
        maps = network.features(torch.randn(1, 3, 70, 64))
    assert [tuple(found.shape[1:]) for found in maps] == [
        (4, 70, 64),
        (6, 35, 32),
        (8, 17, 16),
        (10, 8, 8),
        (12, 4, 4),
        (12, 2, 2),
    ]
    assert [stage.stride for stage in network.stages] == [1, 2, 4, 8, 16, 32]
    assert torch.equal(F.max_pool2d(maps[4], 2), maps[5])


@pytest.mark.parametrize("name", ["vgg11_lrn", "vgg16c_bn", "vgg19"])
def test_at_its_own_size_sliding_is_the_same(name: str) -> None:
    network, x = small(name), torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        dense = network.dense_logits(x)
        assert dense.shape == (2, 5, 1, 1)
        torch.testing.assert_close(dense[:, :, 0, 0], network(x))


def test_slid_over_a_picture_every_place_answers_for_its_window() -> None:
    network, x = small(), torch.randn(1, 3, 256, 300)
    with torch.no_grad():
        maps, dense = network.features(x)[-1], network.dense_logits(x)
        assert dense.shape == (1, 5, 2, 3)
        for row in range(2):
            for column in range(3):
                window = maps[:, :, row : row + 7, column : column + 7].flatten(1)
                expected = network.fc8(network.fc7(network.fc6(window)))
                torch.testing.assert_close(dense[:, :, row, column], expected)


def test_the_smallest_images_are_said() -> None:
    network = small()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 5)
    with pytest.raises(SpecError) as caught:
        network(torch.zeros(1, 3, 31, 32))
    assert str(caught.value) == (
        "vgg16 cannot take images of 31 x 32 pixels. Expected at least 32 x 32. "
        "Enlarge the images, or choose a network for small images such as resnet20_cifar."
    )
    with pytest.raises(SpecError) as caught:
        network.dense_logits(torch.zeros(1, 3, 300, 223))
    assert str(caught.value) == (
        "vgg16 cannot be slid over images of 300 x 223 pixels. Expected at least 224 x 224. "
        "Enlarge the images, or choose another test protocol."
    )


@pytest.mark.parametrize("initialisation", ["glorot", "he", "normal"])
def test_weights_start_as_said(initialisation: str) -> None:
    network = small(initialisation=initialisation, widths=(16, 20, 24, 28, 32))
    expected = {
        "glorot": (2 / (16 * 9 + 20 * 9)) ** 0.5,
        "he": (2 / (16 * 9)) ** 0.5,
        "normal": 0.1,
    }[initialisation]
    assert network.get_parameter("block2.0.conv.weight").std().item() == pytest.approx(expected, rel=0.05)
    biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
    assert all(bias.abs().max() == 0 for bias in biases)


@pytest.mark.parametrize("name", ["vgg13", "vgg16c", "vgg16", "vgg19"])
def test_deeper_networks_start_from_a(name: str) -> None:
    """Section 3.1: the first four convolutions and the full connections; the rest stays as drawn."""
    shallow, deep = small("vgg11"), small(name)
    with torch.no_grad():
        for parameter in shallow.parameters():
            parameter.normal_()
    drawn = {key: value.clone() for key, value in deep.state_dict().items()}
    deep.start_from(shallow)
    changed = {key.rsplit(".", 1)[0] for key, value in deep.state_dict().items() if not torch.equal(value, drawn[key])}
    copied = {"block1.0.conv", "block2.0.conv", "block3.0.conv", "block3.1.conv"}
    assert changed == copied | {"fc6.linear", "fc7.linear", "fc8"}
    for key in changed:
        assert torch.equal(deep.get_parameter(f"{key}.weight"), shallow.get_parameter(f"{key}.weight"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"widths": (5, 6, 8, 10, 12)},
            "vgg11 as the start of vgg16: block1.0.conv.weight is (5, 3, 3, 3). Expected (4, 3, 3, 3). "
            "Create both with the same channels, classes, widths and normalisation.",
        ),
        (
            {"depths": (1, 1, 1, 2, 2)},
            "vgg11 as the start of vgg16: block3.1.conv.weight is missing. Expected (8, 8, 3, 3). "
            "Create both with the same channels, classes, widths and normalisation.",
        ),
    ],
)
def test_a_network_of_other_shapes_is_no_start(columns: dict[str, object], message: str) -> None:
    deep = small()
    before = {key: value.clone() for key, value in deep.state_dict().items()}
    with pytest.raises(SpecError) as caught:
        deep.start_from(small("vgg11", **columns))
    assert str(caught.value) == message
    assert all(torch.equal(value, before[key]) for key, value in deep.state_dict().items())


def sequences(spec: VGGSpec) -> nn.ModuleDict:
    """Torchvision's two sequences for the columns of a spec."""
    trunk: list[nn.Module] = []
    before = 3
    for depth, width in zip(spec.depths, spec.widths, strict=True):
        for _ in range(depth):
            trunk.append(nn.Conv2d(before, width, 3, padding=1))
            trunk += [nn.BatchNorm2d(width)] if spec.normalisation == "batch" else []
            trunk.append(nn.ReLU())
            before = width
        trunk.append(nn.MaxPool2d(2))
    first, second = spec.hidden
    head = [nn.Linear(before * 49, first), nn.ReLU(), nn.Dropout(), nn.Linear(first, second), nn.ReLU(), nn.Dropout()]
    reference = nn.ModuleDict(
        {"features": nn.Sequential(*trunk), "classifier": nn.Sequential(*head, nn.Linear(second, 5))}
    )
    with torch.no_grad():
        for key, value in reference.state_dict().items():
            if "running" in key:
                value.uniform_(0.5, 1.5)
            elif key.endswith("weight") and value.ndim > 1:
                nn.init.kaiming_normal_(value)
    return reference.eval()


TORCHVISION = [f"vgg{depth}{end}" for depth in (11, 13, 16, 19) for end in ("", "_bn")]


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("source", ["torchvision", "distributed", "timm"])
def test_published_names_are_read_whatever_the_depth(name: str, source: str) -> None:
    network = small(name)
    reference = sequences(network.spec)
    state = dict(reference.state_dict())
    if source == "distributed":
        state = {key.replace("features.", "features.module."): value for key, value in state.items()}
    if source == "timm":
        for theirs, number in (("pre_logits.fc1", 0), ("pre_logits.fc2", 3), ("head.fc", 6)):
            for kind in ("weight", "bias"):
                state[f"{theirs}.{kind}"] = state.pop(f"classifier.{number}.{kind}")
        state["pre_logits.fc1.weight"] = state["pre_logits.fc1.weight"].unflatten(1, (12, 7, 7))
        state["pre_logits.fc2.weight"] = state["pre_logits.fc2.weight"].unflatten(1, (20, 1, 1))
    assert load_tensors(network, state, "state") == ()
    assert network.pretraining is not None
    assert network.pretraining.source == ("timm" if source == "timm" else "torchvision")
    for size in ((224, 224), (32, 45)):
        x = torch.randn(1, 3, *size)
        with torch.no_grad():
            maps = F.adaptive_avg_pool2d(reference["features"](x), 7).flatten(1)
            expected = reference["classifier"](maps)
            assert expected.std() > 0
            torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(("ours", "theirs"), [("vgg16", "vgg13"), ("vgg16", "vgg16_bn"), ("vgg16_bn", "vgg19_bn")])
def test_weights_of_another_configuration_are_refused(ours: str, theirs: str) -> None:
    with pytest.raises(WeightsError, match=rf"^state does not fit {ours}: block"):
        load_tensors(small(ours), dict(sequences(small(theirs).spec).state_dict()), "state")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"depths": (2, 2, 3, 3)},
            "x: depths=(2, 2, 3, 3), widths=(64, 128, 256, 512, 512), pointwise=(False, False, False, False, False), "
            "hidden=(4096, 4096). Expected one entry a block, at least one block, all numbers positive. Correct them.",
        ),
        (
            {"depths": (), "widths": (), "pointwise": ()},
            "x: depths=(), widths=(), pointwise=(), hidden=(4096, 4096). "
            "Expected one entry a block, at least one block, all numbers positive. Correct them.",
        ),
        (
            {"depths": (1,), "widths": (8,), "pointwise": (False,), "hidden": (0, 5)},
            "x: depths=(1,), widths=(8,), pointwise=(False,), hidden=(0, 5). "
            "Expected one entry a block, at least one block, all numbers positive. Correct them.",
        ),
        (
            {"kernel": 4},
            "x: kernel=4, dropout=0.5. Expected an odd kernel, so that padding can keep the size; a dropout from 0 up "
            "to, but not 1. Correct them.",
        ),
        (
            {"dropout": -0.1},
            "x: kernel=3, dropout=-0.1. Expected an odd kernel, so that padding can keep the size; a dropout from 0 up "
            "to, but not 1. Correct them.",
        ),
    ],
)
def test_impossible_fields_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        VGGSpec(name="x").replace(**columns)
    assert str(caught.value) == message


def test_one_5x5_sees_what_two_3x3_see() -> None:
    """Section 4.1's shallow variant of B; with biases aside, 25 against 18 weights for each pair of maps."""
    network = small("vgg13", depths=(1, 1, 1, 1, 1), kernel=5)
    conv = network.get_submodule("block3.0.conv")
    assert isinstance(conv, nn.Conv2d)
    assert (conv.kernel_size, conv.padding) == ((5, 5), (2, 2))
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 5)

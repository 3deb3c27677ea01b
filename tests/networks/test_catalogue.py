"""Names, near misses, JSON, and the table of inputs that networks refuse."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise import catalogue
from pixelwise.errors import PixelwiseError, SpecError, UsageError
from pixelwise.networks.classification.convnext import ConvNeXtSpec
from pixelwise.networks.classification.densenet import DenseNetSpec
from pixelwise.networks.classification.enet import ENetClassifierSpec
from pixelwise.networks.classification.lenet import LeNetSpec
from pixelwise.networks.classification.mlp import MLPSpec
from pixelwise.networks.classification.preact_resnet import PreResNetSpec
from pixelwise.networks.classification.preact_resnet_blocks import ORDERS
from pixelwise.networks.classification.resnet import ResNetSpec
from pixelwise.networks.classification.wide_resnet import WideResNetSpec
from pixelwise.networks.segmentation.unet import UNetSpec
from pixelwise.specs import Spec

ACTIVATIONS = st.sampled_from(["none", "relu", "tanh", "scaled_tanh"])
INITIALISATIONS = st.sampled_from(["lecun", "he", "glorot"])
NUMBERS = st.integers(1, 64)


def test_every_name_is_its_specs_own() -> None:
    assert all(catalogue.spec(name).name == name for name in catalogue.names())
    assert len(set(catalogue.names())) == len(catalogue.names())
    assert not set(catalogue.names()) & set(catalogue.ALIASES)
    assert catalogue.spec("resnet18_v1") is catalogue.spec("resnet18")
    assert catalogue.spec("unet_small") is catalogue.spec("unet16")


def test_importing_the_catalogue_builds_nothing() -> None:
    code = (
        "import torch.nn as nn\n"
        "def refuse(*arguments, **options): raise AssertionError('a module was built')\n"
        "nn.Module.__init__ = refuse\n"
        "import pixelwise.catalogue as catalogue\n"
        "print(len(catalogue.names()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(catalogue.names())}\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet20_cifra", "Did you mean resnet20_cifar or resnet1202_cifar or resnet32_cifar?"),
        ("resnet5", "Did you mean resnet50 or resnet50_v1 or resnet56_cifar?"),
        ("resnet20_cifar100", "Did you mean resnet20_cifar or resnet1202_cifar or resnet32_cifar?"),
        ("UNET-16", "Did you mean unet16 or unet3d16 or unet?"),
        ("zzzz", "`pixelwise nets` lists all of them."),
    ],
)
def test_unknown_names_are_refused_with_near_misses(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        catalogue.create(name, in_channels=3, num_classes=10)
    assert str(caught.value) == f"there is no network {name!r}. {message}"


@pytest.mark.parametrize("name", catalogue.names())
def test_catalogue_specs_come_back_from_json_with_their_facts(name: str) -> None:
    spec = catalogue.spec(name)
    again = catalogue.spec_from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.facts is spec.facts


LENETS = st.builds(
    lambda **columns: LeNetSpec(name="lenet5_relu", **columns),
    image_size=st.tuples(st.integers(48, 90), st.integers(48, 90)),
    padding=st.integers(0, 3),
    kernel=st.sampled_from([1, 3, 5]),
    widths=st.lists(NUMBERS, min_size=2, max_size=3).map(tuple),
    hidden=st.lists(NUMBERS, min_size=1, max_size=3).map(tuple),
    pooling=st.sampled_from(["subsample", "average", "max"]),
    convolution_activation=ACTIVATIONS,
    hidden_activation=ACTIVATIONS,
    output=st.sampled_from(["rbf", "linear"]),
    initialisation=INITIALISATIONS,
)
MLPS = st.builds(
    lambda **columns: MLPSpec(name="mine", **columns),
    image_size=st.tuples(NUMBERS, NUMBERS),
    hidden=st.lists(NUMBERS, max_size=4).map(tuple),
    activation=ACTIVATIONS,
    initialisation=INITIALISATIONS,
)
RESNETS = st.integers(1, 4).flatmap(
    lambda stages: st.builds(
        lambda **columns: ResNetSpec(name="resnet50", **columns),
        block=st.sampled_from(["basic", "bottleneck"]),
        depths=st.tuples(*[st.integers(1, 3)] * stages),
        widths=st.tuples(*[NUMBERS] * stages).map(lambda widths: tuple(sorted(widths))),
        stem=st.sampled_from(["imagenet", "cifar"]),
        shortcut=st.sampled_from(["A", "B", "C", "none"]),
        stride_in=st.sampled_from(["1x1", "3x3"]),
        output_stride=st.sampled_from([8, 16, 32]),
    )
)
DENSENETS = st.builds(
    lambda **columns: DenseNetSpec(name="densenet121", **columns),
    depths=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    growth_rate=st.integers(2, 16),
    bottleneck=st.booleans(),
    compression=st.floats(0.5, 1),
    stem=st.sampled_from(["imagenet", "cifar"]),
    stem_width=st.integers(2, 64),
    dropout=st.floats(0, 0.99),
    memory_efficient=st.booleans(),
)
ENETS = st.builds(
    lambda **columns: ENetClassifierSpec(name="enet_classifier", **columns),
    widths=st.tuples(st.integers(6, 32), st.sampled_from([32, 36, 64]), st.sampled_from([64, 128])),
    early_depth=st.integers(1, 3),
    context=st.lists(st.sampled_from(["regular", "asymmetric5", "dilated2", "dilated16"]), min_size=1).map(tuple),
    repeats=st.integers(1, 3),
    dropout=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
)
CONVNEXTS = st.integers(1, 4).flatmap(
    lambda stages: st.builds(
        lambda **columns: ConvNeXtSpec(name="convnext_tiny", **columns),
        depths=st.tuples(*[st.integers(1, 3)] * stages),
        widths=st.tuples(*[NUMBERS] * stages),
        layer_scale=st.one_of(st.none(), st.floats(1e-6, 1)),
        stochastic_depth=st.floats(0, 0.99),
    )
)
PRERESNETS = st.builds(
    lambda **columns: PreResNetSpec(name="preresnet50", depths=(1, 2), **columns),
    block=st.sampled_from(["basic", "bottleneck"]),
    widths=st.tuples(NUMBERS, NUMBERS).map(lambda widths: tuple(sorted(widths))),
    stem=st.sampled_from(["imagenet", "cifar"]),
    order=st.sampled_from(sorted(ORDERS)),
    first=st.sampled_from(["stem", "shared", "branch"]),
    option=st.sampled_from(["A", "B"]),
    shortcut=st.sampled_from(["identity", "scaling", "exclusive_gate", "shortcut_only_gate", "conv", "dropout"]),
    stride_in=st.sampled_from(["1x1", "3x3"]),
)
WIDE_RESNETS = st.builds(
    lambda **columns: WideResNetSpec(name="wrn_28_10_cifar", **columns),
    depth=st.sampled_from([10, 16, 22]),
    widening=st.integers(1, 4),
    dropout=st.floats(0, 0.9),
)
UNETS = st.builds(
    lambda **columns: UNetSpec(name="unet", **columns),
    widths=st.lists(NUMBERS, min_size=2, max_size=5).map(tuple),
    padding=st.sampled_from(["valid", "same"]),
    normalisation=st.sampled_from(["none", "batch"]),
    bias=st.booleans(),
    dropout=st.sampled_from(["none", "bottleneck", "each", "paper"]),
    dropout_rate=st.floats(0, 0.99),
    upsampling=st.sampled_from(["transposed2", "transposed3", "nearest", "pixel_shuffle"]),
    up_activation=st.sampled_from(["none", "relu"]),
    skip=st.sampled_from(["concatenate", "sum", "none"]),
    extra_width=st.integers(0, 4),
)


@given(
    spec=st.one_of(LENETS, MLPS, RESNETS, PRERESNETS, WIDE_RESNETS, DENSENETS, ENETS, CONVNEXTS, UNETS),
    channels=st.integers(1, 5),
    classes=st.integers(1, 12),
)
@settings(deadline=None, max_examples=15)
def test_any_spec_round_trips_through_json_and_builds(spec: Spec, channels: int, classes: int) -> None:
    again = catalogue.spec_from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert type(again) is type(spec)
    with torch.device("meta"):
        network = again.build(channels, classes).eval()
    height, width = network.input_size_for(*(again.fixed_size or (40, 33)))
    logits = network(torch.empty(2, channels, height, width, device="meta"))
    sides = network.output_size(height, width) if spec.task == "segmentation" else ()
    assert tuple(logits.shape) == (2, classes, *sides)
    maps = network.features(torch.empty(2, channels, height, width, device="meta"))
    assert [found.shape[1] for found in maps] == [stage.channels for stage in network.stages]


GOOD: dict[str, Any] = catalogue.spec("mlp_784_300_10").to_json()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"name": "x"},
            "a network description with the keys ['name']. Expected family, name and columns. "
            "Take it from a file that pixelwise wrote.",
        ),
        ({**GOOD, "family": "mpl"}, "mlp_784_300_10: unknown family 'mpl'. Did you mean mlp?"),
        (
            {**GOOD, "columns": {"hidden": [3]}},
            "mlp_784_300_10: no value for activation, image_size, initialisation. Expected every column of mlp. "
            "The file was written by another version of pixelwise: use that one, or add the columns.",
        ),
        (
            {**GOOD, "columns": {**GOOD["columns"], "colour": 1}},
            "mlp_784_300_10 has no field 'colour'. Known are: activation, hidden, image_size, initialisation.",
        ),
        (
            {**GOOD, "columns": {**GOOD["columns"], "hidden": "many"}},
            "mlp_784_300_10: hidden='many'. Expected comma-separated values, each a whole number. Correct the value.",
        ),
    ],
)
def test_damaged_descriptions_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec_from_json(content)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "shape", "came"),
    [
        ("lenet5", (1, 1, 28, 28), "lenet5 cannot take images of 28 x 28 pixels"),
        ("lenet5_relu", (1, 1, 32, 32), "lenet5_relu cannot take images of 32 x 32 pixels"),
        ("lenet5_relu", (1, 3, 28, 28), "lenet5_relu: a batch of shape (1, 3, 28, 28)"),
        ("mlp_784_300_10", (28, 28), "mlp_784_300_10: a batch of shape (28, 28)"),
        ("resnet20_cifar", (1, 3, 32, 32), "resnet20_cifar: a batch of shape (1, 3, 32, 32)"),
        ("resnet18", (1, 1, 16, 400), "resnet18 cannot take images of 16 x 400 pixels"),
        ("unet", (1, 1, 512, 512), "unet cannot take images of 512 x 512 pixels"),
        ("unet16", (1, 1, 0, 5), "unet16 cannot take images of 0 x 5 pixels"),
    ],
)
def test_networks_refuse_what_they_cannot_take(name: str, shape: tuple[int, ...], came: str) -> None:
    network = catalogue.create(name, in_channels=1, num_classes=2)
    for use in (network, network.features):
        with pytest.raises(PixelwiseError) as caught:
            use(torch.zeros(shape))
        assert caught.value.came == came
        assert caught.value.expected
        assert caught.value.do


@pytest.mark.parametrize(("channels", "classes"), [(0, 10), (3, 0), (-1, -1)])
def test_channels_and_classes_must_be_positive(channels: int, classes: int) -> None:
    with pytest.raises(SpecError, match="Expected at least 1"):
        catalogue.create("lenet5_relu", in_channels=channels, num_classes=classes)

"""Networks that cannot be: unknown fields, impossible values, and weights that belong to others or to nobody."""

import math
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from pixelwise import catalogue
from pixelwise.errors import SpecError, WeightsError
from pixelwise.specs import Spec
from pixelwise.storage.arrays import write_tensors
from pixelwise.weights import load_tensors
from shrunk import MEMBERS

FAMILIES = {
    member.spec.family: key for key, member in reversed(MEMBERS.items()) if member.spec.task == "classification"
}
"""The first member of each."""


@pytest.mark.parametrize("key", FAMILIES.values())
def test_misspelt_fields_are_refused_with_near_misses(key: str) -> None:
    spec = MEMBERS[key].spec
    for column in spec.columns():
        for misspelt in (column[:-1], f"{column}x", column.upper()):
            with pytest.raises(SpecError) as caught:
                spec.override({misspelt: "1"})
            assert caught.value.came == f"{spec.name} has no field {misspelt!r}"
            if not misspelt.isupper():
                assert re.fullmatch(rf"Did you mean (\w+ or )*{column}( or \w+)*\?", caught.value.do)


FIELDS = [
    ("lenet5", {"kernel": "0"}, "at least two widths and one hidden, all positive"),
    ("mlp_784_300_10", {"hidden": "300,0"}, "positive numbers"),
    ("alexnet_2012", {"groups": "1,5,1,2,2"}, "groups that divide the maps before and after them; one in conv1"),
    ("nin_cifar", {"dropouts": "0.5,-0.5"}, "from 0 up to, but not 1"),
    ("vgg16", {"widths": "()"}, "one entry a block, at least one block, all numbers positive"),
    ("googlenet", {"module": "reduce"}, "one of reduced, naive"),
    ("bn_inception", {"width": "0"}, "more than 0"),
    ("inception_v3", {"first_stride": "3"}, "1 or 2"),
    ("resnet50", {"depths": "3,4,6"}, "as many widths as depths, at least one, all positive"),
    ("inception_v4", {"dropout": "1"}, "from 0 up to but not including 1"),
    ("inception_resnet_v1", {"scales": "0.1,0.1,nan"}, "three positive numbers"),
    ("preresnet50", {"order": "pre"}, "one of original, bn_after_addition, relu_before_addition, relu_only, full"),
    ("preresnet50", {"shortcut": "dropout", "shortcut_dropout": "1"}, "a share between 0 and 1"),
    ("wrn_28_10_cifar", {"depth": "29"}, "10, 16, 22, 28 or another 6N + 4"),
    ("wide_resnet50_2", {"depth": "51"}, "one of 50, 101, 152"),
    ("enet_classifier", {"dropout": "0.1,1"}, "rates from 0 up to but not including 1"),
    ("densenet121", {"growth_rate": "0"}, "at least one block, all numbers positive"),
    ("densenet121", {"compression": "0.001"}, "at least one map"),
    ("convnext_tiny", {"stochastic_depth": "1"}, "from 0 up to but not including 1"),
    ("convnext_tiny", {"layer_scale": "-1"}, "more than 0, or none"),
    ("convnext_tiny", {"depths": "three"}, "comma-separated values, each a whole number"),
]


@pytest.mark.parametrize(("name", "settings", "expected"), FIELDS, ids=lambda value: str(value)[:30])
def test_impossible_values_are_refused(name: str, settings: dict[str, str], expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.spec(name).override(settings)
    assert caught.value.came.startswith(f"{name}: ")
    assert all(key in caught.value.came for key in settings) or "dropout" in caught.value.came or "groups" in settings
    assert caught.value.expected == expected
    assert caught.value.do


def unusual(hint: Any, current: Any) -> list[Any]:
    """Values of a column's type that somebody may try, likely or not."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is bool:
        return [not current]
    if hint is int:
        return [-1, 0, 1, 3, 5]
    if hint is float:
        return [math.nan, math.inf, -math.inf, -1.0, 0.0, 1.0, 1.5]
    if origin is Literal:
        return list(arguments)
    if origin in (typing.Union, types.UnionType):
        return [None, *(value for kind in arguments if kind is not types.NoneType for value in unusual(kind, current))]
    assert origin is tuple
    if arguments[-1] is not Ellipsis:
        return [
            (*current[:place], value, *current[place + 1 :])
            for place, kind in enumerate(arguments)
            for value in unusual(kind, current[place])
        ]
    values = unusual(arguments[0], current[0] if current else ())
    return [(), current[:-1], (*current, *current), *((*current[:-1], value) for value in values)]


def changed(spec: Spec) -> Iterator[Spec]:
    """Every spec that differs in one column, as far as its family admits it."""
    hints = typing.get_type_hints(type(spec))
    for column in spec.columns():
        for value in unusual(hints[column], getattr(spec, column)):
            try:
                yield spec.replace(**{column: value})
            except SpecError:
                continue


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_not_refused_builds_and_runs(family: str) -> None:
    member = MEMBERS[FAMILIES[family]]
    for spec in changed(member.spec):
        assert "nan" not in str(spec)
        assert "inf" not in str(spec)
        size = spec.fixed_size or (member.side, member.side)
        with torch.device("meta"), torch.no_grad():
            try:
                network = spec.build(2, 3).eval()
                network.check_size(*size)
            except SpecError:
                continue
            assert network(torch.empty(2, 2, *size)).shape[:2] == (2, 3), spec


OTHERS = [
    ("vgg16", "vgg19", "block3.3.conv.weight is missing; block3.3.conv.bias is missing; block4.3.conv.weight"),
    ("vgg16", "vgg16_bn", "block1.0.norm.weight is missing; block1.0.norm.bias is missing"),
    ("resnet50", "resnet101", "conv4_x.6.residual.0.conv.weight is missing"),
    ("resnet101", "resnet50", "conv4_x.6.residual.0.conv.weight is not in the network"),
    ("resnet18", "resnet34", "conv2_x.2.residual.0.conv.weight is missing"),
    ("densenet121", "densenet169", "block3.layer25.bottleneck.norm.weight is missing"),
    ("densenet161", "densenet121", "conv0.conv.weight is (96, 3, 7, 7), not (64, 3, 7, 7)"),
    ("convnext_tiny", "convnext_base", "stem.0.weight is (96, 3, 4, 4), not (128, 3, 4, 4)"),
    ("alexnet", "alexnet_2012", "conv1.conv.weight is (64, 3, 11, 11), not (96, 3, 11, 11)"),
    ("googlenet", "googlenet_paper", "conv1.conv.bias is missing"),
    ("wrn_28_10_cifar", "wrn_40_4_cifar", "conv2.0.residual.conv1.weight is (160, 16, 3, 3), not (64, 16, 3, 3)"),
    ("preresnet110_cifar", "preresnet164_cifar", "stage1.0.residual.conv1.weight is (16, 16, 3, 3), not"),
    ("enet_classifier", "resnet20_cifar", "conv1.conv.weight is missing"),
]


@pytest.mark.parametrize(("theirs", "ours", "first"), OTHERS)
def test_weights_of_another_network_are_refused_with_what_differs_first(theirs: str, ours: str, first: str) -> None:
    with torch.device("meta"):
        given, network = (catalogue.create(name, in_channels=3, num_classes=1000) for name in (theirs, ours))
    tensors = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in given.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_tensors(network, tensors, "w.pth")
    assert caught.value.came.startswith(f"w.pth does not fit {ours}: {first}")
    assert caught.value.expected == f"the {len(network.state_dict())} tensors of {ours} for 3 channels"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that hold no weights for ``mlp_784_128_128_10``, each for a reason of its own."""
    folder = tmp_path_factory.mktemp("files")
    state = catalogue.create("mlp_784_128_128_10", in_channels=1, num_classes=10).state_dict()
    torch.save(state, folder / "whole.pth")
    write_tensors(folder / "whole.safetensors", state, {})
    for name, kept in (("pth", 0.9), ("safetensors", 0.9)):
        content = (folder / f"whole.{name}").read_bytes()
        (folder / f"cut.{name}").write_bytes(content[: int(len(content) * kept)])
    state["fc2.0.bias"] = torch.full_like(state["fc2.0.bias"], math.nan)
    torch.save(state, folder / "nan.pth")
    write_tensors(folder / "nan.safetensors", state, {})
    torch.save(torch.nn.Linear(2, 2), folder / "module.pth")
    torch.save({}, folder / "empty.pth")
    (folder / "text.pth").write_text("see https://example.org\n")
    (folder / "text.safetensors").write_text("see https://example.org\n")
    (folder / "folder.pth").mkdir()
    (folder / "folder.safetensors").mkdir()
    return folder


NOT_FINITE = "fc2.0.bias holds NaN or infinity. Expected finite weights."
BAD_FILES = {
    "cut.pth": "is damaged: PytorchStreamReader failed",
    "cut.safetensors": "is damaged: ",
    "nan.pth": NOT_FINITE,
    "nan.safetensors": NOT_FINITE,
    "module.pth": "holds pickled objects besides tensors, which are not loaded: they could run any code. Expected",
    "empty.pth": "holds dict, no weights. Expected tensors by name.",
    "text.pth": "was not written by PyTorch. Expected a file of weights. Take a fresh copy.",
    "text.safetensors": "is damaged: ",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_without_weights_are_refused(name: str, files: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        catalogue.create("mlp_784_128_128_10", in_channels=1, num_classes=10, weights=files / name)
    assert re.match(rf"{re.escape(str(files / name))}:? {re.escape(BAD_FILES[name])}", str(caught.value))


@pytest.mark.parametrize("name", ["folder.pth", "folder.safetensors"])
def test_folders_are_refused(name: str, files: Path) -> None:
    with pytest.raises(WeightsError, match=re.escape(str(files / name))):
        catalogue.create("mlp_784_128_128_10", in_channels=1, num_classes=10, weights=files / name)


def test_the_whole_files_fit(files: Path) -> None:
    for suffix in ("pth", "safetensors"):
        catalogue.create("mlp_784_128_128_10", in_channels=1, num_classes=10, weights=files / f"whole.{suffix}")

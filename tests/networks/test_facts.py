"""Every row of the catalogue against tests/fixtures/architectures.json: parameters, multiply-adds, stage shapes.

A variant of the sheet is a row of the catalogue, or another name of one: the same columns for another number of classes
(``wrn_28_10_cifar100`` beside ``wrn_28_10_cifar``) or another size (``enet_camvid`` beside ``enet_cityscapes``).
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pixelwise import analysis, catalogue
from pixelwise.specs import Network

SHEET = json.loads((Path(__file__).parents[1] / "fixtures" / "architectures.json").read_text())["variants"]
VARIANTS = [variant for variant in SHEET if variant["name"] in {*catalogue.names(), *catalogue.ALIASES}]
NOT_IN_THE_SHEET = {"lenet5_relu", "unet_milesial_bilinear", "unet16"}
NOT_IN_THE_SHEET |= {"bn_alexnet_2012", "vgg11_lrn", "vgg11_lrn_bn", "vgg16c_bn"}
NOT_IN_THE_SHEET |= {"enet_classifier", "enet_davidtvs_2018", "lenet_crf", "unet3d", "unet3d16"}
NOT_IN_THE_SHEET |= {"segnet", "segnet_basic"}
MULTIPLES = {"segnet": 32, "segnet_basic": 16}
"""The paper's size is none, so that maps are those of a padded picture."""
NOT_IN_THE_SHEET |= {"fcn_alexnet", "pspnet_r50", "pspnet_r101"}
NOT_IN_THE_SHEET |= {name for name in catalogue.names() if catalogue.spec(name).family == "unet_backbone"}
UNPADDED_FAMILIES = {"lenet", "window_crf", "alexnet", "inception_v3", "inception_v4", "inception_resnet"}
UNPADDED_ROWS = {"unet", "unet3d", "unet_phseg_v5", "nin_imagenet", "fcn_inception_v3"}
"""Convolutions or poolings without padding: maps may be smaller than the input divided by the stride."""
PADDED_ROWS = {"fcn32s", "fcn16s", "fcn8s", "fcn_alexnet"}
"""A padding of 100: maps are larger than that."""


def on_meta(name: str, num_classes: int | None = None) -> Network:
    spec = catalogue.spec(name)
    assert spec.facts is not None
    with torch.device("meta"):
        return spec.build(spec.facts.input_size[0], num_classes or spec.facts.num_classes)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant["name"])
def test_variant_equals_the_fact_sheet(variant: dict[str, Any]) -> None:
    network, size = on_meta(variant["name"], variant["num_classes"]), tuple(variant["input"])
    facts = network.spec.facts
    assert facts is not None
    if (variant["num_classes"], size) == (facts.num_classes, facts.input_size):
        assert (facts.params, facts.macs) == (variant["params"], variant["macs"])
    else:
        assert variant["name"] in catalogue.ALIASES
    assert analysis.count_parameters(network) == variant["params"]
    stages = [row for row in analysis.layer_table(network, size) if row.level == "stage"]
    assert sum(row.macs for row in stages) == variant["macs"]
    assert sum(row.parameters for row in stages) == variant["params"]
    shapes = {row.name: row.output_shape for row in stages}
    shapes["output"] = stages[-1].output_shape  # what the sheet calls the last row's
    for name, shape in variant["stages"]:
        ours = shapes[name]
        assert ours[: len(shape)] == tuple(shape), name
        assert set(ours[len(shape) :]) <= {1}, name  # the sheet writes 120x1x1 as 120
    named = [name for name, _ in variant["stages"]]
    assert [name for name in shapes if name in named] == named


def test_the_fact_sheet_covers_the_catalogue() -> None:
    assert set(catalogue.names()) == {catalogue.spec(variant["name"]).name for variant in VARIANTS} | NOT_IN_THE_SHEET


def reads(name: str) -> bool:
    """Whether the logits are those of a chain, whose classes are the last axis."""
    return catalogue.spec(name).task == "sequence"


def lightest_of_each_family() -> set[str]:
    rows: dict[str, tuple[int, str]] = {}
    for name in catalogue.names():
        row = catalogue.spec(name)
        assert row.facts is not None
        rows[row.family] = min(rows.get(row.family, (row.facts.macs, name)), (row.facts.macs, name))
    return {name for _, name in rows.values()}


LIGHTEST = lightest_of_each_family() | NOT_IN_THE_SHEET
"""The others of a family have more layers of the same kinds."""


@pytest.mark.parametrize("name", sorted(lightest_of_each_family()))
def test_any_classes_build(name: str) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=4, num_classes=1).eval()
    facts = network.spec.facts
    assert facts is not None
    logits = network(torch.empty(2, 4, *facts.input_size[1:], device="meta"))
    assert logits.shape == (2, *([*logits.shape[1:-1], 1] if reads(name) else [1, *logits.shape[2:]]))


@pytest.mark.parametrize("name", sorted(LIGHTEST))
def test_macs_equal_pytorchs_own_counter(name: str) -> None:
    network = on_meta(name).eval()
    facts = network.spec.facts
    assert facts is not None
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        logits = network(torch.empty(1, *facts.input_size, device="meta"))
    rbf = 84 * 10 if name == "lenet5" else 0  # the distances' matrix product, which the sheet leaves out
    assert counter.get_total_flops() / 2 - rbf == facts.macs
    assert (logits.shape[0], logits.shape[-1 if reads(name) else 1]) == (1, facts.num_classes)
    assert analysis.count_parameters(network) == facts.params


@pytest.mark.parametrize(
    "name",
    [name if name in LIGHTEST else pytest.param(name, marks=pytest.mark.slow) for name in catalogue.names()],
)
def test_any_channels_build_and_features_come_as_declared(name: str) -> None:
    with torch.device("meta"):
        network = catalogue.create(name, in_channels=4, num_classes=1).eval()
    facts = network.spec.facts
    assert facts is not None
    size = facts.input_size[1:]
    x = torch.empty(2, 4, *size, device="meta")
    with torch.no_grad():
        maps = network.features(x)
    assert len(maps) == len(network.stages)
    for stage, found in zip(network.stages, maps, strict=True):
        assert found.shape[:2] == (2, stage.channels)
        if network.spec.family in UNPADDED_FAMILIES or name in UNPADDED_ROWS:
            assert all(side <= -(-whole // stage.stride) for side, whole in zip(found.shape[2:], size, strict=True))
        elif name in PADDED_ROWS:
            assert all(side > -(-whole // stage.stride) for side, whole in zip(found.shape[2:], size, strict=True))
        else:
            whole = [side + -side % MULTIPLES.get(name, 1) for side in size]
            assert found.shape[2:] == tuple(-(-side // stage.stride) for side in whole)

"""What columns of fully convolutional networks can be, and specs in place of names."""

import re

import pytest
import torch

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.layers.full_connections import FlatteningNetwork
from pixelwise.networks.backbones import BACKBONES, ends_in_full_connections


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"backbone": "resnet50", "padding": 3},
            "padding=3 has no effect: resnet50 is padded by itself. Expected 100.",
        ),
        ({"backbone": "resnet50", "upsampling": "fixed"}, "has no effect: on resnet50 scores are interpolated"),
        ({"skips": 0, "skip_scaling": "at_once"}, "skip_scaling=at_once has no effect: there are no skips"),
        ({"bakbone": "vgg16"}, "fcn8s has no field 'bakbone'. Did you mean backbone?"),
        ({"skips": "two"}, "fcn8s: skips='two'"),
    ],
)
def test_columns_without_effect_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        catalogue.spec("fcn8s", **columns)


def test_what_ends_in_full_connections() -> None:
    for row in {row.family: row for row in BACKBONES.values()}.values():
        with torch.device("meta"):
            assert ends_in_full_connections(row) == isinstance(row.build(3, 2), FlatteningNetwork), row.name


def test_a_spec_is_created_as_its_name_is() -> None:
    row = catalogue.spec("fcn8s", backbone="resnet18", skips=1)
    with torch.device("meta"):
        network = catalogue.create(row, in_channels=3, num_classes=5)
        other = catalogue.create(row, in_channels=3, num_classes=5, backbone="resnet34")
    assert (network.spec, network.num_classes) == (row, 5)
    assert other.spec == row.replace(backbone="resnet34")


@pytest.mark.parametrize("columns", [{"backbone": "resnet50", "padding": 50}, {"skips": 0, "skip_scaling": "at_once"}])
def test_records_with_columns_without_effect_are_read(columns: dict[str, object]) -> None:
    """Such networks could be made once, and are on disk."""
    recorded = catalogue.spec("fcn8s").to_json()
    recorded["columns"] |= columns
    read = catalogue.spec_from_json(recorded)
    chosen = {key: columns[key] for key in ("backbone", "skips") if key in columns}
    assert read == catalogue.spec("fcn8s", **chosen)
    assert read.replace(dropout=0.1).dropout == 0.1

"""The contract of specs and networks, on a small family of its own."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Spec, Stage

FACTS = Facts(
    paper=Paper(title="T", authors="A", year=2000, venue="V", link="L"),
    table="1",
    input_size=(1, 2, 2),
    num_classes=2,
    params=4,
    macs=4,
)


@dataclass(frozen=True, kw_only=True)
class ToySpec(Spec):
    family: ClassVar[str] = "toy"
    task: ClassVar[NetworkKind] = "classification"
    widths: tuple[int, ...] = (1, 2)
    size: tuple[int, int] | None = None
    mode: Literal["none", "batch"] = "batch"
    rate: float = 0.5
    flag: bool = True
    word: str = "a"

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        return self.size

    def build(self, in_channels: int, num_classes: int) -> "Toy":
        return Toy(self, in_channels, num_classes)


class Toy(Network):
    stages = (Stage(channels=1, stride=1, module="fc"),)

    def __init__(self, spec: Spec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        self.fc = nn.Linear(in_channels, num_classes)

    def features(self, x: Tensor) -> list[Tensor]:
        self.check_input(x)
        return [x]

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x)[0].mean((2, 3)))


TOY = ToySpec(name="toy1", facts=FACTS)


def test_a_change_drops_the_facts_and_the_same_value_keeps_them() -> None:
    assert TOY.replace(rate=0.5, widths=[1, 2]).facts is FACTS
    changed = TOY.replace(rate=1, size=(3, 4))
    assert changed.facts is None
    assert (changed.rate, changed.size, changed.name) == (1.0, (3, 4), "toy1")
    assert isinstance(changed.rate, float)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("32,64", "widths", (32, 64)),
        ("(32, 64)", "widths", (32, 64)),
        ("7", "widths", (7,)),
        ("()", "widths", ()),
        ("none", "mode", "none"),
        (" batch ", "mode", "batch"),
        ("none", "size", None),
        ("28,28", "size", (28, 28)),
        ("1e-3", "rate", 0.001),
        ("2", "rate", 2.0),
        ("False", "flag", False),
        ("none", "word", "none"),
        ("12", "word", "12"),
    ],
)
def test_command_line_text_becomes_the_columns_type(text: str, key: str, value: object) -> None:
    assert getattr(TOY.override({key: text}), key) == value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": "1,2"}, "toy1 has no field 'width'. Did you mean widths?"),
        ({"zzz": "1"}, "toy1 has no field 'zzz'. Known are: flag, mode, rate, size, widths, word."),
        ({"mode": "group"}, "toy1: mode='group'. Expected one of none, batch. Correct the value."),
        (
            {"widths": "1,x"},
            "toy1: widths=(1, 'x'). Expected comma-separated values, each a whole number. Correct the value.",
        ),
        ({"rate": "fast"}, "toy1: rate='fast'. Expected a number. Correct the value."),
        ({"flag": "1"}, "toy1: flag=1. Expected true or false. Correct the value."),
        (
            {"size": "1,2,3"},
            "toy1: size=(1, 2, 3). Expected comma-separated values, each a whole number or none. Correct the value.",
        ),
        ({"name": "x"}, "toy1 has no field 'name'. Known are: flag, mode, rate, size, widths, word."),
    ],
)
def test_bad_settings_say_what_would_be_right(settings: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        TOY.override(settings)
    assert str(caught.value).replace("?.", "?.") == message


def test_to_json_holds_every_column() -> None:
    assert TOY.to_json() == {
        "family": "toy",
        "name": "toy1",
        "columns": {"widths": (1, 2), "size": None, "mode": "batch", "rate": 0.5, "flag": True, "word": "a"},
    }


def test_networks_defaults() -> None:
    network = TOY.build(3, 2)
    x = torch.zeros(1, 3, 4, 5)
    assert [tuple(logits.shape) for logits in network.training_logits(x)] == [(1, 2)]
    assert network.output_size(4, 5) == network.input_size_for(4, 5) == (4, 5)


@pytest.mark.parametrize(
    ("size", "shape", "message"),
    [
        (
            None,
            (1, 1, 4, 4),
            "toy1: a batch of shape (1, 1, 4, 4). Expected (N, 3, H, W). "
            "Convert the images to 3 channels, or create the network with other in_channels.",
        ),
        (
            None,
            (3, 4, 4),
            "toy1: a batch of shape (3, 4, 4). Expected (N, 3, H, W). "
            "Convert the images to 3 channels, or create the network with other in_channels.",
        ),
        (
            (8, 9),
            (1, 3, 4, 4),
            "toy1 cannot take images of 4 x 4 pixels. Expected 8 x 9. "
            "Resize the images, or set image_size=4,4 before building.",
        ),
    ],
)
def test_networks_refuse_wrong_batches(size: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        TOY.replace(size=size).build(3, 2)(torch.zeros(shape))
    assert str(caught.value) == message


@pytest.mark.parametrize(("channels", "classes", "what"), [(0, 2, "in_channels=0"), (1, -1, "num_classes=-1")])
def test_channels_and_classes_are_positive(channels: int, classes: int, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        TOY.build(channels, classes)
    assert str(caught.value) == f"toy1: {what}. Expected at least 1. Correct the number."


def test_records_of_before_a_column_was_added_are_read() -> None:
    for name, lacking in (("unet16", ["metadata"]), ("resnet50", ["output_stride", "multi_grid"])):
        record = catalogue.spec(name).to_json()
        for column in lacking:
            del record["columns"][column]
        assert catalogue.spec_from_json(record) == catalogue.spec(name)

"""Fully connected networks: the baseline that convolutions are measured against.

Paper: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proceedings of the
IEEE 86(11), 1998: section III.C.4 and 5 (28x28-300-10 and 28x28-300-100-10).

The images' pixels enter as one vector, so a network takes exactly one image size, the field ``image_size``.

**Deviations** (tests/networks/test_mlp.py):

- The paper trains with squared error to +-1 targets; the logits here go to whichever loss the task has.
- ``mlp_784_128_128_10``, with ReLU, is not in the paper: it is the baseline for MNIST of Murphy, "Probabilistic machine
  learning: an introduction", 2022.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.activation import ActivationName, activation
from pixelwise.layers.initialisation import INITIALISATIONS, InitialisationName
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Published, Spec

PAPER = Paper(
    title="Gradient-based learning applied to document recognition",
    authors="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
    year=1998,
    venue="Proceedings of the IEEE 86(11)",
    link="doi:10.1109/5.726791",
)


@dataclass(frozen=True, kw_only=True)
class MLPSpec(Spec):
    """Full connections only."""

    family: ClassVar[str] = "mlp"
    task: ClassVar[NetworkKind] = "classification"

    image_size: tuple[int, int] = (28, 28)
    """Height and width of the input, in pixels."""
    hidden: tuple[int, ...] = (300,)
    """Units of each hidden layer."""
    activation: ActivationName = "scaled_tanh"
    """After each hidden layer."""
    initialisation: InitialisationName = "lecun"

    def __post_init__(self) -> None:
        if min((*self.image_size, *self.hidden)) < 1:
            raise SpecError(
                f"{self.name}: image_size={self.image_size}, hidden={self.hidden}",
                expected="positive numbers",
                do="Correct them",
            )

    @property
    def fixed_size(self) -> tuple[int, int]:
        """The only (height, width) that the network takes, in pixels."""
        return self.image_size

    def build(self, in_channels: int, num_classes: int) -> "MLP":
        """Make the network; any number of channels and classes is possible."""
        return MLP(self, in_channels, num_classes)


class MLP(Network):
    """Rows fc1, fc2, ...; the last one gives the logits. It has no feature maps."""

    spec: MLPSpec
    stages = ()

    def __init__(self, spec: MLPSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        units = in_channels * spec.image_size[0] * spec.image_size[1]
        for number, width in enumerate(spec.hidden, start=1):
            self.add_module(f"fc{number}", nn.Sequential(nn.Linear(units, width), activation(spec.activation)))
            units = width
        self.add_module(f"fc{len(spec.hidden) + 1}", nn.Linear(units, num_classes))
        INITIALISATIONS[spec.initialisation](self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return no maps: the first layer mixes all pixels."""
        self.check_input(x)
        return []

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        self.check_input(x)
        x = x.flatten(1)  # (N, in_channels * H * W)
        for row in self.children():
            x = row(x)
        return x


def _errors(plain: float, distorted: float) -> tuple[Published, ...]:
    return tuple(
        Published(dataset="MNIST test", metric="error %", value=value, protocol=protocol, source="paper, section III.C")
        for protocol, value in (("no distortions", plain), ("distortions", distorted))
    )


def _facts(table: str, params: int, macs: int, published: tuple[Published, ...]) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(1, 28, 28),
        num_classes=10,
        params=params,
        macs=macs,
        published=published,
    )


_BOOK = Published(
    dataset="MNIST test", metric="accuracy %", value=95.9, protocol="one epoch", source="Murphy 2022, section 14.3"
)

SPECS: tuple[MLPSpec, ...] = (
    MLPSpec(
        name="mlp_784_300_10",
        facts=_facts("section III.C.4", 238_510, 238_200, _errors(4.7, 3.6)),
    ),
    MLPSpec(
        name="mlp_784_300_100_10",
        hidden=(300, 100),
        facts=_facts("section III.C.5", 266_610, 266_200, _errors(3.05, 2.5)),
    ),
    MLPSpec(
        name="mlp_784_128_128_10",
        hidden=(128, 128),
        activation="relu",
        initialisation="glorot",
        facts=_facts("variant: a book's baseline for MNIST", 118_282, 118_016, (_BOOK,)),
    ),
)

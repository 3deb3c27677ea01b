"""ENet's encoder: the columns of its table, and the layers up to bottleneck3."""

from dataclasses import dataclass
from typing import Final

from torch import nn

from pixelwise.errors import SpecError
from pixelwise.networks.classification.enet_blocks import (
    AUTHORS,
    NARROWING,
    Bottleneck,
    DownsamplingBottleneck,
    Form,
    InitialBlock,
    Middle,
)
from pixelwise.specs import Network, Paper, Spec, Stage

PAPER = Paper(
    title="ENet: A deep neural network architecture for real-time semantic segmentation",
    authors="A. Paszke, A. Chaurasia, S. Kim, E. Culurciello",
    year=2016,
    venue="arXiv",
    link="arXiv:1606.02147",
)


CONTEXT: Final[tuple[Middle, ...]] = (
    *("regular", "dilated2", "asymmetric5", "dilated4"),
    *("regular", "dilated8", "asymmetric5", "dilated16"),
)
"""Table 1's bottlenecks 2.1 to 2.8."""


@dataclass(frozen=True, kw_only=True)
class ENetEncoderSpec(Spec):
    """What a network's table says of its encoder."""

    widths: tuple[int, int, int] = (16, 64, 128)
    """Maps after the initial block, and of the bottlenecks before and after the second down-sampling."""
    early_depth: int = 4
    """Regular bottlenecks after the first down-sampling."""
    context: tuple[Middle, ...] = CONTEXT
    """Middle convolutions of the bottlenecks after the second down-sampling."""
    repeats: int = 2
    """How often these follow one another."""
    dropout: tuple[float, float] = (0.01, 0.1)
    """Rates of spatial dropout before and after the second down-sampling."""

    def __post_init__(self) -> None:
        initial, early, late = self.widths
        counts = (initial, self.early_depth, len(self.context), self.repeats)
        if min(counts) < 1 or not initial <= early <= late or early % NARROWING or late % NARROWING:
            raise SpecError(
                f"{self.name}: widths={self.widths}, early_depth={self.early_depth}, context of {len(self.context)}, "
                f"repeats={self.repeats}",
                expected=f"widths that never shrink, the last two multiples of {NARROWING}; all others positive",
                do="Correct them",
            )
        if not all(0 <= rate < 1 for rate in self.dropout):
            raise SpecError(
                f"{self.name}: dropout={self.dropout}",
                expected="rates from 0 up to but not including 1",
                do="Correct them",
            )

    def check_channels(self, in_channels: int) -> None:
        """Refuse so many channels that pooling alone fills the initial block.

        Raises:
            SpecError: they are too many.

        """
        if in_channels >= self.widths[0]:
            raise SpecError(
                f"{self.name}: in_channels={in_channels}",
                expected=f"fewer than the initial block's {self.widths[0]} maps, which pooling alone would fill",
                do="Widen it (widths), or choose another network",
            )


def add_encoder(network: Network, spec: ENetEncoderSpec, form: Form = AUTHORS) -> tuple[Stage, ...]:
    """Give a network the layers initial, bottleneck1_0, bottleneck1, bottleneck2_0, bottleneck2, bottleneck3.

    Returns:
        The stages that they end: strides 2, 4 and 8.

    """
    (initial, early, late), (early_rate, late_rate) = spec.widths, spec.dropout
    early_blocks = (Bottleneck(early, "regular", early_rate, form) for _ in range(spec.early_depth))
    network.add_module("initial", InitialBlock(network.in_channels, initial, form))
    network.add_module("bottleneck1_0", DownsamplingBottleneck(initial, early, early_rate, form))
    network.add_module("bottleneck1", nn.Sequential(*early_blocks))
    network.add_module("bottleneck2_0", DownsamplingBottleneck(early, late, late_rate, form))
    for number in range(2, 2 + spec.repeats):
        blocks = (Bottleneck(late, middle, late_rate, form) for middle in spec.context)
        network.add_module(f"bottleneck{number}", nn.Sequential(*blocks))
    return (
        Stage(channels=initial, stride=2, module="initial"),
        Stage(channels=early, stride=4, module="bottleneck1"),
        Stage(channels=late, stride=8, module=f"bottleneck{1 + spec.repeats}"),
    )

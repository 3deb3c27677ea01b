"""A classifier slid along a wide picture, and a chain over its windows: a space displacement neural network with a CRF.

Papers: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proceedings of the
IEEE 86(11), 1998, section VII (a convolutional classifier replicated over a wide input, its windows read by Viterbi's
algorithm, all trained together: VII.C); Lafferty, McCallum, Pereira, "Conditional random fields", ICML 2001, section 3
(the chain). The loss, which sums over all places where the characters may stand, is in
:mod:`pixelwise.losses.string_likelihood`.

========== ============================================= ===================================
row        operation                                     output, of 28x160 pixels and LeNet-5
========== ============================================= ===================================
C1 .. OUT  the trunk at every place; rows are averaged   11 labels at 34 places
chain      scores of transitions added                   34 x 12 x 11 log-potentials
========== ============================================= ===================================

The ``num_classes`` labels of a window are the characters and, last, the blank that stands between them. The logits
(N, T, num_classes + 1, num_classes) say for each of T windows what each label (last axis) adds to the score of a
reading, given the label of the window before: emission plus transition. The last row of the third axis is for a window
without predecessor: the emission alone, which is all that greedy decoding looks at.

Sizes: at least the trunk's own input; every trunk that gives ``dense_logits`` serves. LeNet-5's windows are 4 px apart.

**Deviations** (tests/networks/test_window_crf.py):

- The 1998 paper has no blank label of the network's own: its graphs add paths for garbage between characters, and its
  transitions come from a grammar. Here the blank is a class like the others, as in Graves et al. 2006, and every pair
  of labels has a score that is learned, 0 at first.
- Trunks that give several rows of windows are read by the mean (or maximum) over the rows of a column.
- ``lenet_crf`` is not a row of the papers: its trunk is ``lenet5_relu`` with a class more.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError, suggest
from pixelwise.layers.trunk import run_trunk
from pixelwise.networks.backbones import CLASSIFICATION, CLASSIFICATION_ALIASES
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Spec

PAPER = Paper(
    title="Gradient-based learning applied to document recognition",
    authors="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
    year=1998,
    venue="Proceedings of the IEEE 86(11)",
    link="doi:10.1109/5.726791",
)

TRUNKS = {row.name: row for row in CLASSIFICATION}


@dataclass(frozen=True, kw_only=True)
class WindowCRFSpec(Spec):
    """A classifier by its name, and how its windows are joined."""

    family: ClassVar[str] = "window_crf"
    task: ClassVar[NetworkKind] = "sequence"

    trunk: str = "lenet5_relu"
    """Name of a classification network that can be slid over a picture."""
    rows: Literal["mean", "max"] = "mean"
    """What is read of several rows of windows, one above the other."""
    transitions: Literal["learned", "none"] = "learned"
    """Whether pairs of neighbouring labels have scores; without them, every window is read for itself."""

    def __post_init__(self) -> None:
        if self._trunk_name not in TRUNKS:
            raise SpecError(
                f"{self.name}: trunk={self.trunk} is no classification network",
                do=suggest(self.trunk, TRUNKS) or "`pixelwise nets` lists them",
            )

    @property
    def trunk_spec(self) -> Spec:
        """The trunk's row."""
        return TRUNKS[self._trunk_name]

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the trunk's own input, in pixels."""
        facts = self.trunk_spec.facts
        assert facts is not None  # it is a row of the catalogue
        _, height, width = facts.input_size
        return self.trunk_spec.fixed_size or (height, width)

    def build(self, in_channels: int, num_classes: int) -> "WindowCRF":
        """Make the network; ``num_classes`` counts the blank."""
        return WindowCRF(self, in_channels, num_classes)

    @property
    def _trunk_name(self) -> str:
        return CLASSIFICATION_ALIASES.get(self.trunk, self.trunk)


class Transitions(nn.Module):
    """Scores of pairs of neighbouring labels, added to those of the labels themselves."""

    def __init__(self, num_labels: int, *, is_learned: bool) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(num_labels, num_labels)) if is_learned else None

    def forward(self, emissions: Tensor) -> Tensor:
        """Map (N, T, C) to log-potentials (N, T, C + 1, C); the last row of the third axis is the emissions alone."""
        labels = emissions.shape[2]
        alone = emissions[:, :, None]  # (N, T, 1, C)
        if self.scores is None:
            return alone.expand(-1, -1, labels + 1, -1)
        return torch.cat([alone + self.scores.to(emissions.dtype), alone], dim=2)


class WindowCRF(Network):
    """The trunk's rows under their own names, as in its weights files, then ``chain``."""

    spec: WindowCRFSpec

    def __init__(self, spec: WindowCRFSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        trunk = spec.trunk_spec.build(in_channels, num_classes)
        if type(trunk).dense_logits is Network.dense_logits:
            raise SpecError(
                f"{spec.name}: {spec.trunk} cannot be slid over a picture",
                expected="a trunk of convolutions",
                do="Choose another, such as lenet5_relu or resnet20_cifar",
            )
        for name, row in trunk.named_children():
            self.add_module(name, row)
        self.chain = Transitions(num_classes, is_learned=spec.transitions == "learned")
        self.stages = trunk.stages
        self._trunk = (trunk,)  # in a tuple, so that its rows are children of this network only

    @property
    def trunk(self) -> Network:
        """The classifier that this network's rows make up, whichever modules these are by now."""
        trunk = self._trunk[0]
        trunk._modules.update((name, self._modules[name]) for name in list(trunk._modules))
        return trunk

    @property
    def heads(self) -> tuple[str, ...]:
        """The trunk's heads, and the scores of transitions."""
        return (*self.trunk.heads, "chain")

    def train(self, mode: bool = True) -> "WindowCRF":
        """Set training or evaluation mode of the rows, and of the trunk that they make up."""
        super().train(mode)
        self._trunk[0].training = mode
        return self

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the trunk's feature pyramid of the whole picture."""
        self.check_input(x)
        return run_trunk(self, x) if self.spec.trunk_spec.fixed_size else self.trunk.features(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-potentials (N, T, num_classes + 1, num_classes) of x (N, in_channels, H, W)."""
        self.check_input(x)
        maps = self.trunk.dense_logits(x)  # (N, num_classes, h, T)
        read = maps.mean(2) if self.spec.rows == "mean" else maps.amax(2)
        return self.chain(read.transpose(1, 2))

    def check_size(self, *size: int) -> None:
        """Refuse pictures that are smaller than one window."""
        height, width = size
        window = self.spec.trunk_spec.fixed_size
        if window is None:
            self.trunk.check_size(*size)
        elif height < window[0] or width < window[1]:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {window[0]} x {window[1]}, the window of {self.spec.trunk}",
                do="Enlarge the images",
            )

    def input_size_for(self, *size: int) -> tuple[int, ...]:
        """Size that brings a picture of ``height`` x ``width`` to the trunk's height, at least a window wide."""
        height, width = size
        window = self.spec.window
        return window[0], max(window[1], round(width * window[0] / height))


SPECS: tuple[WindowCRFSpec, ...] = (
    WindowCRFSpec(
        name="lenet_crf",
        facts=Facts(
            paper=PAPER,
            table="variant: section VII, LeNet-5 with ReLU and maximum pooling under a conditional random field",
            input_size=(1, 28, 160),
            num_classes=11,
            params=61_912,
            macs=4_502_136,
        ),
    ),
)

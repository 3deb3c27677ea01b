"""A small network with everything that freezing and auxiliary heads meet: a stem, stages, dropout, two heads."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pixelwise.layers.convolution import ConvNormAct
from pixelwise.specs import Network, NetworkKind, Spec, Stage


@dataclass(frozen=True, kw_only=True)
class ForkedSpec(Spec):
    """A stem and two stages; an auxiliary head stands between the stages, as in GoogLeNet."""

    family: ClassVar[str] = "forked"
    task: ClassVar[NetworkKind] = "classification"

    auxiliary: bool = True
    dropout: float = 0.3

    def build(self, in_channels: int, num_classes: int) -> "Forked":
        return Forked(self, in_channels, num_classes)


class Forked(Network):
    spec: ForkedSpec
    auxiliary_heads: ClassVar[tuple[str, ...]] = ("aux",)

    def __init__(self, spec: ForkedSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        self.stem = ConvNormAct(in_channels, 8, 3, stride=2, padding=1)
        self.early = nn.Sequential(ConvNormAct(8, 8, 3, padding=1), nn.Dropout(spec.dropout))
        if spec.auxiliary:
            self.aux = nn.Sequential(
                ConvNormAct(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)
            )
        self.late = ConvNormAct(8, 16, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.scale = nn.Parameter(torch.ones(1))
        self.fc = nn.Linear(16, num_classes)
        self.stages = (Stage(channels=8, stride=2, module="early"), Stage(channels=16, stride=4, module="late"))

    @property
    def heads(self) -> tuple[str, ...]:
        return ("aux.3", "fc") if self.spec.auxiliary else ("fc",)

    def features(self, x: Tensor) -> list[Tensor]:
        early = self.early(self.stem(x))
        return [early, self.late(early)]

    def forward(self, x: Tensor) -> Tensor:
        return self._head(self.features(x)[-1])

    def training_logits(self, x: Tensor) -> tuple[Tensor, ...]:
        early, late = self.features(x)
        return (self._head(late), self.aux(early)) if self.spec.auxiliary else (self._head(late),)

    def _head(self, late: Tensor) -> Tensor:
        return self.fc(self.norm(late).mean((2, 3)) * self.scale)


FORKED = ForkedSpec(name="forked")

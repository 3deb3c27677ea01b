"""What networks on a dilated residual trunk share: the trunk, an auxiliary head beside it, and the answer's size.

torchvision's segmentation networks have this form (``_SimpleSegmentationModel``), and so has PSPNet; DeepLab-v3's paper
has it without the auxiliary head.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.bilinear import BilinearResize, resize
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.initialisation import he_normal_
from pixelwise.layers.trunk import graft, run_rows, run_trunk
from pixelwise.specs import Network, Spec

AUXILIARY_DROPOUT = 0.1
"""torchvision's, and that of the code published with PSPNet."""


def score_head(channels: int, num_classes: int, dropout: float, width: int | None = None) -> nn.Sequential:
    """Return a head: 3x3 to ``width`` maps, batch normalisation, ReLU, dropout, 1x1 to the classes.

    Without a width it is torchvision's FCN head, which has a quarter of the maps. The parts are named ``hidden``,
    ``dropout`` and ``score``.
    """
    width = width or channels // 4
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["hidden"] = ConvNormAct(channels, width, 3, padding=1)
    parts["dropout"] = nn.Dropout(dropout)
    parts["score"] = nn.Conv2d(width, num_classes, 1)
    return nn.Sequential(parts)


class DilatedNetwork(Network):
    """The trunk's rows, ``aux`` if asked for, the head's rows one after the other, and ``up``.

    Args:
        spec: the row that is built.
        trunk: the classifier whose rows are taken.
        num_classes: number of logits.
        head: rows that make logits of the trunk's last maps; the last one has as many maps as there are classes.
        auxiliary: whether training also scores the maps of the last stage but one.

    """

    auxiliary_heads: ClassVar[tuple[str, ...]] = ("aux",)

    def __init__(
        self, spec: Spec, trunk: Network, num_classes: int, head: Mapping[str, nn.Module], *, auxiliary: bool
    ) -> None:
        super().__init__(spec, trunk.in_channels, num_classes)
        self.stages, _, self._least_side = graft(self, trunk)
        self._has_auxiliary, self._head = auxiliary, tuple(head)
        if auxiliary:
            self.aux = score_head(self.stages[-2].channels, num_classes, AUXILIARY_DROPOUT)
            he_normal_(self.aux)
        for name, row in head.items():
            self.add_module(name, row)
            he_normal_(row)
        self.up = BilinearResize()

    @property
    def heads(self) -> tuple[str, ...]:
        """The last layer of the auxiliary head, if there is one, and of the head."""
        last = self._head[-1]
        own = f"{last}.score" if isinstance(self.get_submodule(last), nn.Sequential) else last
        return ("aux.score", own) if self._has_auxiliary else (own,)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the trunk's maps at the end of every stage, (N, C, H / stride, W / stride) rounded up."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of x (N, in_channels, H, W)."""
        self.check_input(x)
        last = self.stages[-1].module
        return self._answer(run_rows(self, x, {last})[last], x)

    def training_logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the head, then those of the auxiliary head where there is one, each of the x's size."""
        *_, middle, last = self.features(x)
        if not self._has_auxiliary:
            return (self._answer(last, x),)
        return self._answer(last, x), resize(self.aux(middle), *x.shape[-2:])

    def _answer(self, y: Tensor, x: Tensor) -> Tensor:
        for name in self._head:
            y = self.get_submodule(name)(y)  # at last (N, num_classes, H / stride, W / stride)
        answer: Tensor = self.up(y, *x.shape[-2:])
        return answer

    def check_size(self, *size: int) -> None:
        """Refuse images smaller than the trunk's stride."""
        if min(size) < self._least_side:
            raise SpecError(
                f"{self.spec.name} cannot take images of {' x '.join(map(str, size))} pixels",
                expected=f"at least {self._least_side} x {self._least_side}",
                do="Enlarge the images",
            )

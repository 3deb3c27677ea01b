"""Fully convolutional networks on any trunk: the last maps of each stride scored, the scores interpolated and added.

See :mod:`pixelwise.networks.segmentation.fcn`, whose form for trunks without full connections this is.
"""

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.bilinear import BilinearResize, resize
from pixelwise.layers.grafted import GraftedNetwork
from pixelwise.layers.sizes import crop
from pixelwise.layers.trunk import levels, run_rows
from pixelwise.networks.segmentation.fcn_blocks import zero_score
from pixelwise.specs import Network, Spec


class FCNPyramid(GraftedNetwork):
    """The trunk's rows, ``dropout``, ``score``, a ``score_ROW`` for each skip, and ``up``.

    Args:
        spec: the row that is built.
        trunk: the classifier whose rows are taken.
        num_classes: number of logits.
        factors: what the maps of each skip are multiplied by, coarsest first; as many as there are skips.
        dropout: share of the last maps' values set to zero in training.

    """

    def __init__(
        self, spec: Spec, trunk: Network, num_classes: int, factors: tuple[float, ...], dropout: float
    ) -> None:
        super().__init__(spec, trunk, num_classes)
        last, *finer = reversed(levels(self.stages))
        if len(finer) < len(factors):
            raise SpecError(
                f"{spec.name}: skips={len(factors)} with {trunk.spec.name}, whose maps have the strides "
                + ", ".join(str(stage.stride) for stage in levels(self.stages)),
                expected=f"skips of at most {len(finer)}",
                do="Correct the number, or choose another backbone",
            )
        self._last = last
        self._skips = [(stage.module, factor) for stage, factor in zip(finer, factors, strict=False)]
        self.dropout = nn.Dropout(dropout)
        self.score = zero_score(last.channels, num_classes)
        for stage in finer[: len(factors)]:
            self.add_module(f"score_{stage.module}", zero_score(stage.channels, num_classes))
        self.up = BilinearResize()

    @property
    def heads(self) -> tuple[str, ...]:
        """The score layers, that of the last maps last."""
        return (*(f"score_{name}" for name, _ in self._skips), "score")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of x (N, in_channels, H, W)."""
        size, x = x.shape[-2:], self.padded(x)
        maps = run_rows(self, x, {self._last.module, *(name for name, _ in self._skips)})
        y = self.score(self.dropout(maps[self._last.module]))  # (N, num_classes, H/32, W/32)
        for name, factor in self._skips:
            finer = self.get_submodule(f"score_{name}")(maps[name] * factor)  # twice as high and wide
            y = resize(y, *finer.shape[-2:]) + finer
        return crop(self.up(y, *x.shape[-2:]), *size)

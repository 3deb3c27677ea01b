"""Networks for pixels that stand on a classifier of any kind, and take pictures of every size that it can."""

from torch import Tensor

from pixelwise.errors import SpecError
from pixelwise.layers.sizes import pad_to_multiple
from pixelwise.layers.trunk import graft, run_trunk
from pixelwise.specs import Network, Spec


class GraftedNetwork(Network):
    """The rows of a trunk as direct children, to which a subclass adds its own.

    For trunks that halve evenly, pictures are padded at the bottom and right to a multiple of the last stride. Others
    are given them as they are, and these must be so large that something of every map is left.

    Args:
        spec: the row that is built.
        trunk: the classifier whose rows are taken.
        num_classes: number of logits.

    """

    def __init__(self, spec: Spec, trunk: Network, num_classes: int) -> None:
        super().__init__(spec, trunk.in_channels, num_classes)
        self.stages, self._keeps_ratio, least_side = graft(self, trunk)
        self.fills_to = self.stages[-1].stride if self._keeps_ratio else 1
        self._least_side = 1 if self._keeps_ratio else least_side

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the trunk's maps at the end of every stage, (N, C, H / stride, W / stride) of the padded picture."""
        return run_trunk(self, self.padded(x))

    def padded(self, x: Tensor) -> Tensor:
        """Check x (N, in_channels, H, W) and return it as the trunk is given it, no smaller."""
        self.check_input(x)
        return pad_to_multiple(x, self.fills_to)

    def check_size(self, *size: int) -> None:
        """Refuse pictures of which a trunk of unpadded layers leaves nothing; others take every size."""
        if min(size) < self._least_side:
            raise SpecError(
                f"{self.spec.name} cannot take images of {' x '.join(map(str, size))} pixels",
                expected=f"at least {self._least_side} x {self._least_side}",
                do="Enlarge the images" + ("" if self._keeps_ratio else ", or choose a backbone of padded layers"),
            )

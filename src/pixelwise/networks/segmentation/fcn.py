"""Fully convolutional networks: classifiers that answer at every place, their coarse scores brought back to pixels.

Papers: Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015, arXiv:1411.4038,
sections 3 and 4, figure 3; Shelhamer, Long, Darrell, the same title, PAMI 2016, arXiv:1605.06211; and the networks
published with them (fcn.berkeleyvision.org). Sizes are those of a picture of 500 x 500 pixels, on VGG-16.

=============== ========================================== ========= ========= =========
row             operation                                  FCN-32s   FCN-16s   FCN-8s
=============== ========================================== ========= ========= =========
block1 .. pool5 VGG-16; conv1_1 has a padding of 100       698 .. 22 698 .. 22 698 .. 22
fc6, fc7        7x7 and 1x1 convolutions, 4096; dropout    16        16        16
score_fr        1x1 to the classes                         16        16        16
upscore2        transposed 4x4, stride 2                             34        34
score_pool4     1x1 of pool4, cropped by 5 and added                 44        44
upscore_pool4   transposed 4x4, stride 2                                       70
score_pool3     1x1 of pool3, cropped by 9 and added                           88
up              transposed, twice the stride, stride ...   32: 544   16: 560   8: 568
crop            the picture's window, from ... on          19: 500   27: 500   31: 500
=============== ========================================== ========= ========= =========

Poolings round up, as in Caffe. Score layers start at zero, so that the first loss is the logarithm of the number of
classes; transposed convolutions start as bilinear interpolation (:mod:`pixelwise.layers.bilinear`), with a full matrix
of channels. The crops follow from the positions of the layers' values and are not numbers of the table: with AlexNet
(``fcn_alexnet``) they are those of its published network as well (a kernel of 63, cropped from 18 on).

``backbone`` may be any row of the classification networks that takes pictures of many sizes. VGG and AlexNet, which end
in full connections, become the networks above. Others are not padded: the last maps of each stride are scored, and the
scores interpolated bilinearly, to the next finer ones and at last to the picture (``FCNPyramid``). ``fcn_inception_v3``
is such a one. Where a trunk halves evenly, the picture is padded at the bottom and right to a multiple of its stride.

Training: 32s first, then 16s from the weights of 32s, then 8s from those of 16s, or ``skip_scaling=at_once``.

**Deviations** (tests/networks/test_fcn.py):

- ``upsampling="learned"``: every transposed convolution learns. CVPR's text learns the inner ones and fixes the last
  (``inner``); the published networks fix all (``fixed``). Fixed filters are constants, which no count of parameters
  and no decay includes.
- Trunks start from their own paper's initial weights where no others are given; the paper starts from ImageNet's.
"""

import dataclasses
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Literal, NamedTuple, Self

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.bilinear import Grid, bilinear_transposed, window_of
from pixelwise.layers.full_connections import FlatteningNetwork
from pixelwise.layers.trunk import graft, run_rows, run_trunk
from pixelwise.networks.backbones import backbone_row, ends_in_full_connections
from pixelwise.networks.segmentation.fcn_blocks import Crop, as_convolution, zero_score
from pixelwise.networks.segmentation.fcn_facts import FACTS
from pixelwise.networks.segmentation.fcn_pyramid import FCNPyramid
from pixelwise.specs import Network, NetworkKind, Spec

AT_ONCE = 0.01
"""Factor on the maps of the first skip; its square on those of the second (the published at-once network)."""

STAGES = ("fcn32s", "fcn16s", "fcn8s")
"""What a network of so many skips is called."""


@dataclass(frozen=True, kw_only=True)
class FCNSpec(Spec):
    """A trunk, and how many of its finer maps are scored besides the last."""

    family: ClassVar[str] = "fcn"
    task: ClassVar[NetworkKind] = "segmentation"

    backbone: str = "vgg16"
    """Name of the classification network whose rows the network stands on."""
    skips: int = 0
    """Finer maps whose scores are added: 0 for FCN-32s, 1 for 16s, 2 for 8s."""
    padding: int = 100
    """Zeros that the first convolution sees beyond each border; for backbones that end in full connections."""
    upsampling: Literal["learned", "inner", "fixed"] = "learned"
    """Which transposed convolutions learn: all, all but the last, none; for the same backbones."""
    skip_scaling: Literal["none", "at_once"] = "none"
    """at_once: finer maps count 0.01 and 0.0001, so that all scores can be trained together."""
    dropout: float = 0.5
    """Share of values set to zero in training: after fc6 and fc7, or before the score of the last maps."""

    def __post_init__(self) -> None:
        backbone_row(self.backbone, self.name)
        if self.skips < 0 or self.padding < 0 or not 0 <= self.dropout < 1:
            raise SpecError(
                f"{self.name}: skips={self.skips}, padding={self.padding}, dropout={self.dropout}",
                expected="skips and padding of 0 or more; a dropout from 0 up to, but not 1",
                do="Correct them",
            )

    @property
    def without_effect(self) -> dict[str, str]:
        """The padding and the filters of networks that have neither, and a scale of skips where there are none."""
        columns = {} if self.skips else {"skip_scaling": "there are no skips"}
        if not ends_in_full_connections(backbone_row(self.backbone, self.name)):
            columns["padding"] = f"{self.backbone} is padded by itself"
            columns["upsampling"] = f"on {self.backbone} scores are interpolated"
        return columns

    @property
    def skip_factors(self) -> tuple[float, ...]:
        """What the maps of each skip are multiplied by before they are scored, coarsest first."""
        return tuple(AT_ONCE**number if self.skip_scaling == "at_once" else 1.0 for number in range(1, self.skips + 1))

    @property
    def precursors(self) -> tuple[Spec, ...]:
        """The networks with fewer skips, and the backbone."""
        coarser = (
            dataclasses.replace(self._with_skips(skips), name=dict(enumerate(STAGES)).get(skips, self.name))
            for skips in reversed(range(self.skips))
        )
        return (*coarser, backbone_row(self.backbone, self.name))

    def _with_skips(self, skips: int) -> Self:
        return self.replace(skips=skips, skip_scaling=self.skip_scaling if skips else "none")

    def build(self, in_channels: int, num_classes: int) -> Network:
        """Make the network; any number of channels and classes is possible.

        Raises:
            SpecError: the backbone has too few maps for the skips.

        """
        trunk = backbone_row(self.backbone, self.name).build(in_channels, 1)
        if isinstance(trunk, FlatteningNetwork):
            return FCN(self, trunk, num_classes)
        return FCNPyramid(self, trunk, num_classes, self.skip_factors, self.dropout)


class Window(NamedTuple):
    """How a layer of the trunk, of fc6 or of fc7 steps over its maps, in pixels."""

    row: str
    kernel: int
    stride: int
    padding: int
    rounds_up: bool
    """Whether it is a pooling."""


class Skip(NamedTuple):
    """A finer map whose scores are added to the up-sampled ones."""

    pool: str
    """The row whose maps are scored."""
    upsample: str
    """The row that brings the coarser scores to its grid."""
    offset: int
    """Values of its scores that are cut off at each beginning."""
    factor: float


class FCN(Network):
    """Figure 3: the trunk's rows, fc6, fc7, score_fr, upscore2, score_pool4, upscore_pool4, score_pool3, up, crop."""

    spec: FCNSpec

    def __init__(self, spec: FCNSpec, trunk: FlatteningNetwork, num_classes: int) -> None:
        super().__init__(spec, trunk.in_channels, num_classes)
        self.stages = graft(self, trunk).stages
        self.fc6 = as_convolution(trunk.fc6, self.stages[-1].channels, trunk.window, spec.dropout)
        self.fc7 = as_convolution(trunk.fc7, trunk.fc7.in_features, 1, spec.dropout)
        layers = self._take_layers()
        self._windows = [Window(name, *window_of(layer), isinstance(layer, nn.MaxPool2d)) for name, layer in layers]
        pools = [window.row for window in self._windows if window.rounds_up]
        if spec.skips >= len(pools):
            raise SpecError(
                f"{spec.name}: skips={spec.skips} with backbone={spec.backbone}",
                expected=f"at most {len(pools) - 1}: it has {len(pools)} poolings, and the last is scored anyway",
                do="Correct the number",
            )
        self._skips = list[Skip]()
        self.score_fr = zero_score(trunk.fc8.in_features, num_classes)
        self._add_scores(layers, pools[-2 : -2 - spec.skips : -1])

    def _take_layers(self) -> list[tuple[str, nn.Conv2d | nn.MaxPool2d]]:
        """Pad the first convolution, have poolings round up, and list these layers with their rows, in their order."""
        layers = list[tuple[str, nn.Conv2d | nn.MaxPool2d]]()
        for name, row in self.named_children():
            for layer in row.modules():
                if isinstance(layer, nn.MaxPool2d):
                    layer.ceil_mode = True
                if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
                    layers.append((name, layer))
        layers[0][1].padding = (self.spec.padding, self.spec.padding)
        return layers

    def _add_scores(self, layers: list[tuple[str, nn.Conv2d | nn.MaxPool2d]], pools: list[str]) -> None:
        """Add the rows behind ``score_fr``; the maps of ``pools`` are scored too, coarsest first."""
        spec, grids, widths = self.spec, dict[str, Grid](), dict[str, int]()
        grid, width = Grid(), self.in_channels
        for name, layer in layers:
            grid = grid.through(layer)
            width = layer.out_channels if isinstance(layer, nn.Conv2d) else width
            grids[name], widths[name] = grid, width
        upsample = "upscore2"
        for pool, factor in zip(pools, spec.skip_factors, strict=True):
            grid = self._add_upsampling(upsample, grid, grids[pool], is_learned=spec.upsampling != "fixed")
            self.add_module(f"score_{pool}", zero_score(widths[pool], self.num_classes))
            self._skips.append(Skip(pool, upsample, round(grids[pool].places_before(grid)), factor))
            upsample = f"upscore_{pool}"
        grid = self._add_upsampling("up", grid, Grid(), is_learned=spec.upsampling == "learned")
        offset = round(grid.places_before(Grid()))
        if offset < 0:
            raise SpecError(
                f"{spec.name}: padding={spec.padding} leaves {-offset} pixels at each border without scores",
                expected=f"at least {spec.padding - offset}",
                do="Correct the padding; the paper's is 100",
            )
        self.crop = Crop(offset)

    def _add_upsampling(self, name: str, grid: Grid, finer: Grid, *, is_learned: bool) -> Grid:
        """Add a row from one grid to a finer one, its kernel such that values fall on values; return its grid."""
        step = grid.step // finer.step
        kernels = (2 * step, 2 * step - 1)
        kernel = next(k for k in kernels if finer.places_before(grid.finer(k, step)).is_integer())
        self.add_module(name, bilinear_transposed(self.num_classes, step, kernel, is_learned=is_learned))
        return grid.finer(kernel, step)

    @property
    def heads(self) -> tuple[str, ...]:
        """Every row from ``score_fr`` to ``up``: all have as many maps as there are classes."""
        return ("score_fr", *(name for skip in self._skips for name in (skip.upsample, f"score_{skip.pool}")), "up")

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the trunk's maps at the end of every stage, padded as they are; see ``stages``."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of x (N, in_channels, H, W)."""
        self.check_input(x)
        last = self.stages[-1].module
        maps = run_rows(self, x, {last, *(skip.pool for skip in self._skips)})
        y = self.score_fr(self.fc7(self.fc6(maps[last])))  # (N, num_classes, H/32 + 1, W/32 + 1), about
        for skip in self._skips:
            y = self.get_submodule(skip.upsample)(y)  # about twice as high and wide
            finer = self.get_submodule(f"score_{skip.pool}")(maps[skip.pool] * skip.factor)
            top = skip.offset
            y = y + finer[..., top : top + y.shape[-2], top : top + y.shape[-1]]
        y = self.get_submodule("up")(y)
        return self.crop(y, *x.shape[-2:])

    def check_size(self, *size: int) -> None:
        """Refuse pictures that their scores do not cover; with the paper's padding, there are none."""
        if not all(map(self._covers, size)):
            legal = [next(filter(self._covers, count(max(1, pixels)))) for pixels in size]
            raise SpecError(
                f"{self.spec.name} cannot take images of {' x '.join(map(str, size))} pixels",
                expected=f"a size that the scores cover, such as {' x '.join(map(str, legal))}",
                do="Pad the images, or set padding=100",
            )

    def _covers(self, pixels: int) -> bool:
        """Follow one side through the network, and say whether every crop lies within the maps that it is cut from."""
        sides, left = dict[str, int](), pixels
        for window in self._windows:
            room = left + 2 * window.padding - window.kernel
            steps = -(-room // window.stride) if window.rounds_up else room // window.stride
            if steps < 0:
                return False
            left = sides[window.row] = steps + 1
        for skip in self._skips:
            left = self._upsampled(skip.upsample, left)
            if sides[skip.pool] < skip.offset + left:
                return False
        return self._upsampled("up", left) >= self.crop.offset + pixels > self.crop.offset

    def _upsampled(self, row: str, left: int) -> int:
        kernel, stride, _ = window_of(self.get_submodule(row))
        return (left - 1) * stride + kernel


SPECS: tuple[FCNSpec, ...] = (
    FCNSpec(name="fcn32s", facts=FACTS["fcn32s"]),
    FCNSpec(name="fcn16s", skips=1, facts=FACTS["fcn16s"]),
    FCNSpec(name="fcn8s", skips=2, facts=FACTS["fcn8s"]),
    FCNSpec(name="fcn_alexnet", backbone="alexnet_2012", facts=FACTS["fcn_alexnet"]),
    FCNSpec(name="fcn_inception_v3", backbone="inception_v3", facts=FACTS["fcn_inception_v3"]),
)

ALIASES = {f"{name}_vgg16": name for name in STAGES}

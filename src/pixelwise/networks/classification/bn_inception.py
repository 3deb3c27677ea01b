"""BN-Inception: GoogLeNet with batch normalisation, two 3x3 convolutions for each 5x5, and strides inside modules.

Paper: Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift",
ICML 2015, arXiv:1502.03167: appendix, figure 5 (columns below); section 4.2 (recipes, results).

============ ====== ======= ==== ========== ==== ================= =========== ==============
row          stride output  1x1  3x3 reduce 3x3  double 3x3 reduce double 3x3  pool, proj
============ ====== ======= ==== ========== ==== ================= =========== ==============
conv1        2      112x112 7x7, 64
pool1        2      56x56   3x3 maximum
conv2        1      56x56   1x1, 64 (``conv2_reduce``); 3x3, 192
pool2        2      28x28   3x3 maximum
inception 3a 1      28x28   64   64         64   64                96          average, 32
inception 3b 1      28x28   64   64         96   64                96          average, 64
inception 3c 2      14x14   0    128        160  64                96          maximum, pass
inception 4a 1      14x14   224  64         96   96                128         average, 128
inception 4b 1      14x14   192  96         128  96                128         average, 128
inception 4c 1      14x14   160  128        160  128               160         average, 96
inception 4d 1      14x14   96   128        192  160               192         average, 96
inception 4e 2      7x7     0    128        192  192               256         maximum, pass
inception 5a 1      7x7     352  192        320  160               224         average, 128
inception 5b 1      7x7     352  192        320  192               224         maximum, 128
gap, fc      1      1x1     mean over the map, full connection
============ ====== ======= ==== ========== ==== ================= =========== ==============

Every convolution has batch normalisation (added variance 0.001) and ReLU. The strides of 3c and 4e are in the last 3x3
of each branch and in the pooling. Pooling windows that stick out at the bottom and right count.

Names: the table prints 128 projections in 4c and 4d, but 576 maps as their output, for which it must be 96.
``bn_inception`` has 96, as the authors' released code (``inception_v2``); ``bn_inception_p128`` has 128, and 608 and
1056 maps behind 4d and 4e, as the weights that were ported from Caffe, whose convolutions also have biases, whose added
variance is 0.00001, and whose average pooling counts the zeros around a map. ``bn_inception_sep`` starts with a
separable convolution ("separable convolution with depth multiplier 8 on the first convolutional layer"). Libraries call
``bn_inception`` Inception-v2 too, and so does the alias ``inception_v2``: Inception-v2 of arXiv:1512.00567, the step
before v3 (23.4 %), is another network, whose widths are not published.

**Deviations** (tests/networks/test_bn_inception.py):

- ``bn_inception`` and ``bn_inception_p128`` start with a full 7x7 convolution, as re-implementations do; the paper's is
  separable, as in ``bn_inception_sep``.
- Section 4.2 prints 13.6 million parameters, which figure 5's widths do not give with either reading of 4c and 4d.
- There is neither dropout nor local response normalisation. The paper took both away with BN-x5 (section 4.2.1); its
  BN-Baseline (72.7 %) still had them, so that this result is not of exactly this network.
- The mean is taken after the 1x1 projection, which gives the same numbers at a fraction of the maps. Where projections
  have biases and zeros count it would not, and stands before it.
- The paper does not give initial weights. Convolutions start by He's rule, the released code's default; its other
  numbers for some 1x1 convolutions are left out, since normalisation takes the scale away. ``fc`` starts from 0.01.
- Where a map has an odd side, the pooling of 3c and 4e starts one pixel before it, so that it is as large as the
  convolutions beside it (TensorFlow's rule); Caffe's rule, the same for even sides, has no answer there.
- Moving statistics take a tenth of every batch; the paper computes them over the training set after training.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.averaging import AveragingNetwork
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.inception import (
    EPSILON,
    Branches,
    Scaling,
    averaged_projection,
    check_width_and_dropout,
    scaling,
)
from pixelwise.layers.initialisation import he_normal_, normal_
from pixelwise.layers.sizes import smallest_side
from pixelwise.specs import Facts, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="Batch normalization: accelerating deep network training by reducing internal covariate shift",
    authors="S. Ioffe, C. Szegedy",
    year=2015,
    venue="ICML 2015",
    link="arXiv:1502.03167",
)


class Row(NamedTuple):
    """An inception module's columns of figure 5: numbers of maps. A module without 1x1 convolutions has stride 2."""

    name: str
    maps_1x1: int
    reduce_3x3: int
    maps_3x3: int
    reduce_double: int
    maps_double: int
    pool: Literal["average", "maximum", "pass"]
    projection: int


TABLE: Final = (
    Row("3a", 64, 64, 64, 64, 96, "average", 32),
    Row("3b", 64, 64, 96, 64, 96, "average", 64),
    Row("3c", 0, 128, 160, 64, 96, "pass", 0),
    Row("4a", 224, 64, 96, 96, 128, "average", 128),
    Row("4b", 192, 96, 128, 96, 128, "average", 128),
    Row("4c", 160, 128, 160, 128, 160, "average", 128),
    Row("4d", 96, 128, 192, 160, 192, "average", 128),
    Row("4e", 0, 128, 192, 192, 256, "pass", 0),
    Row("5a", 352, 192, 320, 160, 224, "average", 128),
    Row("5b", 352, 192, 320, 192, 224, "maximum", 128),
)
"""As printed; :attr:`BNInceptionSpec.projection_4cd` corrects 4c and 4d."""


@dataclass(frozen=True, kw_only=True)
class BNInceptionSpec(Spec):
    """A stem, ten inception modules on three scales, the mean, and a full connection."""

    family: ClassVar[str] = "bn_inception"
    task: ClassVar[NetworkKind] = "classification"

    projection_4cd: Literal[96, 128] = 96
    """Maps that 4c and 4d project their pooling to: 96, which fits the printed outputs, or 128 as printed."""
    form: Literal["released", "caffe"] = "released"
    """``caffe``: convolutions with biases, 0.00001 added to the variance, zeros around a map count in its means."""
    stem: Literal["full", "separable"] = "full"
    """The first convolution: 7x7 over all channels, or 7x7 over each with 8 maps, then 1x1."""
    width: float = 1.0
    """Factor of every number of maps, of which 16 stay at least."""

    def __post_init__(self) -> None:
        check_width_and_dropout(self.name, self.width, 0.0)

    def build(self, in_channels: int, num_classes: int) -> "BNInception":
        """Make the network; any number of channels and classes is possible."""
        return BNInception(self, in_channels, num_classes)


class HalvingPool(nn.MaxPool2d):
    """Maximum of 3x3 pixels with stride 2, of half the height and width, rounded up."""

    def __init__(self) -> None:
        super().__init__(3, stride=2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, ceil(H / 2), ceil(W / 2))."""
        top, left = x.shape[-2] % 2, x.shape[-1] % 2
        return super().forward(F.pad(x, (left, 0, top, 0), value=-float("inf")) if top or left else x)


class Module(Branches):
    """Figure 5: 1x1, 3x3 and double 3x3 convolutions and pooling over the same maps, one behind the other.

    Args:
        in_channels: maps of the input.
        row: the module's columns.
        form: as in the spec.
        scale: from the table's numbers of maps to this network's.

    """

    def __init__(self, in_channels: int, row: Row, form: Literal["released", "caffe"], scale: Scaling) -> None:
        stride = 1 if row.maps_1x1 else 2

        def branch(*sizes: tuple[int, int]) -> nn.Sequential:
            """Chain convolutions of (maps, side), the last with the module's stride."""
            channels, units = in_channels, []
            for index, (maps, side) in enumerate(sizes):
                is_last = index == len(sizes) - 1
                units.append(convolution(channels, scale(maps), side, form, stride=stride if is_last else 1))
                channels = scale(maps)
            return nn.Sequential(*units)

        branches: list[tuple[str, nn.Module]] = [
            ("3x3", branch((row.reduce_3x3, 1), (row.maps_3x3, 3))),
            ("double_3x3", branch((row.reduce_double, 1), (row.maps_double, 3), (row.maps_double, 3))),
        ]
        self.out_channels = scale(row.maps_3x3) + scale(row.maps_double)
        if row.pool == "pass":
            branches.append(("pool", HalvingPool()))
            self.out_channels += in_channels
        else:
            branches.insert(0, ("1x1", branch((row.maps_1x1, 1))))
            self.out_channels += scale(row.maps_1x1) + scale(row.projection)
            if row.pool == "average" and form == "released":
                pool = averaged_projection(in_channels, scale(row.projection), count_padding=False)
            else:
                kind = nn.AvgPool2d if row.pool == "average" else nn.MaxPool2d
                pool = nn.Sequential(kind(3, stride=1, padding=1), *branch((row.projection, 1)))
            branches.append(("pool", pool))
        super().__init__(*branches)


def convolution(
    in_channels: int, maps: int, side: int, form: Literal["released", "caffe"], *, stride: int = 1
) -> ConvNormAct:
    """Make a convolution that keeps the size, up to its stride, with batch normalisation and ReLU."""
    return ConvNormAct(
        in_channels,
        maps,
        side,
        stride=stride,
        padding=side // 2,
        bias=form == "caffe",
        epsilon=1e-5 if form == "caffe" else EPSILON,
    )


class BNInception(AveragingNetwork):
    """Conv1, pool1, conv2_reduce, conv2, pool2, inception_3a, ..., inception_5b, gap, fc."""

    spec: BNInceptionSpec

    def __init__(self, spec: BNInceptionSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        scale = scaling(spec.width)
        if spec.stem == "separable":
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            maps = 8 * in_channels
            parts["depthwise"] = nn.Conv2d(in_channels, maps, 7, 2, 3, groups=in_channels, bias=False)
            parts["pointwise"] = convolution(maps, scale(64), 1, spec.form)
            self.conv1 = nn.Sequential(parts)
        else:
            self.conv1 = convolution(in_channels, scale(64), 7, spec.form, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2_reduce = convolution(scale(64), scale(64), 1, spec.form)
        self.conv2 = convolution(scale(64), scale(192), 3, spec.form)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        channels, ends = scale(192), dict[str, int]()
        for printed in TABLE:
            is_misprint = printed.name in ("4c", "4d")
            row = printed._replace(projection=spec.projection_4cd) if is_misprint else printed
            module = Module(channels, row, spec.form, scale)
            self.add_module(f"inception_{row.name}", module)
            channels = ends[row.name] = module.out_channels
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self.stages = (
            Stage(channels=scale(64), stride=2, module="conv1"),
            Stage(channels=scale(192), stride=4, module="conv2"),
            *(
                Stage(channels=ends[name], stride=stride, module=f"inception_{name}")
                for name, stride in (("3b", 8), ("4d", 16), ("5b", 32))
            ),
        )
        he_normal_(self)
        normal_(self.fc, 0.01)

    def check_size(self, *size: int) -> None:
        """Refuse images of which the pooling of the stem leaves nothing."""
        height, width = size
        least = smallest_side([(1, 2), (2, 2), (2, 2)])
        if min(height, width) < least:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {least} x {least}",
                do="Enlarge the images",
            )


def _imagenet(metric: str, value: float, protocol: str, source: str = "paper", images: str = "val") -> Published:
    dataset = f"ILSVRC-2012 {images}"
    return Published(dataset=dataset, metric=metric, value=value, protocol=protocol, source=source)


def _facts(table: str, params: int, macs: int, published: tuple[Published, ...] = (), paper_params: str = "") -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(3, 224, 224),
        num_classes=1000,
        params=params,
        macs=macs,
        paper_params=paper_params,
        published=published,
    )


_PAPER = (
    _imagenet("top-1 accuracy %", 74.8, "BN-x30, 1 crop"),
    _imagenet("top-1 accuracy %", 73.0, "BN-x5, 1 crop"),
    _imagenet("top-1 accuracy %", 72.7, "BN-Baseline, with dropout and response normalisation, 1 crop"),
    _imagenet("top-1 error %", 25.2, "1 crop", "arXiv:1512.00567"),
    _imagenet("top-5 error %", 7.8, "1 crop", "arXiv:1512.00567"),
    _imagenet("top-5 error %", 4.9, "6 networks, multi-crop"),
    _imagenet("top-5 error %", 4.82, "6 networks, multi-crop", images="test"),
)
_PRINTED = "13.6 million"

ALIASES = {"inception_v2": "bn_inception"}

SPECS: tuple[BNInceptionSpec, ...] = (
    BNInceptionSpec(
        name="bn_inception",
        facts=_facts(
            "figure 5, 4c and 4d corrected to the printed outputs", 11_194_984, 2_018_851_840, _PAPER, _PRINTED
        ),
    ),
    BNInceptionSpec(
        name="bn_inception_p128",
        projection_4cd=128,
        form="caffe",
        facts=_facts(
            "variant: figure 5 with the printed 4c and 4d, in the form of the weights ported from Caffe",
            11_295_240,
            2_032_600_064,
        ),
    ),
    BNInceptionSpec(
        name="bn_inception_sep",
        stem="separable",
        facts=_facts("figure 5, with the separable first convolution", 11_188_288, 1_934_857_216, _PAPER, _PRINTED),
    ),
)

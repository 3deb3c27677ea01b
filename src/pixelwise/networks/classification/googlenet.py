"""GoogLeNet, the first inception network.

Paper: Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich, "Going deeper with convolutions",
CVPR 2015, arXiv:1409.4842: table 1 (columns below), figures 2 (modules) and 3 (order of layers), section 5 (auxiliary
classifiers), section 6 and 7 (training, testing, results).

============ ======= ==== ========== ==== ========== ==== =========
row          output  1x1  3x3 reduce 3x3  5x5 reduce 5x5  pool proj
============ ======= ==== ========== ==== ========== ==== =========
conv1        112x112 7x7, 64, stride 2
pool1, norm1 56x56   3x3 maximum, stride 2; response normalisation
conv2        56x56   1x1, 64 (``conv2_reduce``); 3x3, 192
norm2, pool2 28x28   response normalisation; 3x3 maximum, stride 2
inception 3a 28x28   64   96         128  16         32   32
inception 3b 28x28   128  128        192  32         96   64
pool3        14x14   3x3 maximum, stride 2
inception 4a 14x14   192  96         208  16         48   64
aux1                 auxiliary classifier on 4a, in training only
inception 4b 14x14   160  112        224  24         64   64
inception 4c 14x14   128  128        256  24         64   64
inception 4d 14x14   112  144        288  32         64   64
aux2                 auxiliary classifier on 4d, in training only
inception 4e 14x14   256  160        320  32         128  128
pool4        7x7     3x3 maximum, stride 2
inception 5a 7x7     256  160        320  32         128  128
inception 5b 7x7     384  192        384  48         128  128
gap, fc      1x1     mean over the map, dropout of 40 %, full connection
============ ======= ==== ========== ==== ========== ==== =========

ReLU after every convolution. Pooling windows that stick out at the bottom and right count; so come the table's sizes.

Names: ``googlenet_paper`` is this network, and ``googlenet_paper_aux`` has its auxiliary classifiers besides.
``googlenet`` is torchvision's form, whose weights are published: 3x3 instead of 5x5, batch normalisation after every
convolution (added variance 0.001, no biases) instead of response normalisation, 2x2 pixels in ``pool4``, 20 % dropout,
means of a 4x4 grid in the auxiliary classifiers.

The paper expects gradients of the auxiliary classifiers in low layers, and regularisation; the paper of Inception-v3
finds only the latter, and no harm in leaving out the lower of the two (arXiv:1512.00567, section 4).

**Deviations** (tests/networks/test_googlenet.py):

- Table 1 prints 2.7K weights for ``conv1``, which fits a separable convolution; the table says 7x7, and so do all
  public networks. Its other counts of weights do not follow from its widths either (4c, 5a, 5b); the widths are kept.
- The paper gives neither initial weights nor the constants of response normalisation. Those of Caffe's GoogLeNet are
  taken: "xavier" weights with biases of 0.2 (0 before a softmax); alpha = 0.0001 / 5, beta = 0.75, k = 1. The form of
  torchvision starts from a normal distribution of deviation 0.01, cut at two deviations.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import Normalisation
from pixelwise.layers.dense import slide_linear
from pixelwise.layers.inception import Conv, check_width_and_dropout, scaling
from pixelwise.layers.initialisation import caffe_xavier_, truncated_normal_
from pixelwise.layers.lrn import LocalResponseNorm
from pixelwise.layers.sizes import smallest_side
from pixelwise.layers.trunk import last_map, run_trunk
from pixelwise.networks.classification.googlenet_blocks import (
    AuxiliaryHead,
    AuxiliaryPool,
    Inception,
    ModuleForm,
    Row,
)
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="Going deeper with convolutions",
    authors="C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke, A. Rabinovich",
    year=2014,
    venue="CVPR 2015",
    link="arXiv:1409.4842",
)

TABLE: Final = (
    Row("3a", 64, 96, 128, 16, 32, 32),
    Row("3b", 128, 128, 192, 32, 96, 64),
    Row("4a", 192, 96, 208, 16, 48, 64),
    Row("4b", 160, 112, 224, 24, 64, 64),
    Row("4c", 128, 128, 256, 24, 64, 64),
    Row("4d", 112, 144, 288, 32, 64, 64),
    Row("4e", 256, 160, 320, 32, 128, 128),
    Row("5a", 256, 160, 320, 32, 128, 128),
    Row("5b", 384, 192, 384, 48, 128, 128),
)
AUXILIARY_AFTER: Final = {"4a": "aux1", "4d": "aux2"}
AUXILIARY_SIZES: Final = (223, 270)
"""Smallest and largest side of images whose maps in 4a and 4d strided auxiliary pooling brings to 4x4."""


@dataclass(frozen=True, kw_only=True)
class GoogLeNetSpec(Spec):
    """A stem, nine inception modules on three scales, the mean, and a full connection."""

    family: ClassVar[str] = "googlenet"
    task: ClassVar[NetworkKind] = "classification"

    module: ModuleForm = "reduced"
    """Figure 2 (b), with 1x1 convolutions before the larger ones and after pooling; or ``naive``, (a), without."""
    largest_kernel: Literal[3, 5] = 5
    """Side of the convolution in the column "5x5"."""
    normalisation: Normalisation = "none"
    """Of every convolution, which then has no bias."""
    response_norm: bool = True
    """Whether ``norm1`` and ``norm2`` are there."""
    last_pool: Literal[2, 3] = 3
    """Side of the window of ``pool4``."""
    dropout: float = 0.4
    """Probability with which an input of the full connection is left out in training."""
    auxiliary: bool = False
    """Whether there are auxiliary classifiers, which only training uses."""
    auxiliary_pool: AuxiliaryPool = "strided"
    """5x5 with stride 3, for images of about 224 pixels; or ``adaptive``, a grid of 4x4, for all sizes."""
    width: float = 1.0
    """Factor of every number of maps, of which 16 stay at least."""

    def __post_init__(self) -> None:
        check_width_and_dropout(self.name, self.width, self.dropout)

    def build(self, in_channels: int, num_classes: int) -> "GoogLeNet":
        """Make the network; any number of channels and classes is possible."""
        return GoogLeNet(self, in_channels, num_classes)


class GoogLeNet(Network):
    """Conv1, pool1, norm1, ..., inception_3a, ..., inception_5b, gap, dropout, fc; aux1 and aux2 after 4a and 4d."""

    spec: GoogLeNetSpec
    auxiliary_heads: ClassVar[tuple[str, ...]] = ("aux1", "aux2")

    def __init__(self, spec: GoogLeNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        scale, norm = scaling(spec.width), spec.normalisation
        self.conv1 = Conv(scale(64), 7, stride=2).build(in_channels, norm)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if spec.response_norm:
            self.norm1 = LocalResponseNorm(convention="caffe")
        self.conv2_reduce = Conv(scale(64), 1).build(scale(64), norm)
        self.conv2 = Conv(scale(192), 3).build(scale(64), norm)
        if spec.response_norm:
            self.norm2 = LocalResponseNorm(convention="caffe")
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        channels, ends = scale(192), dict[str, int]()
        for row in TABLE:
            if row.name in ("4a", "5a"):
                number, side = (3, 3) if row.name == "4a" else (4, spec.last_pool)
                self.add_module(f"pool{number}", nn.MaxPool2d(side, stride=2, ceil_mode=True))
            module = Inception(
                channels, row, form=spec.module, largest=spec.largest_kernel, normalisation=norm, scale=scale
            )
            self.add_module(f"inception_{row.name}", module)
            channels = ends[row.name] = module.out_channels
            if spec.auxiliary and row.name in AUXILIARY_AFTER:
                head = AuxiliaryHead(channels, num_classes, pool=spec.auxiliary_pool, normalisation=norm, scale=scale)
                self.add_module(AUXILIARY_AFTER[row.name], head)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(spec.dropout)
        self.fc = nn.Linear(channels, num_classes)
        self.stages = (
            Stage(channels=scale(64), stride=2, module="conv1"),
            Stage(channels=scale(192), stride=4, module="conv2"),
            *(
                Stage(channels=ends[name], stride=stride, module=f"inception_{name}")
                for name, stride in (("3b", 8), ("4e", 16), ("5b", 32))
            ),
        )
        self._initialise()

    def _initialise(self) -> None:
        if self.spec.normalisation == "batch":
            truncated_normal_(self, 0.01)
            return
        caffe_xavier_(self, bias=0.2)
        for name in self.heads:
            caffe_xavier_(self.get_submodule(name))

    @property
    def heads(self) -> tuple[str, ...]:
        """``fc``, after the last layers of auxiliary classifiers where there are these."""
        return ("aux1.fc2", "aux2.fc2", "fc") if self.spec.auxiliary else ("fc",)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the last maps of every size; for 224x224, (N, 64, 112, 112) to (N, 1024, 7, 7)."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        return self._classify(last_map(self, x))

    def training_logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the head, then those of the auxiliary classifiers where there are these."""
        self.check_input(x)
        answers = []
        *rows, _, _, _ = self.named_children()  # gap, dropout, fc
        for name, child in rows:
            if name in self.auxiliary_heads:
                answers.append(child(x))  # (N, num_classes), of the module before
            else:
                x = child(x)
        return self._classify(x), *answers

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, h, w) at every place of the last map; their mean is :meth:`forward`."""
        return slide_linear(self.fc, last_map(self, x))

    def _classify(self, x: Tensor) -> Tensor:
        x = self.gap(x)  # (N, 1024, 1, 1)
        return self.fc(self.dropout(torch.flatten(x, 1)))

    def check_size(self, *size: int) -> None:
        """Refuse images of which pooling leaves nothing; in training those that auxiliary classifiers cannot take."""
        height, width = size
        # Rounding up, a window of k pixels with stride 2 needs k - 1 for its first place; conv1 is padded and needs 1.
        least = smallest_side([(1, 2), (2, 2), (2, 2), (2, 2), (self.spec.last_pool - 1, 2)])
        expected, do = f"at least {least} x {least}", "Enlarge the images"
        is_legal = min(height, width) >= least
        if self.training and self.spec.auxiliary and self.spec.auxiliary_pool == "strided":
            least, most = AUXILIARY_SIZES
            expected = f"{least} to {most} pixels where auxiliary classifiers are trained"
            do = "Resize the images, or set auxiliary_pool=adaptive"
            is_legal = least <= min(height, width) and max(height, width) <= most
        if not is_legal:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels", expected=expected, do=do
            )


def _imagenet(metric: str, value: float, protocol: str, source: str = "paper", images: str = "2012 val") -> Published:
    return Published(dataset=f"ILSVRC-{images}", metric=metric, value=value, protocol=protocol, source=source)


def _facts(table: str, params: int, macs: int, published: tuple[Published, ...]) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(3, 224, 224),
        num_classes=1000,
        params=params,
        macs=macs,
        published=published,
    )


_PAPER = (
    _imagenet("top-5 error %", 10.07, "1 crop"),
    _imagenet("top-5 error %", 9.15, "10-crop"),
    _imagenet("top-5 error %", 7.89, "144-crop"),
    _imagenet("top-5 error %", 8.09, "7 models, 1 crop"),
    _imagenet("top-5 error %", 7.62, "7 models, 10-crop"),
    _imagenet("top-5 error %", 6.67, "7 models, 144-crop"),
    _imagenet("top-5 error %", 6.67, "7 models, 144-crop", images="2014 test"),
    _imagenet("top-1 accuracy %", 68.7, "trained anew, centre crop", "BVLC/caffe"),
    _imagenet("top-5 accuracy %", 88.9, "trained anew, centre crop", "BVLC/caffe"),
)
_TORCHVISION = ("weights IMAGENET1K_V1, centre crop", "torchvision 0.28.0")

ALIASES = {"googlenet_tv": "googlenet", "inception_v1": "googlenet"}

SPECS: tuple[GoogLeNetSpec, ...] = (
    GoogLeNetSpec(
        name="googlenet",
        largest_kernel=3,
        normalisation="batch",
        response_norm=False,
        last_pool=2,
        dropout=0.2,
        auxiliary_pool="adaptive",
        facts=_facts(
            "variant: torchvision's form, with batch normalisation and 3x3 instead of 5x5 convolutions",
            6_624_904,
            1_498_376_192,
            (
                _imagenet("top-1 accuracy %", 69.778, *_TORCHVISION),
                _imagenet("top-5 accuracy %", 89.53, *_TORCHVISION),
            ),
        ),
    ),
    GoogLeNetSpec(name="googlenet_paper", facts=_facts("table 1", 6_998_552, 1_582_671_872, _PAPER)),
    GoogLeNetSpec(
        name="googlenet_paper_aux",
        auxiliary=True,
        facts=_facts("table 1, section 5 (auxiliary classifiers)", 13_378_280, 1_582_671_872, _PAPER),
    ),
)

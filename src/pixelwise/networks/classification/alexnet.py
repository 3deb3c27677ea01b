"""AlexNet: two towers of convolutions on two GPUs, and the forms with one column and with batch normalisation.

Paper: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012:
section 3.5 and figure 2. One column: Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
2014, arXiv:1404.5997, which prints its widths in a footnote.

===== ======= ============================ ==================== ================ ==================
row   output  alexnet_2012                 alexnet_nogroups     alexnet_owt      alexnet, bn_alexnet
===== ======= ============================ ==================== ================ ==================
conv1 55x55   11x11, stride 4, 96          96                   64               64
norm1         local response normalisation as alexnet_2012
pool1 27x27   3x3 maximum, stride 2
conv2 27x27   5x5, 256 in two groups       256                  192              192
norm2         local response normalisation as alexnet_2012
pool2 13x13   3x3 maximum, stride 2
conv3 13x13   3x3, 384                     384                  384              384
conv4 13x13   3x3, 384 in two groups       384                  384              256
conv5 13x13   3x3, 256 in two groups       256                  256              256
pool5 6x6     3x3 maximum, stride 2
fc6           full connection, 4096
fc7           full connection, 4096
fc8           full connection, 1000
===== ======= ============================ ==================== ================ ==================

ReLU after every row with weights but the last; dropout of one half after fc6 and fc7. The groups are the paper's two
towers: each GPU held half of the maps, and they spoke to each other in conv3 and in the full connections only.

The paper's own order of what mattered: ReLU, with which a network learned six times as fast as with tanh (section 3.1,
``activation``); two GPUs (3.2, ``groups``), 1.7 % top-1; response normalisation (3.3, ``local_response``), 1.4 %;
overlapping pooling (3.4, ``pooling``), 0.4 %. Against overfitting of 60 million weights: crops, mirror images and
colours shifted along their principal components (4.1), and dropout (4.2), beside weight decay of 0.0005 and not instead
of it.

Names: ``alexnet`` is torchvision's network. ``bn_alexnet`` has no paper: it is soumith's ``alexnetowtbn`` for Torch,
with batch normalisation before every ReLU and the convolutions' biases kept; ``bn_alexnet_2012`` does the same to the
two towers, in place of local response normalisation.

**Deviations** (tests/networks/test_alexnet.py):

- The paper says 224 x 224, which its unpadded 11x11 windows cannot turn into its 55 x 55: ``alexnet_2012`` takes
  227 x 227, as Caffe does; ``padding=2`` gives 55 from 224, as in the other rows.
- The paper prints local response normalisation with alpha on the sum of squares; the author's code divides it by n.
  ``local_response`` says which; the rows have the author's.
- Pictures of other sizes than the paper's: the last maps are averaged to 6x6, as in torchvision.
- ``alexnet_owt`` has no response normalisation, though the author's configuration has it, and starts from the weights
  of 2012, where that configuration has 0.03 in conv3 to conv5 and, for logistic units, biases of -7 in fc8.
- ``alexnet`` and ``bn_alexnet`` have dropout before fc6 and fc7 and PyTorch's initial weights, as their sources do.
- The paper's initial weights, N(0, 0.01), met pixel values from 0 to 255 less their mean; here they meet standardised
  values, so the first maps start out smaller. Where biases of 1 do not train, ``hidden_bias=0.1`` is Caffe's remedy.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import ClassVar, Literal

from torch import nn

from pixelwise.errors import SpecError
from pixelwise.layers.activation import activation
from pixelwise.layers.convolution import Normalisation
from pixelwise.layers.full_connections import DropoutPlace, FlatteningNetwork, FullConnection
from pixelwise.layers.initialisation import normal_
from pixelwise.layers.lrn import LocalResponseNorm
from pixelwise.layers.sizes import smallest_side
from pixelwise.specs import Facts, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="ImageNet classification with deep convolutional neural networks",
    authors="A. Krizhevsky, I. Sutskever, G. E. Hinton",
    year=2012,
    venue="NIPS 2012",
    link="https://papers.nips.cc/paper/4824",
)
ONE_COLUMN = Paper(
    title="One weird trick for parallelizing convolutional neural networks",
    authors="A. Krizhevsky",
    year=2014,
    venue="arXiv",
    link="arXiv:1404.5997",
)

KERNELS, STRIDES, PADDINGS = (11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (0, 2, 1, 1, 1)
POOLED, NORMALISED, BIASED = (1, 2, 5), (1, 2), (2, 4, 5)
"""Numbers of the convolutions that are followed by pooling, by local response normalisation; that start with biases."""
WINDOW = 6
"""Height and width of the maps that fc6 takes."""
STD = 0.01
"""Of the initial weights (section 5)."""
EPSILON = 1e-3
"""Added to the variance in batch normalisation (``alexnetowtbn.lua``)."""


@dataclass(frozen=True, kw_only=True)
class AlexNetSpec(Spec):
    """Five convolutions and three full connections. One entry of each tuple for each convolution."""

    family: ClassVar[str] = "alexnet"
    task: ClassVar[NetworkKind] = "classification"

    widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    groups: tuple[int, int, int, int, int] = (1, 2, 1, 2, 2)
    """Towers whose maps do not see each other."""
    hidden: tuple[int, int] = (4096, 4096)
    """Units of fc6 and fc7."""
    padding: int = 0
    """Zeros around the picture: 0 for 227 x 227 pixels, 2 for 224 x 224."""
    pooling: Literal["overlapping", "apart"] = "overlapping"
    """Windows of 3x3 or of 2x2 pixels, with stride 2 (section 3.4)."""
    activation: Literal["relu", "tanh"] = "relu"
    """The paper's, or what was usual before it (section 3.1)."""
    local_response: Literal["none", "author", "paper", "caffe"] = "author"
    """What alpha means in local response normalisation, see ``pixelwise.layers.lrn``; none: there is none."""
    normalisation: Normalisation = "none"
    """Batch normalisation before every activation."""
    dropout: float = 0.5
    """Share of values set to zero in training, for fc6 and fc7 each."""
    dropout_place: DropoutPlace = "after"
    """Whether fc6 and fc7 lose values of their input, or of their output."""
    initialisation: Literal["normal", "uniform"] = "normal"
    """The paper's N(0, 0.01) with ``hidden_bias``, or PyTorch's +-1/sqrt(fan_in)."""
    hidden_bias: float = 1.0
    """Where biases of conv2, conv4, conv5, fc6 and fc7 start, so that their ReLUs do (section 5)."""

    def __post_init__(self) -> None:
        if min(*self.widths, *self.groups, *self.hidden) < 1 or self.padding < 0 or not 0 <= self.dropout < 1:
            raise SpecError(
                f"{self.name}: widths={self.widths}, groups={self.groups}, hidden={self.hidden}, "
                f"padding={self.padding}, dropout={self.dropout}",
                expected="positive numbers, a padding of 0 or more, a dropout from 0 up to, but not 1",
                do="Correct them",
            )
        if not isfinite(self.hidden_bias):
            raise SpecError(f"{self.name}: hidden_bias={self.hidden_bias}", expected="a finite number", do="Correct it")
        inputs = (1, *self.widths)
        for number, (before, width, groups) in enumerate(zip(inputs, self.widths, self.groups, strict=False), start=1):
            if before % groups or width % groups:
                raise SpecError(
                    f"{self.name}: {groups} groups in conv{number}, widths={self.widths}",
                    expected="groups that divide the maps before and after them; one in conv1",
                    do="Change groups or widths",
                )

    def build(self, in_channels: int, num_classes: int) -> "AlexNet":
        """Make the network; any number of channels and classes is possible."""
        return AlexNet(self, in_channels, num_classes)


class AlexNet(FlatteningNetwork):
    """Figure 2: conv1, norm1, pool1, ..., pool5, avgpool (the identity at the paper's size), fc6, fc7, fc8."""

    spec: AlexNetSpec

    def __init__(self, spec: AlexNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        self._pool = 3 if spec.pooling == "overlapping" else 2
        channels = in_channels
        for number in range(1, 6):
            self.add_module(f"conv{number}", self._convolution(channels, number))
            channels = spec.widths[number - 1]
            if number in NORMALISED and spec.local_response != "none":
                self.add_module(f"norm{number}", LocalResponseNorm(convention=spec.local_response))
            if number in POOLED:
                self.add_module(f"pool{number}", nn.MaxPool2d(self._pool, stride=2))
        layer = partial(
            FullConnection,
            dropout=spec.dropout,
            dropout_place=spec.dropout_place,
            normalisation=spec.normalisation,
            epsilon=EPSILON,
            activation_name=spec.activation,
        )
        self.add_full_connections(channels, WINDOW, spec.hidden, layer)
        self.stages = tuple(
            Stage(channels=spec.widths[number - 1], stride=stride, module=module)
            for number, stride, module in ((1, 4, "conv1"), (2, 8, "conv2"), (5, 16, "conv5"), (5, 32, "pool5"))
        )
        if spec.initialisation == "normal":
            self._initialise()

    def _convolution(self, channels: int, number: int) -> nn.Sequential:
        spec, index = self.spec, number - 1
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv"] = nn.Conv2d(
            channels,
            spec.widths[index],
            KERNELS[index],
            stride=STRIDES[index],
            padding=PADDINGS[index] if index else spec.padding,
            groups=spec.groups[index],
        )
        if spec.normalisation == "batch":
            parts["norm"] = nn.BatchNorm2d(spec.widths[index], eps=EPSILON)
        parts["act"] = activation(spec.activation)
        return nn.Sequential(parts)

    def _initialise(self) -> None:
        """Section 5: N(0, 0.01), biases of one where they help ReLUs to begin, of zero elsewhere."""
        normal_(self, STD)
        for name in (*(f"conv{number}.conv" for number in BIASED), "fc6.linear", "fc7.linear"):
            nn.init.constant_(self.get_parameter(f"{name}.bias"), self.spec.hidden_bias)

    def side_for(self, places: int) -> int:
        """Undo pool5, pool2, pool1 and conv1; the other convolutions keep the size."""
        pool = (self._pool, 2)
        return smallest_side([(KERNELS[0], STRIDES[0]), pool, pool, pool], places) - 2 * self.spec.padding


def _imagenet(metric: str, value: float, protocol: str, source: str = "paper", dataset: str = "2012 val") -> Published:
    return Published(dataset=f"ILSVRC-{dataset}", metric=metric, value=value, protocol=protocol, source=source)


def _errors(top1: float, top5: float, protocol: str, dataset: str = "2012 val") -> tuple[Published, ...]:
    return (
        _imagenet("top-1 error %", top1, protocol, dataset=dataset),
        _imagenet("top-5 error %", top5, protocol, dataset=dataset),
    )


def _accuracies(top1: float, top5: float, protocol: str, source: str) -> tuple[Published, ...]:
    return _imagenet("top-1 accuracy %", top1, protocol, source), _imagenet("top-5 accuracy %", top5, protocol, source)


def _facts(
    table: str,
    params: int,
    macs: int,
    *published: Published,
    paper: Paper = PAPER,
    side: int = 224,
    paper_params: str = "",
) -> Facts:
    return Facts(
        paper=paper,
        table=table,
        input_size=(3, side, side),
        num_classes=1000,
        params=params,
        macs=macs,
        paper_params=paper_params,
        published=published,
    )


_WITH_2011 = "1 network with six convolutions, first trained on ImageNet 2011"
_ONE = (1, 1, 1, 1, 1)
_TORCHVISION = (64, 192, 384, 256, 256)

SPECS: tuple[AlexNetSpec, ...] = (
    AlexNetSpec(
        name="alexnet_2012",
        facts=_facts(
            "figure 2, section 3.5",
            60_965_224,
            724_406_816,
            *_errors(40.7, 18.2, "10-crop"),
            *_errors(37.5, 17.0, "10-crop", "2010 test"),
            *_errors(38.1, 16.4, "5 networks, 10-crop"),
            *_errors(39.0, 16.6, _WITH_2011),
            *_errors(36.7, 15.4, "7 networks, two of them first trained on ImageNet 2011"),
            _imagenet("top-5 error %", 16.4, "5 networks", dataset="2012 test"),
            _imagenet("top-5 error %", 15.3, "7 networks", dataset="2012 test"),
            *_accuracies(57.1, 80.2, "trained again by BVLC, centre crop", "BVLC/caffe"),
            side=227,
            paper_params="60 million",
        ),
    ),
    AlexNetSpec(
        name="alexnet_nogroups",
        groups=_ONE,
        padding=2,
        facts=_facts("variant: both towers as one", 62_378_344, 1_135_256_096),
    ),
    AlexNetSpec(
        name="bn_alexnet_2012",
        local_response="none",
        normalisation="batch",
        facts=_facts(
            "variant: two towers with batch normalisation before every ReLU instead of local response normalisation",
            60_984_360,
            724_406_816,
            side=227,
        ),
    ),
    AlexNetSpec(
        name="alexnet_owt",
        widths=(64, 192, 384, 384, 256),
        groups=_ONE,
        padding=2,
        local_response="none",
        facts=_facts(
            "section 5, footnote",
            61_838_248,
            838_788_800,
            _imagenet("top-1 error %", 42.33, "batches of 128, one GPU"),
            paper=ONE_COLUMN,
        ),
    ),
    AlexNetSpec(
        name="alexnet",
        widths=_TORCHVISION,
        groups=_ONE,
        padding=2,
        local_response="none",
        dropout_place="before",
        initialisation="uniform",
        facts=_facts(
            "variant: torchvision's form, with 256 maps in conv4",
            61_100_840,
            714_188_480,
            *_accuracies(56.522, 79.066, "weights IMAGENET1K_V1, centre crop", "torchvision 0.28.0"),
            paper=ONE_COLUMN,
        ),
    ),
    AlexNetSpec(
        name="bn_alexnet",
        widths=_TORCHVISION,
        groups=_ONE,
        padding=2,
        local_response="none",
        normalisation="batch",
        dropout_place="before",
        initialisation="uniform",
        facts=_facts(
            "variant: soumith's alexnetowtbn, with batch normalisation before every ReLU",
            61_119_528,
            714_188_480,
            _imagenet("top-1 accuracy %", 56.6, "centre crop", "szagoruyko/imagenet-validation.torch"),
            paper=ONE_COLUMN,
        ),
    ),
)

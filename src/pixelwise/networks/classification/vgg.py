"""VGG: many 3x3 convolutions, in configurations of growing depth.

Paper: Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015,
arXiv:1409.1556: table 1.

====== ======= ===== ========== ===== ======== ===== =====
row    output  A     A-LRN      B     C        D     E
====== ======= ===== ========== ===== ======== ===== =====
block1 224x224 1     1, LRN     2     2        2     2
block2 112x112 1     1          2     2        2     2
block3 56x56   2     2          2     2 + 1x1  3     4
block4 28x28   2     2          2     2 + 1x1  3     4
block5 14x14   2     2          2     2 + 1x1  3     4
fc6    1x1     full connection, 4096
fc7    1x1     full connection, 4096
fc8    1x1     full connection, 1000
====== ======= ===== ========== ===== ======== ===== =====

Numbers of 3x3 convolutions, of 64, 128, 256, 512 and 512 maps, each with ReLU; padding keeps the size. After every
block pool1, ..., pool5: maximum over 2x2 pixels. ReLU and dropout of one half after fc6 and fc7.

Names: ``vgg11`` is A, ``vgg11_lrn`` A-LRN, ``vgg13`` B, ``vgg16c`` C, ``vgg16`` D, ``vgg19`` E. ``..._bn`` has batch
normalisation before every ReLU of the blocks, as torchvision has it; it is not in the paper. On the test images of
ILSVRC-2014, top-5: 7.3 % for the seven networks of the submission, 6.8 % for D and E together.

**Deviations** (tests/networks/test_vgg.py):

- The paper starts A from N(0, 0.1^2), and the deeper networks from A once it is trained (:meth:`VGG.start_from`). It
  adds that Glorot and Bengio's initial weights make this unnecessary: these are the default. The first, which give
  logits in the millions, are ``initialisation="normal"``.
- "The first four convolutional layers" of A do not have the shapes of the deeper networks' first four. The layers of
  the same name in the same block are taken: conv1_1, conv2_1, conv3_1, conv3_2.
- Pictures of other sizes than 224 x 224: the last maps are averaged to 7x7, as in torchvision; :meth:`VGG.dense_logits`
  is the paper's way.
- Local response normalisation has the parameters of AlexNet, as the paper says, in the sense of that author's code.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import ConvNormAct, Normalisation
from pixelwise.layers.full_connections import FlatteningNetwork, FullConnection
from pixelwise.layers.initialisation import glorot_uniform_, he_normal_, normal_
from pixelwise.layers.lrn import LocalResponseNorm
from pixelwise.specs import Facts, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="Very deep convolutional networks for large-scale image recognition",
    authors="K. Simonyan, A. Zisserman",
    year=2014,
    venue="ICLR 2015",
    link="arXiv:1409.1556",
)

WINDOW = 7
"""Height and width of the maps that fc6 takes."""
STD = 0.1
"""Of configuration A's initial weights (section 3.1: a variance of 0.01)."""
SHARED_WITH_A = ("block1.0", "block2.0", "block3.0", "block3.1", "fc6.linear", "fc7.linear", "fc8")
"""What a deeper network takes from a trained A."""


@dataclass(frozen=True, kw_only=True)
class VGGSpec(Spec):
    """Blocks of convolutions, each followed by pooling, and three full connections. One entry of each tuple a block."""

    family: ClassVar[str] = "vgg"
    task: ClassVar[NetworkKind] = "classification"

    depths: tuple[int, ...] = (2, 2, 3, 3, 3)
    """Convolutions of each block."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Maps of each block."""
    pointwise: tuple[bool, ...] = (False, False, False, False, False)
    """Whether the last convolution of the block is 1x1."""
    kernel: int = 3
    """Height and width of the other filters, odd; section 4.1 compares 5."""
    hidden: tuple[int, int] = (4096, 4096)
    """Units of fc6 and fc7."""
    local_response: Literal["none", "author", "paper", "caffe"] = "none"
    """What alpha means in the normalisation after the first convolution, see ``pixelwise.layers.lrn``; or none."""
    normalisation: Normalisation = "none"
    """Batch normalisation before every activation of the blocks."""
    dropout: float = 0.5
    """Share of values set to zero in training, after fc6 and fc7 each."""
    initialisation: Literal["glorot", "he", "normal"] = "glorot"
    """Glorot and Bengio's weights, He's, or N(0, 0.1^2); biases start at zero."""

    def __post_init__(self) -> None:
        columns = (self.depths, self.widths, self.pointwise)
        numbers = (*self.depths, *self.widths, *self.hidden)
        if not self.depths or len({len(column) for column in columns}) > 1 or min(numbers) < 1:
            raise SpecError(
                f"{self.name}: depths={self.depths}, widths={self.widths}, pointwise={self.pointwise}, "
                f"hidden={self.hidden}",
                expected="one entry a block, at least one block, all numbers positive",
                do="Correct them",
            )
        if self.kernel < 1 or self.kernel % 2 == 0 or not 0 <= self.dropout < 1:
            raise SpecError(
                f"{self.name}: kernel={self.kernel}, dropout={self.dropout}",
                expected="an odd kernel, so that padding can keep the size; a dropout from 0 up to, but not 1",
                do="Correct them",
            )

    def build(self, in_channels: int, num_classes: int) -> "VGG":
        """Make the network; any number of channels and classes is possible."""
        return VGG(self, in_channels, num_classes)


class VGG(FlatteningNetwork):
    """Table 1: block1, pool1, ..., block5, pool5, avgpool (the identity at the paper's size), fc6, fc7, fc8."""

    spec: VGGSpec

    def __init__(self, spec: VGGSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        channels, stages = in_channels, []
        for index, width in enumerate(spec.widths):
            number = index + 1
            self.add_module(f"block{number}", self._block(channels, index))
            self.add_module(f"pool{number}", nn.MaxPool2d(2))
            stages.append(Stage(channels=width, stride=2**index, module=f"block{number}"))
            channels = width
        last = Stage(channels=channels, stride=2 ** len(stages), module=f"pool{len(stages)}")
        self.stages = (*stages, last)
        self.add_full_connections(channels, WINDOW, spec.hidden, partial(FullConnection, dropout=spec.dropout))
        if spec.initialisation == "normal":
            normal_(self, STD)
        else:
            {"glorot": glorot_uniform_, "he": he_normal_}[spec.initialisation](self)

    def _block(self, channels: int, index: int) -> nn.Sequential:
        spec = self.spec
        layers: list[nn.Module] = []
        for place in range(spec.depths[index]):
            is_pointwise = spec.pointwise[index] and place == spec.depths[index] - 1
            kernel = 1 if is_pointwise else spec.kernel
            layers.append(
                ConvNormAct(
                    channels,
                    spec.widths[index],
                    kernel,
                    padding=kernel // 2,
                    bias=True,
                    normalisation=spec.normalisation,
                )
            )
            channels = spec.widths[index]
        if index == 0 and spec.local_response != "none":
            layers.insert(1, LocalResponseNorm(convention=spec.local_response))
        return nn.Sequential(*layers)

    def start_from(self, shallow: "VGG") -> None:
        """Take the layers that a deeper network shares with a trained configuration A (section 3.1).

        Args:
            shallow: a VGG of the same widths, channels and classes; its first four convolutions and three full
                connections are copied, batch normalisation with them where both have it.

        Raises:
            SpecError: the layers have other shapes.

        """
        own, theirs = self.state_dict(), shallow.state_dict()
        shared = [name for name in own if name.startswith(tuple(f"{module}." for module in SHARED_WITH_A))]
        for name in shared:
            if name not in theirs or own[name].shape != theirs[name].shape:
                came = tuple(theirs[name].shape) if name in theirs else "missing"
                raise SpecError(
                    f"{shallow.spec.name} as the start of {self.spec.name}: {name} is {came}",
                    expected=f"{tuple(own[name].shape)}",
                    do="Create both with the same channels, classes, widths and normalisation",
                )
        with torch.no_grad():
            for name in shared:
                own[name].copy_(theirs[name])

    def side_for(self, places: int) -> int:
        """Undo the poolings; convolutions keep the size."""
        return places * 2 ** len(self.spec.depths)


_DENSE = "dense, training and test scale 256"
_JITTERED = "dense, training scale 256 to 512, test scale 384"
_SCALES = "dense, training scale 256 to 512, test scales 256, 384 and 512"
_CROPS_ALONE = "multi-crop, training scale 256 to 512, three test scales"
_CROPS = "multi-crop and dense, training scale 256 to 512, three test scales"


def _imagenet(metric: str, value: float, protocol: str, source: str) -> Published:
    return Published(dataset="ILSVRC-2012 val", metric=metric, value=value, protocol=protocol, source=source)


def _errors(top1: float, top5: float, protocol: str = _DENSE) -> tuple[Published, ...]:
    return tuple(
        _imagenet(f"top-{k} error %", value, protocol, "paper, section 4") for k, value in ((1, top1), (5, top5))
    )


def _torchvision(top1: float, top5: float) -> tuple[Published, ...]:
    where = ("weights IMAGENET1K_V1, centre crop", "torchvision 0.28.0")
    return tuple(_imagenet(f"top-{k} accuracy %", value, *where) for k, value in ((1, top1), (5, top5)))


def _facts(
    table: str, params: int, macs: int, published: tuple[Published, ...] = (), *, paper_params: str = ""
) -> Facts:
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


_A, _B, _E = (1, 1, 2, 2, 2), (2, 2, 2, 2, 2), (2, 2, 4, 4, 4)
_C = (False, False, True, True, True)
_BN = "variant: torchvision's form with batch normalisation"
_OWN_BN = "variant: with batch normalisation, as torchvision's other configurations"

SPECS: tuple[VGGSpec, ...] = (
    VGGSpec(
        name="vgg11",
        depths=_A,
        facts=_facts(
            "table 1, A",
            132_863_336,
            7_609_090_048,
            (*_errors(29.6, 10.4), *_torchvision(69.02, 88.628)),
            paper_params="133 million",
        ),
    ),
    VGGSpec(
        name="vgg11_bn",
        depths=_A,
        normalisation="batch",
        facts=_facts(f"{_BN}, A", 132_868_840, 7_609_090_048, _torchvision(70.37, 89.81)),
    ),
    VGGSpec(
        name="vgg11_lrn",
        depths=_A,
        local_response="author",
        facts=_facts("table 1, A-LRN", 132_863_336, 7_609_090_048, _errors(29.7, 10.5), paper_params="133 million"),
    ),
    VGGSpec(
        name="vgg11_lrn_bn",
        depths=_A,
        local_response="author",
        normalisation="batch",
        facts=_facts(f"{_OWN_BN}, A-LRN", 132_868_840, 7_609_090_048),
    ),
    VGGSpec(
        name="vgg13",
        depths=_B,
        facts=_facts(
            "table 1, B",
            133_047_848,
            11_308_466_176,
            (*_errors(28.7, 9.9), *_torchvision(69.928, 89.246)),
            paper_params="133 million",
        ),
    ),
    VGGSpec(
        name="vgg13_bn",
        depths=_B,
        normalisation="batch",
        facts=_facts(f"{_BN}, B", 133_053_736, 11_308_466_176, _torchvision(71.586, 90.374)),
    ),
    VGGSpec(
        name="vgg16c",
        pointwise=_C,
        facts=_facts(
            "table 1, C",
            133_638_952,
            11_770_888_192,
            (*_errors(28.1, 9.4), *_errors(27.3, 8.8, _JITTERED)),
            paper_params="134 million",
        ),
    ),
    VGGSpec(
        name="vgg16c_bn",
        pointwise=_C,
        normalisation="batch",
        facts=_facts(f"{_OWN_BN}, C", 133_647_400, 11_770_888_192),
    ),
    VGGSpec(
        name="vgg16",
        facts=_facts(
            "table 1, D",
            138_357_544,
            15_470_264_320,
            (
                *_errors(27.0, 8.8),
                *_errors(25.6, 8.1, _JITTERED),
                *_errors(24.8, 7.5, _SCALES),
                *_errors(24.4, 7.2, _CROPS),
                *_torchvision(71.592, 90.382),
            ),
            paper_params="138 million",
        ),
    ),
    VGGSpec(
        name="vgg16_bn",
        normalisation="batch",
        facts=_facts(f"{_BN}, D", 138_365_992, 15_470_264_320, _torchvision(73.36, 91.516)),
    ),
    VGGSpec(
        name="vgg19",
        depths=_E,
        facts=_facts(
            "table 1, E",
            143_667_240,
            19_632_062_464,
            (
                *_errors(27.3, 9.0),
                *_errors(25.5, 8.0, _JITTERED),
                *_errors(24.8, 7.5, _SCALES),
                *_errors(24.4, 7.1, _CROPS),
                *_errors(24.6, 7.4, _CROPS_ALONE),
                *_errors(24.0, 7.1, f"with vgg16, {_SCALES}"),
                *_errors(23.9, 7.2, f"with vgg16, {_CROPS_ALONE}"),
                *_errors(23.7, 6.8, f"with vgg16, {_CROPS}"),
                *_torchvision(72.376, 90.876),
            ),
            paper_params="144 million",
        ),
    ),
    VGGSpec(
        name="vgg19_bn",
        depths=_E,
        normalisation="batch",
        facts=_facts(f"{_BN}, E", 143_678_248, 19_632_062_464, _torchvision(74.218, 91.842)),
    ),
)

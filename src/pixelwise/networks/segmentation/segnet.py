"""SegNet: VGG-16's convolutions, and the same mirrored, which put maxima back where they came from.

Paper: Badrinarayanan, Kendall, Cipolla, "SegNet: A deep convolutional encoder-decoder architecture for image
segmentation", TPAMI 2017, arXiv:1511.00561, figure 2 and section 3. Sizes are for 360x480, padded to 384x480.

====== ============ ================================== ======= ==================================
level  size         encoder                            decoder maps
====== ============ ================================== ======= ==================================
1      384x480      block1 2 x 3x3, 64                 dec1    3x3, 64; out: 3x3 to the classes
2      192x240      block2 2 x 3x3, 128                dec2    2 x 3x3, 128, 64
3      96x120       block3 3 x 3x3, 256                dec3    3 x 3x3, 256, 256, 128
4      48x60        block4 3 x 3x3, 512                dec4    3 x 3x3, 512, 512, 256
5      24x30        block5 3 x 3x3, 512                dec5    3 x 3x3, 512, 512, 512
====== ============ ================================== ======= ==================================

Every convolution is followed by batch normalisation and ReLU, every block by 2x2 maximum pooling with stride 2. Each
level of the decoder begins with max-unpooling by the places of its block's maxima; zeros are in between.

``segnet_basic`` (section 3.1) has four levels of one 7x7 convolution of 64 maps without biases, no ReLU in the decoder,
and a 1x1 classifier.

Every size is legal: the image is padded with zeros at the bottom and right to a multiple of 2^levels, and the logits
are cropped back.

**Deviations** (tests/networks/test_segnet.py):

- The paper starts the encoder from VGG-16's ImageNet weights, and draws the decoder's by He's rule. Here both are
  drawn; the encoder has the names of ``vgg16_bn``, whose weights can start it.
- The released models differ in details (local response normalisation of the input); they are not reproduced.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import ConvNormAct
from pixelwise.layers.initialisation import he_normal_
from pixelwise.layers.sizes import crop, pad_to_multiple
from pixelwise.networks.backbones import backbone_row
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Spec, Stage

PAPER = Paper(
    title="SegNet: A deep convolutional encoder-decoder architecture for image segmentation",
    authors="V. Badrinarayanan, A. Kendall, R. Cipolla",
    year=2017,
    venue="TPAMI 39(12)",
    link="arXiv:1511.00561",
)


_WIDTHS, _DEPTHS = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3)
"""VGG-16's convolutions."""


@dataclass(frozen=True, kw_only=True)
class SegNetSpec(Spec):
    """Blocks of convolutions, and their mirror image."""

    family: ClassVar[str] = "segnet"
    task: ClassVar[NetworkKind] = "segmentation"

    widths: tuple[int, ...] = _WIDTHS
    """Maps of each level, finest first."""
    depths: tuple[int, ...] = _DEPTHS
    """Convolutions of each level, of the encoder and of the decoder."""
    kernel: int = 3
    """Side of the convolutions' kernels, an odd number of pixels."""
    bias: bool = True
    """Whether convolutions add a bias."""
    decoder_activation: Literal["relu", "none"] = "relu"
    """After the decoder's normalisations."""
    classifier: Literal["last_convolution", "1x1"] = "last_convolution"
    """The decoder's last convolution goes to the classes, or a 1x1 convolution does so behind it."""

    def __post_init__(self) -> None:
        if not self.widths or len(self.widths) != len(self.depths) or min(*self.widths, *self.depths, 1) < 1:
            raise self._fault(
                f"widths={self.widths}, depths={self.depths}", "one of each a level, at least one level, all positive"
            )
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise self._fault(f"kernel={self.kernel}", "an odd number of pixels")

    def _fault(self, came: str, expected: str) -> SpecError:
        return SpecError(f"{self.name}: {came}", expected=expected, do="Correct the fields")

    @property
    def precursors(self) -> tuple[Spec, ...]:
        """The classifier whose convolutions the encoder has, if it is not another one."""
        own = (self.widths, self.depths, self.kernel, self.bias)
        return (backbone_row("vgg16_bn", self.name),) if own == (_WIDTHS, _DEPTHS, 3, True) else ()

    def build(self, in_channels: int, num_classes: int) -> "SegNet":
        """Make the network; any number of channels and classes is possible."""
        return SegNet(self, in_channels, num_classes)


class SegNet(Network):
    """Figure 2: block1, ..., block5, dec5, ..., dec1, out."""

    spec: SegNetSpec

    def __init__(self, spec: SegNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        channels = in_channels
        for level, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True), start=1):
            self.add_module(f"block{level}", self._block([channels, *[width] * depth], "relu"))
            channels = width
        for level in range(len(spec.widths), 0, -1):
            width, depth = spec.widths[level - 1], spec.depths[level - 1]
            finer = spec.widths[max(level - 2, 0)]
            maps = [width] * depth + [finer]
            if level == 1 and spec.classifier == "last_convolution":
                maps.pop()
            self.add_module(f"dec{level}", self._block(maps, spec.decoder_activation))
        side = 1 if spec.classifier == "1x1" else spec.kernel
        self.out = nn.Conv2d(spec.widths[0], num_classes, side, padding=side // 2)
        self.fills_to = 2 ** len(spec.widths)
        self.stages = tuple(
            Stage(channels=width, stride=2**n, module=f"block{n + 1}") for n, width in enumerate(spec.widths)
        )
        he_normal_(self)

    def _block(self, maps: list[int], activation: Literal["relu", "none"]) -> nn.Sequential:
        spec = self.spec
        return nn.Sequential(
            *(
                ConvNormAct(before, after, spec.kernel, padding=spec.kernel // 2, bias=spec.bias, activation=activation)
                for before, after in pairwise(maps)
            )
        )

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the encoder's maps, before their pooling, of x padded to a multiple of 32.

        (N, 64, H, W), (N, 128, H/2, W/2), ..., (N, 512, H/16, W/16).
        """
        maps, _, _ = self._encode(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of x (N, in_channels, H, W)."""
        size = x.shape[2:]
        _, y, places = self._encode(x)
        for level in range(len(self.stages), 0, -1):
            y = F.max_unpool2d(y, places.pop(), (2, 2))
            y = self.get_submodule(f"dec{level}")(y)  # (N, width of the finer level, likewise)
        return crop(self.out(y), *size)

    def _encode(self, x: Tensor) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Return the stages' maps, what the last pooling leaves of them, and the places of every pooling's maxima."""
        self.check_input(x)
        maps, places = list[Tensor](), list[Tensor]()
        x = pad_to_multiple(x, self.fills_to)
        for stage in self.stages:
            maps.append(self.get_submodule(stage.module)(x))
            x, found = F.max_pool2d(maps[-1], 2, return_indices=True)
            places.append(found)
        return maps, x, places


SPECS: tuple[SegNetSpec, ...] = (
    SegNetSpec(
        name="segnet",
        facts=Facts(
            paper=PAPER,
            table="figure 2",
            input_size=(3, 360, 480),
            num_classes=11,
            params=29_449_355,
            macs=113_600_102_400,
        ),
    ),
    SegNetSpec(
        name="segnet_basic",
        widths=(64, 64, 64, 64),
        depths=(1, 1, 1, 1),
        kernel=7,
        bias=False,
        decoder_activation="none",
        classifier="1x1",
        facts=Facts(
            paper=PAPER,
            table="section 3.1",
            input_size=(3, 360, 480),
            num_classes=11,
            params=1_416_075,
            macs=60_504_145_920,
        ),
    ),
)

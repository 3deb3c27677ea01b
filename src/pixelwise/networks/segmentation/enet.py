"""ENet: a large encoder, a small decoder that puts maxima back where they came from.

Paper: Paszke, Chaurasia, Kim, Culurciello, "ENet: A deep neural network architecture for real-time semantic
segmentation", arXiv:1606.02147: table 1 and figure 2. Sizes are the table's, for 512x512.

============= ========== =============================================================== =======
row           output     blocks                                                          maps
============= ========== =============================================================== =======
initial       256x256    3x3 with stride 2, beside 2x2 maximum pooling                   16
bottleneck1_0 128x128    down-sampling                                                   64
bottleneck1   128x128    4 x regular                                                     64
bottleneck2_0 64x64      down-sampling                                                   128
bottleneck2   64x64      regular, dilated 2, asymmetric 5, dilated 4,                    128
                         regular, dilated 8, asymmetric 5, dilated 16
bottleneck3   64x64      the same eight again, no down-sampling                          128
bottleneck4_0 128x128    up-sampling, with the places of bottleneck2_0's maxima          64
bottleneck4   128x128    2 x regular                                                     64
bottleneck5_0 256x256    up-sampling, with the places of bottleneck1_0's maxima          16
bottleneck5   256x256    regular                                                         16
fullconv      512x512    2x2 transposed convolution with stride 2                        classes
============= ========== =============================================================== =======

Spatial dropout at the end of every branch of the encoder: 0.01 up to bottleneck1, 0.1 after it. The paper counts
0.37 M parameters and 3.83 GFLOPs for 640x360, with multiplications and additions apart and all layers counted: the
convolutions of this network are 2 x 1.724 G of them.

Where the paper leaves details open, three forms exist (:class:`~pixelwise.networks.classification.enet_blocks.Form`):

========================================== ================== ================== ==================
point                                      authors' code      davidtvs           davidtvs, 2018
========================================== ================== ================== ==================
a bottleneck's width where sizes change    output / 4         input / 4          input / 4
pooling of the initial block               2x2                3x3                3x3
pooling of down-sampling bottlenecks       2x2                2x2                3x3
asymmetric convolution                     1x5, 5x1           5x1, 1x5, each     5x1, 1x5, each
                                                              normalised         normalised
activation at the end of a branch          none               yes, but in        yes
                                                              up-sampling none
slopes of PReLU                            one a map          one a layer        one a layer in
                                                                                 branches, else a map
activation of the decoder                  ReLU               ReLU               PReLU
up-sampling branch                         3x3 transposed     2x2 transposed     3x3 transposed
last transposed convolution                2x2 with bias      3x3 without        3x3 without
bias of initial and middle convolutions    yes                no                 no
dropout in the decoder                     none               0.1                0.1
added to variances                         0.001              0.00001            0.00001
========================================== ================== ================== ==================

Every size is legal: the image is padded with zeros at the bottom and right to a multiple of 8, and the logits are
cropped back, so that every pooling meets even numbers and every place has its pixel.

**Deviations** (tests/networks/test_enet_segmentation.py):

- The paper trains in two phases, first the encoder with a 1x1 convolution to the classes on labels of an eighth of the
  size, then the whole. Here the whole is trained at once. ``enet_classifier`` is the same encoder, its ``dense_logits``
  are those of the first phase, and its weights can start this network.
- The paper does not give the initial weights. Here as in PyTorch, as for ``enet_classifier``.
- The authors' code refuses sizes that are not multiples of 8.
"""

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Final, Literal

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.sizes import crop, pad_to_multiple
from pixelwise.networks.backbones import backbone_row
from pixelwise.networks.classification.enet_blocks import (
    AUTHORS,
    NARROWING,
    Bottleneck,
    DownsamplingBottleneck,
    Form,
    UpsamplingBottleneck,
)
from pixelwise.networks.classification.enet_encoder import PAPER, ENetEncoderSpec, add_encoder
from pixelwise.specs import Facts, Network, NetworkKind, Published, Spec

STRIDE: Final = 8
_ROWS_OF_ONE: Final = 4
"""Rows of the encoder before those that are repeated."""

FormName = Literal["authors", "davidtvs", "davidtvs_2018"]

_DAVIDTVS = Form(
    epsilon=1e-5,
    bias=False,
    narrows="input",
    initial_pool=3,
    splits_asymmetric=True,
    activates_branch=True,
    slopes="layer",
    outer_slopes="layer",
    upsampling_kernel=2,
    last_kernel=3,
)
FORMS: Final[dict[FormName, Form]] = {
    "authors": AUTHORS,
    "davidtvs": _DAVIDTVS,
    "davidtvs_2018": Form(
        epsilon=1e-5,
        bias=False,
        narrows="input",
        initial_pool=3,
        pool=3,
        splits_asymmetric=True,
        activates_branch=True,
        activates_doubling_branch=True,
        slopes="layer",
        rectifies_decoder=False,
        last_kernel=3,
    ),
}


@dataclass(frozen=True, kw_only=True)
class ENetSpec(ENetEncoderSpec):
    """Table 1."""

    family: ClassVar[str] = "enet"
    task: ClassVar[NetworkKind] = "segmentation"

    decoder_depths: tuple[int, int] = (2, 1)
    """Regular bottlenecks after the first and the second up-sampling."""
    decoder_dropout: float = 0.0
    """Rate of spatial dropout in the decoder."""
    form: FormName = "authors"
    """Whose answers to what the paper leaves open."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.decoder_depths) < 0 or self.widths[0] % NARROWING:
            raise SpecError(
                f"{self.name}: widths={self.widths}, decoder_depths={self.decoder_depths}",
                expected=f"widths that are multiples of {NARROWING}, and depths of 0 or more",
                do="Correct them",
            )
        if not 0 <= self.decoder_dropout < 1:
            raise SpecError(
                f"{self.name}: decoder_dropout={self.decoder_dropout:g}",
                expected="a rate from 0 up to but not including 1",
                do="Correct it",
            )

    @property
    def precursors(self) -> tuple[Spec, ...]:
        """The same encoder as a classifier; none for forms of the blocks that it does not have."""
        if self.form != "authors":
            return ()
        columns = {key: getattr(self, key) for key in ENetEncoderSpec.columns()}
        return (backbone_row("enet_classifier", self.name).replace(**columns),)

    def build(self, in_channels: int, num_classes: int) -> "ENet":
        """Make the network.

        Raises:
            SpecError: so many channels that pooling alone fills the initial block.

        """
        self.check_channels(in_channels)
        return ENet(self, in_channels, num_classes)


class ENet(Network):
    """Table 1."""

    spec: ENetSpec

    def __init__(self, spec: ENetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        form, rate = FORMS[spec.form], spec.decoder_dropout
        self.stages = add_encoder(self, spec, form)
        self.fills_to = STRIDE
        channels = spec.widths[-1]
        number = 2 + spec.repeats
        for maps, depth in zip(reversed(spec.widths[:-1]), spec.decoder_depths, strict=True):
            self.add_module(f"bottleneck{number}_0", UpsamplingBottleneck(channels, maps, rate, form.of_decoder))
            blocks = (Bottleneck(maps, "regular", rate, form.of_decoder) for _ in range(depth))
            self.add_module(f"bottleneck{number}", nn.Sequential(*blocks))
            channels, number = maps, number + 1
        padding = form.last_kernel - 2
        self.fullconv = nn.ConvTranspose2d(
            channels,
            num_classes,
            form.last_kernel,
            stride=2,
            padding=padding,
            output_padding=padding,
            bias=form.last_kernel == 2,
        )

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the encoder's maps of x padded to a multiple of 8.

        (N, 16, H/2, W/2), (N, 64, H/4, W/4), (N, 128, H/8, W/8).
        """
        maps, _ = self._encode(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of x (N, in_channels, H, W)."""
        size = x.shape[2:]
        maps, places = self._encode(x)
        y = maps[-1]  # (N, 128, H/8, W/8)
        for number in (2 + self.spec.repeats, 3 + self.spec.repeats):
            y = self.get_submodule(f"bottleneck{number}_0")(y, places.pop())  # (N, 64, H/4, W/4), (N, 16, H/2, W/2)
            y = self.get_submodule(f"bottleneck{number}")(y)
        return crop(self.fullconv(y), *size)

    def _encode(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the stages' maps, and the places of the maxima of both down-samplings."""
        self.check_input(x)
        x = pad_to_multiple(x, self.fills_to)
        ends = {stage.module for stage in self.stages}
        maps, places = list[Tensor](), list[Tensor]()
        for name, block in islice(self.named_children(), _ROWS_OF_ONE + self.spec.repeats):
            x = block(x, places) if isinstance(block, DownsamplingBottleneck) else block(x)
            if name in ends:
                maps.append(x)
        return maps, places


def _facts(table: str, classes: int, size: tuple[int, int, int], params: int, macs: int, *results: Published) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=size,
        num_classes=classes,
        params=params,
        macs=macs,
        published=results,
    )


def _published(dataset: str, metric: str, value: float, protocol: str, source: str) -> Published:
    return Published(dataset=dataset, metric=metric, value=value, protocol=protocol, source=source)


_READ_ME = "davidtvs/PyTorch-ENet"
SPECS: tuple[ENetSpec, ...] = (
    ENetSpec(
        name="enet",
        facts=_facts(
            "table 1",
            20,
            (3, 512, 1024),
            364_376,
            3_930_456_064,
            _published("Cityscapes test", "class IoU %", 58.3, "1024x512 input", "paper"),
            _published("Cityscapes test", "category IoU %", 80.4, "1024x512 input", "paper"),
            _published("CamVid test", "class average %", 68.3, "480x360, 11 classes", "paper"),
            _published("CamVid test", "class IoU %", 51.3, "480x360, 11 classes", "paper"),
            _published("SUN RGB-D test", "mean IoU %", 19.7, "37 classes", "paper"),
        ),
    ),
    ENetSpec(
        name="enet_davidtvs",
        form="davidtvs",
        decoder_dropout=0.1,
        facts=_facts(
            f"variant: github.com/{_READ_ME}",
            12,
            (3, 360, 480),
            350_652,
            1_287_144_000,
            _published("CamVid test", "mean IoU %", 52.1, "300 epochs", _READ_ME),
            _published("Cityscapes val", "mean IoU %", 59.5, "1024x512", _READ_ME),
        ),
    ),
    ENetSpec(
        name="enet_davidtvs_2018",
        form="davidtvs_2018",
        decoder_dropout=0.1,
        facts=_facts(f"variant: github.com/{_READ_ME}, of 4 March 2018", 12, (3, 360, 480), 359_780, 1_314_792_000),
    ),
)

ALIASES: dict[str, str] = {"enet_cityscapes": "enet", "enet_camvid": "enet", "enet_640x360": "enet"}
"""The same network for other sizes and numbers of classes."""

"""LeNet-5 and the small convolutional networks that go by its name.

Paper: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proceedings of the
IEEE 86(11), 1998: section II.B, figure 2 (layers), table I (connections of C3), figure 3 (targets of the output).

========== ================================ ========= =========== =============
row        operation                        output    parameters  connections
========== ================================ ========= =========== =============
C1         6 convolutions 5x5               6x28x28   156         122,304
S2         trainable 2x2 sub-sampling       6x14x14   12          5,880
C3         16 convolutions 5x5, table I     16x10x10  1,516       151,600
S4         trainable 2x2 sub-sampling       16x5x5    32          2,000
C5         120 convolutions 5x5             120x1x1   48,120      48,120
F6         full connection                  84        10,164      10,164
OUT        Euclidean distance to 84 targets 10        0           840
========== ================================ ========= =========== =============

Sizes: the full connections fix the input, 32x32 in the paper (a 28x28 digit in the middle of a larger field).
``image_size`` and ``padding`` are fields, so 28x28 images enter as ``image_size=(28, 28), padding=2`` with the same
parameters. Any other size is refused, except by ``dense_logits``: slid over a larger image, the network gives an answer
every four pixels (section VII: space displacement neural networks, figure 23).

**Deviations** (tests/networks/test_lenet.py):

- Logits are minus the squared distances to the targets, so that the largest is the best, as everywhere else; the paper
  takes the smallest distance. Their cross-entropy is the paper's equation 9 without its constant term e^-j.
- The ten 7x12 targets are drawn in the manner of figure 3, not copied from it bit by bit. With another number of
  classes, or of units in F6, the targets are distributed codes of +-1, drawn from SHAKE-256 of the class number.
- Rows other than ``lenet5`` are not in the paper: ``lenet5_simplified`` and ``lenet5_relu`` are what tutorials call
  LeNet-5, ``lenet_caffe`` is the example of Caffe, ``pml_cnn`` the network of the MNIST script of Murphy,
  "Probabilistic machine learning: an introduction", 2022.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.activation import ActivationName, activation
from pixelwise.layers.dense import seen_at_each_place
from pixelwise.layers.initialisation import INITIALISATIONS, InitialisationName
from pixelwise.networks.classification.lenet_blocks import (
    C3_CONNECTIONS,
    FullConnection,
    PartialConvolution,
    RBFOutput,
    Subsampling,
    rbf_targets,
)
from pixelwise.specs import Facts, Network, NetworkKind, Paper, Published, Spec, Stage

PAPER = Paper(
    title="Gradient-based learning applied to document recognition",
    authors="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
    year=1998,
    venue="Proceedings of the IEEE 86(11)",
    link="doi:10.1109/5.726791",
)


@dataclass(frozen=True, kw_only=True)
class LeNetSpec(Spec):
    """Convolutions with pooling after the first two, then full connections."""

    family: ClassVar[str] = "lenet"
    task: ClassVar[NetworkKind] = "classification"

    image_size: tuple[int, int] = (32, 32)
    """Height and width of the input, in pixels."""
    padding: int = 0
    """Zeros that the first convolution adds on each side, in pixels."""
    kernel: int = 5
    """Side of every convolution's kernel, in pixels."""
    widths: tuple[int, ...] = (6, 16, 120)
    """Maps of each convolution."""
    hidden: tuple[int, ...] = (84,)
    """Units of each full connection before the output."""
    connections: Literal["partial", "full"] = "full"
    """Whether the second convolution follows the paper's table I, for 6 and 16 maps."""
    pooling: Literal["subsample", "average", "max"] = "average"
    """2x2 pooling: the paper's trainable sub-sampling, the mean, or the maximum."""
    convolution_activation: ActivationName = "tanh"
    """After each convolution, and after the trainable sub-sampling."""
    hidden_activation: ActivationName = "tanh"
    """After each full connection."""
    output: Literal["rbf", "linear"] = "linear"
    """Distances to fixed targets, or a full connection."""
    initialisation: InitialisationName = "glorot"

    def __post_init__(self) -> None:
        if self.connections == "partial" and self.widths[:2] != (6, 16):
            raise SpecError(
                f"{self.name}: connections=partial with widths={self.widths}",
                expected="widths that begin with 6, 16: the connection table has that size",
                do="Set connections=full, or these widths",
            )
        numbers = (*self.image_size, *self.widths, *self.hidden, self.kernel)
        if len(self.widths) < 2 or not self.hidden or min(numbers) < 1 or self.padding < 0:
            raise SpecError(
                f"{self.name}: {self}", expected="at least two widths and one hidden, all positive", do="Correct them"
            )
        if min(self.last_map) < 1:
            raise SpecError(
                f"{self.name}: images of {self.image_size[0]} x {self.image_size[1]} pixels vanish in the convolutions",
                expected="a larger image_size, or more padding",
                do="Enlarge the images, or set a smaller kernel or fewer widths",
            )

    @property
    def fixed_size(self) -> tuple[int, int]:
        """The only (height, width) that the network takes, in pixels."""
        return self.image_size

    @property
    def last_map(self) -> tuple[int, int]:
        """Height and width of the last convolution's maps, in pixels."""
        height, width = (side + 2 * self.padding for side in self.image_size)
        for index in range(len(self.widths)):
            height, width = height - self.kernel + 1, width - self.kernel + 1
            if index < 2:
                height, width = height // 2, width // 2
        return height, width

    def build(self, in_channels: int, num_classes: int) -> "LeNet":
        """Make the network; any number of channels and classes is possible."""
        return LeNet(self, in_channels, num_classes)


class LeNet(Network):
    """Figure 2: C1, S2, C3, S4, C5, F6, OUT; further convolutions and connections carry on with the numbering."""

    spec: LeNetSpec

    def __init__(self, spec: LeNetSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        channels, number = in_channels, 0
        for index, width in enumerate(spec.widths):
            number += 1
            self.add_module(f"C{number}", self._convolution(index, channels, width))
            channels = width
            if index < 2:
                number += 1
                self.add_module(f"S{number}", self._pooling(channels))
        units = channels * spec.last_map[0] * spec.last_map[1]
        for width in spec.hidden:
            number += 1
            self.add_module(f"F{number}", FullConnection(units, width, activation(spec.hidden_activation)))
            units = width
        rbf = spec.output == "rbf"
        self.OUT = RBFOutput(rbf_targets(num_classes, units)) if rbf else nn.Linear(units, num_classes)
        self.stages = tuple(
            Stage(channels=width, stride=2 ** (index + 1), module=f"S{2 * index + 2}")
            for index, width in enumerate(spec.widths[:2])
        )
        INITIALISATIONS[spec.initialisation](self)

    def _convolution(self, index: int, channels: int, width: int) -> nn.Module:
        convolution: nn.Module
        if index == 1 and self.spec.connections == "partial":
            convolution = PartialConvolution(C3_CONNECTIONS, self.spec.kernel)
        else:
            padding = self.spec.padding if index == 0 else 0
            convolution = nn.Conv2d(channels, width, self.spec.kernel, padding=padding)
        return nn.Sequential(convolution, activation(self.spec.convolution_activation))

    def _pooling(self, channels: int) -> nn.Module:
        if self.spec.pooling == "subsample":
            return nn.Sequential(Subsampling(channels), activation(self.spec.convolution_activation))
        return nn.MaxPool2d(2) if self.spec.pooling == "max" else nn.AvgPool2d(2)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the maps of S2 (N, 6, H/2, W/2) and S4 (N, 16, H/4, W/4), less the unpadded borders."""
        self.check_input(x)
        c1, s2, c3, s4 = list(self.children())[:4]
        first = s2(c1(x))
        return [first, s4(c3(first))]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        self.check_input(x)
        return self._connect(self._convolve(x).flatten(1))

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, h, w) at every place, four pixels apart, where the network's window fits.

        Raises:
            SpecError: the images are smaller than the window, ``image_size``.

        """
        (height, width), window = x.shape[-2:], self.spec.image_size
        if height < window[0] or width < window[1]:
            raise SpecError(
                f"{self.spec.name} cannot be slid over images of {height} x {width} pixels",
                expected=f"at least {window[0]} x {window[1]}",
                do="Enlarge the images",
            )
        self.check_input(x[..., : window[0], : window[1]])
        seen = seen_at_each_place(self._convolve(x), self.spec.last_map)  # (N, h, w, units)
        return self._connect(seen).permute(0, 3, 1, 2)

    def _convolve(self, x: Tensor) -> Tensor:
        for name, row in self.named_children():
            if name.startswith(("C", "S")):
                x = row(x)
        return x

    def _connect(self, x: Tensor) -> Tensor:
        for name, row in self.named_children():
            if not name.startswith(("C", "S")):
                x = row(x)
        return x


def _published(value: float, protocol: str, metric: str = "error %", source: str = "paper, section III") -> Published:
    return Published(dataset="MNIST test", metric=metric, value=value, protocol=protocol, source=source)


def _facts(table: str, size: int, params: int, macs: int, *published: Published) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(1, size, size),
        num_classes=10,
        params=params,
        macs=macs,
        paper_params="60,000" if params == 60_000 else "",
        published=published,
    )


SPECS: tuple[LeNetSpec, ...] = (
    LeNetSpec(
        name="lenet5",
        connections="partial",
        pooling="subsample",
        convolution_activation="scaled_tanh",
        hidden_activation="scaled_tanh",
        output="rbf",
        initialisation="lecun",
        facts=_facts(
            *("figure 2, table I", 32, 60_000, 325_680),
            *(_published(0.95, "no distortions"), _published(0.8, "540,000 distorted samples added")),
        ),
    ),
    LeNetSpec(name="lenet5_simplified", facts=_facts("variant: C3 and output fully connected", 32, 61_706, 416_520)),
    LeNetSpec(
        name="lenet5_relu",
        image_size=(28, 28),
        padding=2,
        pooling="max",
        convolution_activation="relu",
        hidden_activation="relu",
        initialisation="glorot",
        facts=_facts("variant: ReLU and maximum pooling, 28x28 padded by 2", 28, 61_706, 416_520),
    ),
    LeNetSpec(
        name="lenet_caffe",
        image_size=(28, 28),
        widths=(20, 50),
        hidden=(500,),
        pooling="max",
        convolution_activation="none",
        hidden_activation="relu",
        facts=_facts("variant: BVLC Caffe, examples/mnist", 28, 431_080, 2_293_000),
    ),
    LeNetSpec(
        name="pml_cnn",
        image_size=(28, 28),
        kernel=3,
        widths=(32, 64, 64),
        hidden=(64,),
        pooling="max",
        convolution_activation="relu",
        hidden_activation="relu",
        facts=_facts(
            *("variant: probml scripts, cnn_mnist_tf", 28, 93_322, 2_794_240),
            _published(98.8, "one epoch", "accuracy %", "Murphy 2022, section 14.3"),
        ),
    ),
)

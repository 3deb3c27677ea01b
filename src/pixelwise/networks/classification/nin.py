"""Network in network, and its form with batch normalisation.

Paper: Lin, Chen, Yan, "Network in network", ICLR 2014, arXiv:1312.4400: sections 3.1 (mlpconv layers), 3.2 (mean of
class maps), figure 2. It gives no widths; these are the authors' (mavenlin/cuda-convnet, and Caffe's model zoo).

======== ======================== ======================= ============================== =============================
row      CIFAR                    ImageNet                BN-NIN, CIFAR                  BN-NIN, ImageNet
======== ======================== ======================= ============================== =============================
mlpconv1 5x5, 192; 160; 96        11x11/4, 96; 96; 96     as CIFAR                       11x11/4, pad 5, 96; 96; 96
pool1    3x3/2 max, dropout       3x3/2 max               as CIFAR                       3x3/2 max
mlpconv2 5x5, 192; 192; 192       5x5, 256; 256; 256      as CIFAR                       5x5, 256; 256; 256
pool2    3x3/2 max, dropout       3x3/2 max               3x3/2 average, dropout         3x3/2 max
mlpconv3 3x3, 192; 192; classes   3x3, 384; 384; 384      as CIFAR                       3x3, 384; 384; 384
pool3                             3x3/2 max, dropout                                     3x3/2 max
mlpconv4                          3x3, 1024; 1024; 1000                                  3x3, 1024; 1024; 1024
gap      mean of each class map   the same                the same                       the same, then fc
======== ======================== ======================= ============================== =============================

An mlpconv layer is a k x k convolution and 1x1 convolutions, a ReLU after each of them, also after the class maps.
Pooling windows that stick out at the bottom and right count (Caffe's rule). BN-NIN, normalised after every convolution,
has no paper: the CIFAR form is szagoruyko/cifar.torch, the ImageNet form soumith/imagenet-multiGPU.torch, ``ninbn``.

Names: ``nin_cifar10`` and ``nin_cifar100`` are ``nin_cifar``, which differs only in the number of class maps; so with
``bn_nin_cifar``. ``head="full"`` is the ablation of section 4.6, a full connection in place of the mean. The paper's
errors on CIFAR-10 in %, without augmentation: full connection 11.59, with dropout (``head_dropout``) 10.88, mean 10.41.

**Deviations** (tests/networks/test_nin.py):

- ``pool2`` of ``nin_cifar`` takes the maximum, as the authors' definition does; their Caffe model takes the mean.
- For CIFAR-100 the authors started the first mlpconv layer from 0.001 and 0.01, not 0.05; here it is one row.
- ``nin_imagenet`` was trained on pixel values from 0 to 255 less their mean, whose deviation is about 58. Networks
  here see values of deviation 1, so the first layer starts 58 times as large: 0.58 instead of 0.01.
- The biases of the class maps start at 1, not at 0, which lifts them off the ReLU's zero, where SGD at 0.1 soon left
  them for good; the answers at the start stay near chance. The authors had the last layer learn ten times slower. With
  batch normalisation, which takes a bias away, they start at 0.
- ``bn_nin_imagenet`` starts from N(0, 0.05) like the CIFAR form; its source leaves Torch's own weights.
"""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.convolution import Normalisation
from pixelwise.layers.dense import slide_linear
from pixelwise.layers.initialisation import normal_
from pixelwise.layers.trunk import last_map, run_trunk
from pixelwise.networks.classification.nin_blocks import MlpConv
from pixelwise.networks.classification.nin_facts import FACTS
from pixelwise.specs import Network, NetworkKind, Spec, Stage

POOL, STD, CLASS_BIAS = 3, 0.05, 1.0
"""Window of pooling in pixels; initial weights of 1x1 convolutions; initial biases of the class maps."""


@dataclass(frozen=True, kw_only=True)
class NINSpec(Spec):
    """Mlpconv layers with pooling between them, and a head. One entry of each tuple for each mlpconv layer."""

    family: ClassVar[str] = "nin"
    task: ClassVar[NetworkKind] = "classification"

    widths: tuple[tuple[int, ...], ...] = ((192, 160, 96), (192, 192, 192), (192, 192))
    """Maps of the k x k convolution and of the 1x1 convolutions behind it; a single number is a plain convolution.
    Except for ``head="linear"``, another 1x1 convolution makes the class maps."""
    kernels: tuple[int, ...] = (5, 5, 3)
    strides: tuple[int, ...] = (1, 1, 1)
    paddings: tuple[int, ...] = (2, 2, 1)
    pools: tuple[Literal["max", "average"], ...] = ("max", "max")
    """Of 3x3 pixels with stride 2, between the mlpconv layers."""
    dropouts: tuple[float, ...] = (0.5, 0.5)
    """Share of values set to zero in training, after each pooling."""
    pooling: Literal["ceil", "floor", "padded"] = "ceil"
    """Whether windows that stick out count, do not count, or lie on a map padded by one pixel on every side."""
    normalisation: Normalisation = "none"
    bias: bool = True
    """Whether convolutions add a bias."""
    last_activation: bool = True
    """Whether there is a ReLU after the class maps."""
    head: Literal["average", "linear", "full"] = "average"
    """The mean of each class map; the mean of each map, then a full connection; or a full connection of all values of
    the class maps, which takes pictures of ``image_size`` only (section 4.6)."""
    head_dropout: float = 0.0
    """For ``head="full"``: share of values set to zero before the full connection."""
    image_size: tuple[int, int] = (32, 32)
    """Height and width that ``head="full"`` is built for."""
    stds: tuple[float, ...] = (0.05, 0.05, 0.05)
    """Standard deviation of the initial weights of the k x k convolutions."""
    class_std: float = 0.05
    """The same for the convolution that makes the class maps."""

    def __post_init__(self) -> None:
        columns = {key: len(getattr(self, key)) for key in ("widths", "kernels", "strides", "paddings", "stds")}
        between = {key: len(getattr(self, key)) + 1 for key in ("pools", "dropouts")}
        if not self.widths or len({*columns.values(), *between.values()}) > 1:
            raise SpecError(
                f"{self.name}: " + ", ".join(f"{len(getattr(self, key))} {key}" for key in (*columns, *between)),
                expected="one entry for each mlpconv layer, one pool and dropout between every two",
                do="Correct them",
            )
        positive = (*(min(row, default=0) for row in self.widths), *self.kernels, *self.strides, *self.stds)
        if not all(0 < number < float("inf") for number in (*positive, self.class_std)) or min(self.paddings) < 0:
            raise SpecError(
                f"{self.name}: " + ", ".join(f"{key}={getattr(self, key)}" for key in (*columns, "class_std")),
                expected="positive numbers, and paddings of at least 0",
                do="Correct them",
            )
        for share in (*self.dropouts, self.head_dropout):
            if not 0 <= share < 1:
                raise SpecError(f"{self.name}: dropout {share}", expected="from 0 up to, but not 1", do="Correct it")
        if self.head == "full" and min(self.image_size) < self.smallest_side:
            raise SpecError(
                f"{self.name}: image_size={self.image_size}",
                expected=f"at least {self.smallest_side} x {self.smallest_side}",
                do="Set the size of your images",
            )

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """The size that a full connection of the class maps was built for."""
        return self.image_size if self.head == "full" else None

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest image that leaves a pixel of the last maps."""
        return next(side for side in count(1) if self.last_side(side) >= 1)

    def last_side(self, side: int) -> int:
        """Height or width of the last mlpconv layer's maps; not positive where none is left."""
        around = int(self.pooling == "padded")
        for index, (kernel, stride, padding) in enumerate(zip(self.kernels, self.strides, self.paddings, strict=True)):
            if index:
                sticking_out = int(self.pooling == "ceil")  # rounded up, as the step of pooling is 2
                side = (side + 2 * around - POOL + sticking_out) // 2 + 1
                if side < 1:
                    return 0
            side = (side + 2 * padding - kernel) // stride + 1
        return side

    def build(self, in_channels: int, num_classes: int) -> "NIN":
        """Make the network; any number of channels and classes is possible."""
        return NIN(self, in_channels, num_classes)


class NIN(Network):
    """Figure 2: mlpconv1, pool1, mlpconv2, ..., gap; then fc where there is one. The ablation's form has no gap."""

    spec: NINSpec

    def __init__(self, spec: NINSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        rows = list(spec.widths)
        if spec.head != "linear":
            rows[-1] = (*rows[-1], num_classes)
        stages, channels, step = list[Stage](), in_channels, 1
        for index, row in enumerate(rows):
            if index:
                self.add_module(f"pool{index}", self._pool(index - 1))
                step *= 2
            name = f"mlpconv{index + 1}"
            block = MlpConv(
                channels,
                row,
                spec.kernels[index],
                stride=spec.strides[index],
                padding=spec.paddings[index],
                normalisation=spec.normalisation,
                bias=spec.bias,
                last_activation=spec.last_activation or index < len(rows) - 1,
            )
            normal_(block, STD)
            normal_(block[0], spec.stds[index])
            self.add_module(name, block)
            channels, step = row[-1], step * spec.strides[index]
            stages.append(Stage(channels=channels, stride=step, module=name))
        self.stages = tuple(stages)
        self._class_maps = f"mlpconv{len(rows)}.{list(block._modules)[-1]}"
        if spec.head != "linear":
            normal_(block[-1], spec.class_std)
            if spec.bias and spec.last_activation and spec.normalisation == "none":
                nn.init.constant_(self.get_parameter(f"{self._class_maps}.conv.bias"), CLASS_BIAS)
        if spec.head == "full":
            height, width = self._window = spec.last_side(spec.image_size[0]), spec.last_side(spec.image_size[1])
            self.dropout = nn.Dropout(spec.head_dropout)
            self.fc = nn.Linear(channels * height * width, num_classes)
        else:
            self.gap = nn.AdaptiveAvgPool2d(1)
            if spec.head == "linear":
                self.fc = nn.Linear(channels, num_classes)

    def _pool(self, index: int) -> nn.Sequential:
        spec = self.spec
        kind = nn.MaxPool2d if spec.pools[index] == "max" else nn.AvgPool2d
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["pool"] = kind(POOL, stride=2, padding=int(spec.pooling == "padded"), ceil_mode=spec.pooling == "ceil")
        if spec.dropouts[index]:
            parts["dropout"] = nn.Dropout(spec.dropouts[index])
        return nn.Sequential(parts)

    @property
    def heads(self) -> tuple[str, ...]:
        """The convolution that makes the class maps, and the full connection, where there are these."""
        return {"average": (self._class_maps,), "linear": ("fc",), "full": (self._class_maps, "fc")}[self.spec.head]

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the maps of every mlpconv layer, of which the last are the class maps: (N, C, H, W), H/2, H/4."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        x = last_map(self, x)  # (N, C, h, w)
        if self.spec.head == "full":
            return self.fc(self.dropout(torch.flatten(x, 1)))
        x = torch.flatten(self.gap(x), 1)  # (N, C)
        return self.fc(x) if self.spec.head == "linear" else x

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, h, w): the class maps, or the full connection slid over the last maps."""
        if self.spec.head == "average":
            return last_map(self, x)
        if self.spec.head == "linear":
            return slide_linear(self.fc, last_map(self, x))
        height, width = self.spec.image_size
        self.check_input(x[..., :height, :width])  # any size is legal that holds the one of forward
        return slide_linear(self.fc, run_trunk(self, x)[-1], self._window)

    def check_size(self, *size: int) -> None:
        """Refuse images of which no pixel is left, and any but one size for a full connection of the class maps."""
        height, width = size
        super().check_size(*size)
        least = self.spec.smallest_side
        if min(height, width) < least:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {least} x {least}",
                do="Enlarge the images",
            )


ALIASES = {
    "nin_cifar10": "nin_cifar",
    "nin_cifar100": "nin_cifar",
    "bn_nin_cifar10": "bn_nin_cifar",
    "bn_nin_cifar100": "bn_nin_cifar",
}
"""The data sets differ in the number of class maps only."""

SPECS: tuple[NINSpec, ...] = (
    NINSpec(
        name="nin_cifar",
        facts=FACTS["nin_cifar"],
    ),
    NINSpec(
        name="nin_imagenet",
        widths=((96, 96, 96), (256, 256, 256), (384, 384, 384), (1024, 1024)),
        kernels=(11, 5, 3, 3),
        strides=(4, 1, 1, 1),
        paddings=(0, 2, 1, 1),
        pools=("max", "max", "max"),
        dropouts=(0.0, 0.0, 0.5),
        image_size=(224, 224),
        stds=(58 * 0.01, 0.05, 0.01, 0.05),
        class_std=0.01,
        facts=FACTS["nin_imagenet"],
    ),
    NINSpec(
        name="bn_nin_cifar",
        pools=("max", "average"),
        normalisation="batch",
        facts=FACTS["bn_nin_cifar"],
    ),
    NINSpec(
        name="bn_nin_imagenet",
        widths=((96, 96, 96), (256, 256, 256), (384, 384, 384), (1024, 1024, 1024)),
        kernels=(11, 5, 3, 3),
        strides=(4, 1, 1, 1),
        paddings=(5, 2, 1, 1),
        pools=("max", "max", "max"),
        dropouts=(0.0, 0.0, 0.0),
        pooling="padded",
        normalisation="batch",
        head="linear",
        image_size=(224, 224),
        stds=(0.05, 0.05, 0.05, 0.05),
        facts=FACTS["bn_nin_imagenet"],
    ),
)

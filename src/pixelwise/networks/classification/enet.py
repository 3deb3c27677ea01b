"""ENet's encoder as a classifier.

Paper: Paszke, Chaurasia, Kim, Culurciello, "ENet: A deep neural network architecture for real-time semantic
segmentation", arXiv:1606.02147: table 1 and figure 2. Table 1 gives the sizes for 512x512; here they are for 224x224.

============= ========== =============================================================== ======
row           output     blocks                                                          maps
============= ========== =============================================================== ======
initial       112x112    3x3 with stride 2, beside 2x2 maximum pooling                   16
bottleneck1_0 56x56      down-sampling                                                   64
bottleneck1   56x56      4 x regular                                                     64
bottleneck2_0 28x28      down-sampling                                                   128
bottleneck2   28x28      regular, dilated 2, asymmetric 5, dilated 4,                    128
                         regular, dilated 8, asymmetric 5, dilated 16
bottleneck3   28x28      the same eight again, no down-sampling                          128
gap, fc       1x1        mean over the map, full connection
============= ========== =============================================================== ======

Spatial dropout at the end of every branch: 0.01 up to bottleneck1, 0.1 after it.

The paper has no classifier. Canziani, Paszke and Culurciello, "An analysis of deep neural network models for practical
applications" (arXiv:1605.07678), show one in charts of ImageNet accuracy against parameters and operations, as the
network with the best accuracy per parameter, and call it a "custom architecture". Its layers, its number of parameters
and its accuracy were not published other than as points of these charts: ``enet_classifier`` is the paper's encoder
with the head that is usual since NIN.

The first phase of the paper's training for segmentation uses the encoder with a 1x1 convolution to the classes, for
labels of an eighth of the size. That is ``dense_logits`` of this network: the same layers and parameters.

**Deviations** (tests/networks/test_enet.py):

- The head is not in the paper. The classifier that Canziani et al. charted is unpublished, this network is not known to
  be it, and no result is given for it. The head's weights start small, N(0, 0.01^2) with bias zero, since the sums of
  22 blocks reach it without a normalisation.
- The paper does not give the initial weights. Here as in PyTorch, whose convolutions start as those of the authors'
  library did (uniform, +-1/sqrt(fan_in)); that library drew the gains of batch normalisation from 0 to 1, here they are
  all 1.
- Odd heights and widths are rounded up in the initial block; the authors' code refuses them.
- The maps of the initial block stay 16 for other numbers of input channels; the convolution makes those that pooling
  does not.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from torch import nn

from pixelwise.layers.averaging import AveragingNetwork
from pixelwise.layers.initialisation import normal_
from pixelwise.networks.classification.enet_encoder import PAPER, ENetEncoderSpec, add_encoder
from pixelwise.specs import Facts, NetworkKind

HEAD_DEVIATION: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class ENetClassifierSpec(ENetEncoderSpec):
    """The encoder of table 1, the mean over its maps, and a full connection."""

    family: ClassVar[str] = "enet_classifier"
    task: ClassVar[NetworkKind] = "classification"

    def build(self, in_channels: int, num_classes: int) -> "ENetClassifier":
        """Make the network.

        Raises:
            SpecError: so many channels that pooling alone fills the initial block.

        """
        self.check_channels(in_channels)
        return ENetClassifier(self, in_channels, num_classes)


class ENetClassifier(AveragingNetwork):
    """Table 1 up to bottleneck3, then gap and fc.

    Odd heights and widths are rounded up in the initial block and down after it.
    """

    spec: ENetClassifierSpec
    for_small_pictures: ClassVar[str] = "resnet20_cifar"

    def __init__(self, spec: ENetClassifierSpec, in_channels: int, num_classes: int) -> None:
        super().__init__(spec, in_channels, num_classes)
        self.stages = add_encoder(self, spec)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(spec.widths[-1], num_classes)
        normal_(self.fc, std=HEAD_DEVIATION)


SPECS: tuple[ENetClassifierSpec, ...] = (
    ENetClassifierSpec(
        name="enet_classifier",
        facts=Facts(
            paper=PAPER,
            table="variant: the encoder of table 1 with a head for classes of pictures",
            input_size=(3, 224, 224),
            num_classes=1000,
            params=467_156,
            macs=311_206_656,
        ),
    ),
)

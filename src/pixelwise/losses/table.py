"""The losses by name.

A new loss is one file with one subclass of :class:`~pixelwise.losses.base.Loss`, and one line in the table of what it
is compared with.
"""

from collections.abc import Mapping
from typing import Final

from pixelwise.losses.base import Loss
from pixelwise.losses.binary_cross_entropy import BinaryCrossEntropy
from pixelwise.losses.boundary import BoundaryLoss
from pixelwise.losses.boxes import BoxLoss, GeneralisedIoU, SmoothL1
from pixelwise.losses.cl_dice import ClDice
from pixelwise.losses.cross_entropy import CrossEntropy
from pixelwise.losses.dice import GeneralisedDice, SoftDice, SquaredDice
from pixelwise.losses.focal import Focal
from pixelwise.losses.hausdorff import HausdorffLoss
from pixelwise.losses.jaccard import SoftJaccard
from pixelwise.losses.lovasz import LovaszHinge, LovaszSoftmax
from pixelwise.losses.set_cross_entropy import SetCrossEntropy
from pixelwise.losses.top_k import TopKCrossEntropy
from pixelwise.losses.tversky import FBeta, FocalTversky, Tversky

Losses = Mapping[str, type[Loss]]

CLASS_LOSSES: Final[Losses] = {
    "ce": CrossEntropy,
    "dice": SoftDice,
    "bce": BinaryCrossEntropy,
    "topk": TopKCrossEntropy,
    "focal": Focal,
    "squared_dice": SquaredDice,
    "generalised_dice": GeneralisedDice,
    "tversky": Tversky,
    "focal_tversky": FocalTversky,
    "fbeta": FBeta,
    "jaccard": SoftJaccard,
    "lovasz_hinge": LovaszHinge,
    "lovasz_softmax": LovaszSoftmax,
}
"""Of classes that exclude each other, for whole pictures and for pixels."""
LOSSES: Final[Losses] = {**CLASS_LOSSES, "boundary": BoundaryLoss, "hausdorff": HausdorffLoss, "cldice": ClDice}
"""Of classes that exclude each other, for pixels and voxels, which have neighbours."""
SET_LOSSES: Final[Losses] = {"bce": SetCrossEntropy}
"""Of classes any number of which may be shown."""
BOX_LOSSES: Final[Mapping[str, type[BoxLoss]]] = {"smooth_l1": SmoothL1, "giou": GeneralisedIoU}
"""Of one box."""

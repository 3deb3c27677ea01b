"""Losses: one file each or one for a family, an explicit table of names, and weighted sums of them as text."""

from pixelwise.losses.base import Loss, LossSettings
from pixelwise.losses.binary_cross_entropy import BinaryCrossEntropy
from pixelwise.losses.boundary import BoundaryLoss
from pixelwise.losses.boxes import BoxLoss, GeneralisedIoU, SmoothL1
from pixelwise.losses.centres import CENTRE_OUTPUTS, CentreLoss, gaussian_radius, split_outputs
from pixelwise.losses.cl_dice import ClDice
from pixelwise.losses.cross_entropy import CrossEntropy
from pixelwise.losses.dice import GeneralisedDice, SoftDice, SquaredDice
from pixelwise.losses.focal import Focal
from pixelwise.losses.hausdorff import HausdorffLoss
from pixelwise.losses.jaccard import SoftJaccard
from pixelwise.losses.localisation import BOX_OUTPUTS, LocalisationLoss
from pixelwise.losses.lovasz import LovaszHinge, LovaszSoftmax
from pixelwise.losses.parameters import parameters_of
from pixelwise.losses.set_cross_entropy import SetCrossEntropy
from pixelwise.losses.string_likelihood import (
    NO_CHARACTER,
    StringLikelihood,
    collapse,
    string_log_probability,
    windows_needed,
)
from pixelwise.losses.sums import LossSum, make_loss
from pixelwise.losses.table import BOX_LOSSES, CLASS_LOSSES, LOSSES, SET_LOSSES
from pixelwise.losses.text import LossTerm, parse_loss
from pixelwise.losses.top_k import TopKCrossEntropy
from pixelwise.losses.tversky import FBeta, FocalTversky, Tversky

__all__ = [
    "BOX_LOSSES",
    "BOX_OUTPUTS",
    "CENTRE_OUTPUTS",
    "CLASS_LOSSES",
    "LOSSES",
    "NO_CHARACTER",
    "SET_LOSSES",
    "BinaryCrossEntropy",
    "BoundaryLoss",
    "BoxLoss",
    "CentreLoss",
    "ClDice",
    "CrossEntropy",
    "FBeta",
    "Focal",
    "FocalTversky",
    "GeneralisedDice",
    "GeneralisedIoU",
    "HausdorffLoss",
    "LocalisationLoss",
    "Loss",
    "LossSettings",
    "LossSum",
    "LossTerm",
    "LovaszHinge",
    "LovaszSoftmax",
    "SetCrossEntropy",
    "SmoothL1",
    "SoftDice",
    "SoftJaccard",
    "SquaredDice",
    "StringLikelihood",
    "TopKCrossEntropy",
    "Tversky",
    "collapse",
    "gaussian_radius",
    "make_loss",
    "parameters_of",
    "parse_loss",
    "split_outputs",
    "string_log_probability",
    "windows_needed",
]

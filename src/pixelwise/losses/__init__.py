"""Losses: one file each, an explicit table of names, and weighted sums of them."""

from pixelwise.losses.base import Loss, LossSettings
from pixelwise.losses.binary_cross_entropy import BinaryCrossEntropy
from pixelwise.losses.boxes import BoxLoss, GeneralisedIoU, SmoothL1
from pixelwise.losses.cross_entropy import CrossEntropy
from pixelwise.losses.dice import SoftDice
from pixelwise.losses.localisation import BOX_OUTPUTS, LocalisationLoss
from pixelwise.losses.set_cross_entropy import SetCrossEntropy
from pixelwise.losses.string_likelihood import (
    NO_CHARACTER,
    StringLikelihood,
    collapse,
    string_log_probability,
    windows_needed,
)
from pixelwise.losses.table import BOX_LOSSES, LOSSES, SET_LOSSES, LossSum, LossTerm, make_loss, parse_loss

__all__ = [
    "BOX_LOSSES",
    "BOX_OUTPUTS",
    "LOSSES",
    "NO_CHARACTER",
    "SET_LOSSES",
    "BinaryCrossEntropy",
    "BoxLoss",
    "CrossEntropy",
    "GeneralisedIoU",
    "LocalisationLoss",
    "Loss",
    "LossSettings",
    "LossSum",
    "LossTerm",
    "SetCrossEntropy",
    "SmoothL1",
    "SoftDice",
    "StringLikelihood",
    "collapse",
    "make_loss",
    "parse_loss",
    "string_log_probability",
    "windows_needed",
]

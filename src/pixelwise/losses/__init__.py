"""Losses: one file each, an explicit table of names, and weighted sums of them."""

from pixelwise.losses.base import Loss, LossSettings
from pixelwise.losses.binary_cross_entropy import BinaryCrossEntropy
from pixelwise.losses.cross_entropy import CrossEntropy
from pixelwise.losses.dice import SoftDice
from pixelwise.losses.table import LOSSES, LossSum, LossTerm, make_loss, parse_loss

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Loss",
    "LossSettings",
    "LossSum",
    "LossTerm",
    "SoftDice",
    "make_loss",
    "parse_loss",
]

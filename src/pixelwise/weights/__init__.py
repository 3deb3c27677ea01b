"""Weights from files into networks, by explicit name maps.

A :class:`Layout` says how somebody else's names become ours, rule by rule. A file must then hold exactly the network's
tensors, in the network's shapes: nothing is left out, ignored or guessed. What may differ is said when it is done: the
auxiliary heads that only training uses, and, where the caller asks for it, the first layer and the heads.
"""

from pixelwise.weights.digest import digest
from pixelwise.weights.files import check_file
from pixelwise.weights.fit import ADAPTATIONS, Adaptation, parse_adaptations
from pixelwise.weights.layout import Layout
from pixelwise.weights.load import PlannedWeights, load_tensors, load_weights, plan_tensors, plan_weights
from pixelwise.weights.table import LAYOUTS

__all__ = [
    "ADAPTATIONS",
    "LAYOUTS",
    "Adaptation",
    "Layout",
    "PlannedWeights",
    "check_file",
    "digest",
    "load_tensors",
    "load_weights",
    "parse_adaptations",
    "plan_tensors",
    "plan_weights",
]

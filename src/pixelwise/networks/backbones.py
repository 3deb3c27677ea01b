"""The classification networks, on which networks for other tasks may stand."""

from typing import Final

from pixelwise.networks.classification import lenet, mlp, resnet
from pixelwise.specs import Spec

CLASSIFICATION: Final[tuple[Spec, ...]] = (
    *lenet.SPECS,
    *mlp.SPECS,
    *resnet.SPECS,
)
"""Every row of the papers' tables, family by family in the order of the papers."""

CLASSIFICATION_FAMILIES: Final[tuple[type[Spec], ...]] = (
    lenet.LeNetSpec,
    mlp.MLPSpec,
    resnet.ResNetSpec,
)

CLASSIFICATION_ALIASES: Final[dict[str, str]] = {
    **resnet.ALIASES,
}
"""Other names for the same rows."""

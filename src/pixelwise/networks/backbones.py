"""The classification networks, on which networks for other tasks may stand."""

from typing import Final

from pixelwise.errors import SpecError, suggest
from pixelwise.networks.classification import (
    alexnet,
    bn_inception,
    convnext,
    densenet,
    enet,
    googlenet,
    inception_resnet,
    inception_v3,
    inception_v4,
    lenet,
    mlp,
    nin,
    preact_resnet,
    resnet,
    vgg,
    wide_resnet,
)
from pixelwise.specs import Spec

CLASSIFICATION: Final[tuple[Spec, ...]] = (
    *lenet.SPECS,
    *mlp.SPECS,
    *alexnet.SPECS,
    *nin.SPECS,
    *vgg.SPECS,
    *googlenet.SPECS,
    *bn_inception.SPECS,
    *inception_v3.SPECS,
    *resnet.SPECS,
    *inception_v4.SPECS,
    *inception_resnet.SPECS,
    *preact_resnet.SPECS,
    *wide_resnet.SPECS,
    *enet.SPECS,
    *densenet.SPECS,
    *convnext.SPECS,
)
"""Every row of the papers' tables, family by family in the order of the papers."""

_IN_FULL_CONNECTIONS: Final = (alexnet.AlexNetSpec, vgg.VGGSpec)

CLASSIFICATION_FAMILIES: Final[tuple[type[Spec], ...]] = (
    lenet.LeNetSpec,
    mlp.MLPSpec,
    alexnet.AlexNetSpec,
    nin.NINSpec,
    vgg.VGGSpec,
    googlenet.GoogLeNetSpec,
    bn_inception.BNInceptionSpec,
    inception_v3.InceptionV3Spec,
    resnet.ResNetSpec,
    inception_v4.InceptionV4Spec,
    inception_resnet.InceptionResNetSpec,
    preact_resnet.PreResNetSpec,
    wide_resnet.WideResNetSpec,
    enet.ENetClassifierSpec,
    densenet.DenseNetSpec,
    convnext.ConvNeXtSpec,
)

CLASSIFICATION_ALIASES: Final[dict[str, str]] = {
    **nin.ALIASES,
    **googlenet.ALIASES,
    **bn_inception.ALIASES,
    **resnet.ALIASES,
    **preact_resnet.ALIASES,
    **wide_resnet.ALIASES,
    **densenet.ALIASES,
}
"""Other names for the same rows."""

BACKBONES: Final[dict[str, Spec]] = {row.name: row for row in CLASSIFICATION if row.fixed_size is None}
"""The rows that networks for pixels can stand on: those that take pictures of many sizes."""


def backbone_row(name: str, owner: str) -> Spec:
    """Return the row of a backbone.

    Args:
        name: of a classification network.
        owner: the network that is to stand on it, for messages.

    Raises:
        SpecError: there is none of that name, or it takes pictures of one size only.

    """
    row = BACKBONES.get(CLASSIFICATION_ALIASES.get(name, name))
    if row is not None:
        return row
    fixed = next((other for other in CLASSIFICATION if other.name == name), None)
    if fixed is not None:
        raise SpecError(
            f"{owner}: backbone={name} takes pictures of {' x '.join(map(str, fixed.fixed_size or ()))} pixels only",
            expected="a network of convolutions that takes pictures of many sizes",
            do="Choose a row of another family: "
            + ", ".join(dict.fromkeys(other.family for other in BACKBONES.values())),
        )
    raise SpecError(
        f"{owner}: backbone={name} is no classification network",
        expected="the name of one",
        do=suggest(name, BACKBONES) or "`pixelwise nets` lists them",
    )


def ends_in_full_connections(row: Spec) -> bool:
    """Whether a classification network flattens its maps, and has full connections that can become convolutions."""
    return isinstance(row, _IN_FULL_CONNECTIONS)


def dilated_row(name: str, owner: str, output_stride: int, multi_grid: tuple[int, ...] = ()) -> Spec:
    """Return the row of a residual network whose last stages are dilated instead of strided.

    Args:
        name: of a row of family resnet.
        owner: the network that is to stand on it, for messages.
        output_stride: pixels from one value of the last maps to the next, 8 or 16; 32 where nothing is dilated.
        multi_grid: factors on the last stage's rate, block by block.

    Raises:
        SpecError: no such row, or rates that it cannot have.

    """
    row = backbone_row(name, owner)
    if row.family != resnet.ResNetSpec.family:
        raise SpecError(
            f"{owner}: backbone={name} has no dilated form",
            expected="a row of family resnet",
            do="Choose another, such as resnet50; fcn32s stands on every backbone",
        )
    return row.replace(output_stride=output_stride, multi_grid=multi_grid)

"""The classification networks, on which networks for other tasks may stand."""

from typing import Final

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

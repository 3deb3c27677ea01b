"""The layouts that each family can read besides its own."""

from typing import Final

from pixelwise.weights.layout import Layout
from pixelwise.weights.maps import (
    alexnet,
    bn_inception,
    convnext,
    deeplabv3,
    densenet,
    enet,
    fcn_resnet,
    googlenet,
    inception_resnet,
    inception_v3,
    inception_v4,
    nin,
    preact_resnet,
    resnet,
    vgg,
    vnet,
    wide_resnet,
)

LAYOUTS: Final[dict[str, tuple[Layout, ...]]] = {
    "alexnet": alexnet.LAYOUTS,
    "bn_inception": bn_inception.LAYOUTS,
    "convnext": convnext.LAYOUTS,
    "deeplabv3": deeplabv3.LAYOUTS,
    "densenet": densenet.LAYOUTS,
    "enet": enet.LAYOUTS,
    "fcn_resnet": fcn_resnet.LAYOUTS,
    "googlenet": googlenet.LAYOUTS,
    "inception_resnet": inception_resnet.LAYOUTS,
    "inception_v3": inception_v3.LAYOUTS,
    "inception_v4": inception_v4.LAYOUTS,
    "nin": nin.LAYOUTS,
    "preact_resnet": preact_resnet.LAYOUTS,
    "resnet": resnet.LAYOUTS,
    "vgg": vgg.LAYOUTS,
    "vnet": vnet.LAYOUTS,
    "wide_resnet": wide_resnet.LAYOUTS,
}
"""By family; the most special layout last."""

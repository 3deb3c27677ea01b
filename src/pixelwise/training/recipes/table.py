"""The recipes by name."""

from collections.abc import Callable
from typing import Final

from pixelwise.errors import RecipeError, suggest
from pixelwise.training.recipe import Recipe
from pixelwise.training.recipes import (
    alexnet,
    bn_inception,
    convnext,
    deeplabv3,
    densenet,
    enet,
    fcn,
    general,
    googlenet,
    inception_v3,
    inception_v4,
    lenet,
    nin,
    preact_resnet,
    pspnet,
    resnet,
    segnet,
    unet,
    vgg,
    volumes,
    wide_resnet,
)

RECIPES: Final[dict[str, Callable[[], Recipe]]] = {
    "quick": general.quick,
    "one_epoch": general.one_epoch,
    "lenet": lenet.lenet,
    "mlp": lenet.mlp,
    "alexnet": alexnet.alexnet,
    "alexnet_owt": alexnet.alexnet_owt,
    "nin_cifar": nin.nin_cifar,
    "nin_imagenet": nin.nin_imagenet,
    "bn_nin_cifar": nin.bn_nin_cifar,
    "bn_nin_imagenet": nin.bn_nin_imagenet,
    "vgg": vgg.vgg,
    "googlenet": googlenet.googlenet,
    "bn_inception": bn_inception.bn_inception,
    "bn_inception_x5": bn_inception.bn_inception_x5,
    "bn_inception_x30": bn_inception.bn_inception_x30,
    "resnet_imagenet": resnet.resnet_imagenet,
    "resnet_cifar": resnet.resnet_cifar,
    "resnet110_cifar": resnet.resnet110_cifar,
    "preact_resnet_imagenet": preact_resnet.preact_resnet_imagenet,
    "preact_resnet_cifar": preact_resnet.preact_resnet_cifar,
    "wide_resnet_cifar": wide_resnet.wide_resnet_cifar,
    "wide_resnet_svhn": wide_resnet.wide_resnet_svhn,
    "wide_resnet_imagenet": wide_resnet.wide_resnet_imagenet,
    "inception_v3": inception_v3.inception_v3,
    "inception_v4": inception_v4.inception_v4,
    "inception_resnet_two_phase": inception_v4.inception_resnet_two_phase,
    "densenet_imagenet": densenet.densenet_imagenet,
    "densenet_cifar": densenet.densenet_cifar,
    "enet": enet.enet,
    "enet_davidtvs": enet.enet_davidtvs,
    "segnet": segnet.segnet,
    "convnext": convnext.convnext,
    "fcn": fcn.fcn,
    "fcn_heavy": fcn.fcn_heavy,
    "fcn_heavy_16s": fcn.fcn_heavy_16s,
    "fcn_heavy_8s": fcn.fcn_heavy_8s,
    "unet": unet.unet,
    "unet_cells": unet.unet_cells,
    "vnet": volumes.vnet,
    "unet3d": volumes.unet3d,
    "pspnet": pspnet.pspnet,
    "deeplabv3": deeplabv3.deeplabv3,
    "deeplabv3_os8": deeplabv3.deeplabv3_os8,
}


def make_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        RecipeError: there is none (with near misses).

    """
    if name not in RECIPES:
        raise RecipeError(
            f"{name!r} is not a recipe",
            expected="the name of a recipe",
            do=suggest(name, RECIPES) or f"They are {', '.join(RECIPES)}",
        )
    return RECIPES[name]()

"""The explicit list of every network that can be created by name.

>>> create("resnet50", in_channels=3, num_classes=10)
>>> spec("unet").replace(padding="same", widths=(32, 64, 128, 256, 512)).build(in_channels=1, num_classes=2)

Nothing registers itself: a network is here because its family's ``SPECS`` are in the tuple below. Nothing is built
before it is asked for.
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pixelwise.errors import SpecError, UsageError, suggest
from pixelwise.networks.backbones import CLASSIFICATION, CLASSIFICATION_ALIASES, CLASSIFICATION_FAMILIES
from pixelwise.networks.segmentation import (
    deeplabv3,
    enet,
    fcn,
    fcn_resnet,
    pspnet,
    segnet,
    unet,
    unet3d,
    unet_backbone,
    vnet,
)
from pixelwise.networks.sequence import window_crf
from pixelwise.specs import Network, Spec
from pixelwise.storage.paths import as_path
from pixelwise.weights import load_weights

_LOG = logging.getLogger(__name__)

_SPECS: dict[str, Spec] = {
    row.name: row
    for row in (
        *CLASSIFICATION,
        *fcn.SPECS,
        *fcn_resnet.SPECS,
        *unet.SPECS,
        *unet_backbone.SPECS,
        *enet.SPECS,
        *segnet.SPECS,
        *vnet.SPECS,
        *unet3d.SPECS,
        *pspnet.SPECS,
        *deeplabv3.SPECS,
        *window_crf.SPECS,
    )
}

_KINDS: tuple[type[Spec], ...] = (
    *CLASSIFICATION_FAMILIES,
    fcn.FCNSpec,
    fcn_resnet.FCNResNetSpec,
    unet.UNetSpec,
    unet_backbone.UNetBackboneSpec,
    enet.ENetSpec,
    segnet.SegNetSpec,
    vnet.VNetSpec,
    unet3d.UNet3DSpec,
    pspnet.PSPNetSpec,
    deeplabv3.DeepLabV3Spec,
    window_crf.WindowCRFSpec,
)
_FAMILIES: dict[str, type[Spec]] = {kind.family: kind for kind in _KINDS}

BACKBONE = "backbone"
"""The column of networks that stand on a classification network."""

ALIASES: dict[str, str] = {
    **CLASSIFICATION_ALIASES,
    **fcn.ALIASES,
    **enet.ALIASES,
    **deeplabv3.ALIASES,
    "unet_small": "unet16",
}
"""Other names for the same rows; not listed by :func:`names`."""


def names() -> tuple[str, ...]:
    """List every network's name, family by family."""
    return tuple(_SPECS)


def spec(name: str, *, backbone: str | None = None, **columns: object) -> Spec:
    """Return the row of a paper's table that has this name, with other values in some columns where they are given.

    >>> spec("fcn8s", backbone="resnet50")
    >>> spec("vnet", widths=(8, 16, 32))

    Args:
        name: one of :func:`names`, or of ``ALIASES``.
        backbone: the classification network that the network is to stand on, in place of the row's own.
        columns: as for :meth:`~pixelwise.specs.Spec.replace`.

    Raises:
        UsageError: an unknown name, with those that resemble it.
        SpecError: a network that stands on none, a backbone that cannot serve, an unknown column, a wrong value.

    """
    found = _SPECS.get(ALIASES.get(name, name))
    if found is None:
        others = [alias for alias, row in ALIASES.items() if not alias.startswith(row)]  # resnet20_cifar10 says no more
        hint = suggest(name.lower(), (*_SPECS, *others)) or "`pixelwise nets` lists all of them"
        raise UsageError(f"there is no network {name!r}", do=hint)
    row = _on_backbone(found, backbone)
    return row.replace(**columns) if columns else row


def _on_backbone(found: Spec, backbone: str | None) -> Spec:
    if backbone is None:
        return found
    if BACKBONE not in found.columns():
        choosing = [row.name for row in _SPECS.values() if BACKBONE in row.columns()]
        raise SpecError(
            f"{found.name} stands on no backbone, asked for {backbone}",
            expected="a network whose backbone can be chosen",
            do=f"Leave the backbone out, or choose one of {', '.join(choosing)}",
        )
    return found.replace(**{BACKBONE: backbone})


def create(
    network: Spec | str,
    *,
    in_channels: int,
    num_classes: int,
    backbone: str | None = None,
    weights: Path | str | None = None,
    adapt: Collection[str] = (),
) -> Network:
    """Build a network.

    Args:
        network: one of :func:`names`, or a spec, of which columns may have been changed.
        in_channels: channels of the images.
        num_classes: number of logits.
        backbone: the classification network to stand on, see :func:`spec`.
        weights: a file of weights for exactly this network or for its backbone, ``.safetensors``, ``.pth``, ``.pt`` or
            ``.th``, or a run or a model folder, which hold one; without it the weights are drawn as the paper says.
            Weights as torchvision and timm publish them are read as well; the network's ``pretraining`` then says which
            pictures they expect.
        adapt: differences between file and network to bridge, none by default: ``"head"`` draws fresh last layers for
            other classes, ``"input"`` brings the first layer's filters to other channels. What was done is logged.

    Raises:
        UsageError: an unknown name or adaptation, or weights that are no path.
        SpecError: impossible channels or classes, or a backbone that cannot serve.
        WeightsError: the file is unsafe, damaged or does not fit.

    """
    row = _on_backbone(network, backbone) if isinstance(network, Spec) else spec(network, backbone=backbone)
    built = row.build(in_channels, num_classes)
    if weights is not None:
        for note in load_weights(built, as_path(weights, "weights"), adapt=adapt):
            _LOG.warning("%s: %s", weights, note)
    return built


def spec_from_json(content: Mapping[str, Any]) -> Spec:
    """Read what :meth:`~pixelwise.specs.Spec.to_json` wrote; facts come back for unchanged rows of the catalogue.

    Raises:
        SpecError: an unknown family or column, a missing column, or a value of the wrong type.

    """
    family, name, columns = content.get("family"), content.get("name"), content.get("columns")
    if not isinstance(family, str) or not isinstance(name, str) or not isinstance(columns, Mapping):
        raise SpecError(
            f"a network description with the keys {sorted(map(str, content))}",
            expected="family, name and columns",
            do="Take it from a file that pixelwise wrote",
        )
    kind = _FAMILIES.get(family)
    if kind is None:
        raise SpecError(f"{name}: unknown family {family!r}", do=suggest(family, _FAMILIES))
    columns = {**kind.columns_added, **columns}
    missing = sorted(set(kind.columns()) - set(columns))
    if missing:
        raise SpecError(
            f"{name}: no value for {', '.join(missing)}",
            expected=f"every column of {family}",
            do="The file was written by another version of pixelwise: use that one, or add the columns",
        )
    known = _SPECS.get(name)
    return (known if isinstance(known, kind) else kind(name=name)).recorded(columns)

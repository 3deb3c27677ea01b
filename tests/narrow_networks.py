"""Every row of the catalogue with few maps: the same windows, steps and skips, for little work."""

from typing import Any

from pixelwise import catalogue
from pixelwise.specs import Network, Spec

_VGG = {"widths": (4, 4, 6, 6, 8), "hidden": (8, 8)}
_RESNET = {"widths": (4, 4, 8, 8)}
_BY_FAMILY: dict[str, dict[str, Any]] = {
    "alexnet": {"widths": (8, 8, 8, 8, 8), "hidden": (8, 8)},
    "vgg": _VGG,
    "googlenet": {"width": 0.05},
    "bn_inception": {"width": 0.05},
    "inception_v3": {"width": 0.05},
    "inception_v4": {"width": 0.05},
    "inception_resnet": {"width": 0.05},
    "convnext": {"widths": (4, 4, 8, 8)},
    "unet": {"widths": (4, 4, 4, 4, 4)},
    "unet_backbone": {"widths": (4, 4, 4, 4, 4)},
    "unet3d": {"widths": (2, 2, 2, 2)},
    "vnet": {"widths": (2, 2, 4, 4, 4)},
    "densenet": {"growth_rate": 4, "stem_width": 8},
    "wide_resnet": {"widening": 1},
}
_BY_NAME: dict[str, dict[str, Any]] = {
    "unet_phseg_v5": {"widths": (4, 4, 4, 4, 4), "up_widths": (6, 6, 6, 6)},
    "segnet": {"widths": (4, 4, 4, 4, 4)},
    "segnet_basic": {"widths": (4, 4, 4, 4)},
}


def narrow_spec(name: str) -> Spec:
    """Return a row with few maps, where its family has a column for them."""
    spec = catalogue.spec(name)
    columns = _BY_NAME.get(name, _BY_FAMILY.get(spec.family, {}))
    if spec.family in ("resnet", "preact_resnet") and len(getattr(spec, "widths", ())) == 4:
        columns = _RESNET
    return spec.replace(**columns)


def narrow(name: str, num_classes: int = 2) -> Network:
    """Build a narrow network for the channels of its paper."""
    facts = catalogue.spec(name).facts
    assert facts is not None
    return narrow_spec(name).build(facts.input_size[0], num_classes)

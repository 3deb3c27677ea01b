"""V-Net: MONAI's names. Its weights carry no word on the pictures that they expect: values as they are."""

from typing import Final

from pixelwise.specs import Pretraining
from pixelwise.weights.layout import PARALLEL_PREFIX, Layout, Rule

_LEFT: Final = {32: 1, 64: 2, 128: 3, 256: 4}
"""By the maps in their names, the levels above the strided convolutions."""
_RIGHT: Final = {256: 4, 128: 3, 64: 2, 32: 1}

_DOWN: Final[list[Rule]] = [
    rule
    for maps, level in _LEFT.items()
    for rule in (
        (rf"^down_tr{maps}\.down_conv\.", f"d{level}.conv."),
        (rf"^down_tr{maps}\.bn1\.", f"d{level}.norm."),
        (rf"^down_tr{maps}\.ops\.", f"e{level + 1}.convs."),
    )
]
_UP: Final[list[Rule]] = [
    rule
    for maps, level in _RIGHT.items()
    for rule in (
        (rf"^up_tr{maps}\.up_conv\.", f"u{level}.1.conv."),
        (rf"^up_tr{maps}\.bn1\.", f"u{level}.1.norm."),
        (rf"^up_tr{maps}\.ops\.", f"r{level}.stage.convs."),
    )
]

LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(source="MONAI", mean=(0.0,), std=(1.0,)),
        marker=r"^(module\.)?in_tr\.conv_block\.conv\.weight$",
        rules=(
            PARALLEL_PREFIX,
            *_DOWN,
            *_UP,
            (r"^in_tr\.", "e1.convs.0."),
            (r"^out_tr\.conv_block\.", "out.0."),
            (r"^out_tr\.conv2\.", "out.1."),
            (r"\.conv_block\.", "."),
            (r"\.adn\.N\.", ".norm."),
        ),
        needs={"activation": "elu", "addition": "after_activation"},
    ),
)

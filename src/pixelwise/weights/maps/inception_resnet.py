"""Inception-ResNet-v2 as released: timm's names."""

from typing import Final

from pixelwise.specs import Network, Pretraining
from pixelwise.weights.layout import HALF, PARALLEL_PREFIX, Layout, Rule
from pixelwise.weights.maps.inception_v4 import BRANCHES


def rules(network: Network) -> tuple[Rule, ...]:
    """Return the rules for a network of any depths."""
    rows = [name for name, _ in network.named_children()]
    a, b, c = (row for row in rows if "xblock" in row or row.endswith(("xA", "xB", "xC")))
    closing = next((row for row in rows if row.startswith("block8_")), "block8")
    return (
        PARALLEL_PREFIX,
        (r"^conv2d_7b\.", "conv7b."),
        (r"^conv2d_", ""),
        (r"^mixed_", "mixed"),
        (r"^repeat\.", f"{a}."),
        (r"^repeat_1\.", f"{b}."),
        (r"^repeat_2\.", f"{c}."),
        (r"^block8\.", f"{closing}."),
        (r"^(\d+xblock\d+\.\d+|block8_\d+)\.branch", r"\1.branches.branch"),
        (r"^(\d+xblock\d+\.\d+|block8_\d+)\.conv2d\.", r"\1.up."),
        *BRANCHES,
        (r"^classif\.", "fc."),
    )


LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(source="timm", mean=HALF, std=HALF),
        marker=r"^(module\.)?(conv2d_1a\.conv|classif)\.weight$",
        rules=rules,
        needs={"scales": (0.17, 0.1, 0.2)},
    ),
)

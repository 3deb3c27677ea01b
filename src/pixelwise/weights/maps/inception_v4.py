"""Inception-v4: timm's names, which number the rows of the trunk from end to end."""

from typing import Final

from pixelwise.specs import Network, Pretraining
from pixelwise.weights.layout import HALF, PARALLEL_PREFIX, Layout, Rule

BRANCHES: Final[tuple[Rule, ...]] = (
    (r"\.bn\.", ".norm."),
    (r"\.branch3\.1\.", ".branch_3."),  # the projection behind the average
    (r"\.branch(\d)_(\d)a\.", r".branch_\1.\2.1x3."),
    (r"\.branch(\d)_(\d)b\.", r".branch_\1.\2.3x1."),
    (r"\.branch(\d)_(\d)\.", r".branch_\1.\2."),
    (r"\.branch(\d)\.(conv|norm)\.", r".branch_\1.0.\2."),  # branches of a single convolution
    (r"\.branch(\d)\.", r".branch_\1."),
)
"""From timm's names inside modules, for Inception-v4 and Inception-ResNet."""


def rules(network: Network) -> tuple[Rule, ...]:
    """Return the rules for a network of any depths."""
    rows = [
        name if depth is None else f"{name}.{index}"
        for name, depth in _depths(network)
        for index in range(1 if depth is None else depth)
    ]
    return (
        PARALLEL_PREFIX,
        *((rf"^features\.{number}\.", f"{row}.") for number, row in enumerate(rows)),
        (r"^mixed3\.conv\.", "mixed3.branch1."),
        (r"^mixed5\.conv\.", "mixed5.branch0."),
        *BRANCHES,
        (r"^last_linear\.", "fc."),
    )


def _depths(network: Network) -> list[tuple[str, int | None]]:
    """Return the rows up to the last stage, with the number of modules where a row has several."""
    names = [name for name, _ in network.named_children()]
    trunk = names[: names.index(network.stages[-1].module) + 1]
    deep = [stage.module for stage in network.stages[2:]]
    return [(name, len(list(network.get_submodule(name).children())) if name in deep else None) for name in trunk]


LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(source="timm", mean=HALF, std=HALF),
        marker=r"^(module\.)?last_linear\.weight$",
        rules=rules,
    ),
)

"""How somebody else's names become ours."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pixelwise.specs import Network, Pretraining

Rule = tuple[str, str]
"""A regular expression, and what takes the place of each match."""

PARALLEL_PREFIX: Rule = (r"^module\.", "")
"""What DataParallel puts before every name."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of torchvision's published weights."""
HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation of weights that were trained on values from -1 to 1, as Inception's are."""

TORCHVISION = Pretraining(source="torchvision", mean=IMAGENET_MEAN, std=IMAGENET_STD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Names as another project writes them.

    Attributes:
        pretraining: whose they are, and which pictures their weights expect.
        marker: a regular expression for a name that only this layout has.
        rules: applied in order to every name. Families whose names depend on the size give a function of the network.
        reshape: what is done to a tensor under our name, where the other project keeps it in another form.

    """

    pretraining: Pretraining
    marker: str
    rules: tuple[Rule, ...] | Callable[[Network], tuple[Rule, ...]]
    reshape: Callable[[str, Tensor], Tensor] | None = None

    def rename(self, network: Network, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors under our names."""
        rules = self.rules(network) if callable(self.rules) else self.rules
        renamed = {}
        for name, tensor in tensors.items():
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)  # noqa: PLW2901 - rule after rule
            renamed[name] = self.reshape(name, tensor) if self.reshape else tensor
        return renamed

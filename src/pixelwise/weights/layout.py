"""How somebody else's names become ours."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from pixelwise.errors import SpecError, WeightsError
from pixelwise.networks.backbones import CLASSIFICATION
from pixelwise.specs import Network, Pretraining, Spec
from pixelwise.values import show_value
from pixelwise.weights.record import TRAINING_COLUMNS

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
        needs: columns of the family's table which have no weights, and so leave no mark in a file, with the values that
            the other project's networks have. With other values the same weights would give other answers.

    """

    pretraining: Pretraining
    marker: str
    rules: tuple[Rule, ...] | Callable[[Network], tuple[Rule, ...]]
    reshape: Callable[[str, Tensor], Tensor] | None = None
    needs: Mapping[str, object] = field(default_factory=dict)

    def names(self, network: Network, theirs: Iterable[str], source: str) -> dict[str, str]:
        """Return our name for each of theirs.

        Raises:
            WeightsError: two names become one.

        """
        rules = self.rules(network) if callable(self.rules) else self.rules
        origins = dict[str, str]()
        for original in theirs:
            name = original
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)
            if name in origins:
                raise WeightsError(
                    f"{source}: {origins[name]} and {original} are the same tensor, {name}",
                    expected="each tensor once",
                    do="Save the network's state_dict() once more, under its own names alone",
                )
            origins[name] = original
        return {original: name for name, original in origins.items()}

    def rename(self, names: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors under the names that :meth:`names` gave, in our form."""
        return {
            names[theirs]: self.reshape(names[theirs], tensor) if self.reshape else tensor
            for theirs, tensor in tensors.items()
        }

    def check_spec(self, spec: Spec, source: str) -> None:
        """Refuse weights for a network that answers otherwise than the one that they are of, whatever their shapes.

        Raises:
            WeightsError: a column of ``needs`` has another value, with the row that has the right one, if any.

        """
        others = {key: value for key, value in self.needs.items() if getattr(spec, key) != value}
        if others:
            differences = [
                f"{key}={show_value(value)} instead of {show_value(getattr(spec, key))}"
                for key, value in others.items()
            ]
            raise WeightsError(
                f"{source} holds weights of another network, as {self.pretraining.source} builds it: "
                + ", ".join(differences),
                expected=f"weights of {spec.name} as it is",
                do=_remedy(spec, others),
            )


def _remedy(spec: Spec, changes: Mapping[str, object]) -> str:
    settings = " ".join(f"{key}={show_value(value)}" for key, value in changes.items())
    try:
        wanted = spec.replace(**changes)
    except SpecError:  # one that the other columns do not allow
        return "Create the network that the weights belong to"
    columns = [key for key in spec.columns() if key not in TRAINING_COLUMNS]
    for row in CLASSIFICATION:
        if row.family == spec.family and all(getattr(row, key) == getattr(wanted, key) for key in columns):
            return f"Create {row.name}, or set {settings}"
    return f"Set {settings}"

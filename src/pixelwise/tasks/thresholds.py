"""Tasks whose classes count from a probability on that is chosen on the validation split."""

from dataclasses import dataclass
from typing import Any

from pixelwise.errors import UsageError
from pixelwise.metrics import DEFAULT_THRESHOLD
from pixelwise.tasks.base import Task


@dataclass(frozen=True, kw_only=True)
class ThresholdTask(Task):
    """A task with one threshold for each class.

    Attributes:
        thresholds: the probability of each class from which it counts as shown. They are chosen on the validation
            pictures at the end of training; None until then, which means 0.5.

    """

    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse thresholds that do not fit, after what every task refuses."""
        super().__post_init__()
        given = self.thresholds
        if given is not None and (len(given) != len(self.classes) or not all(0 <= one <= 1 for one in given)):
            raise UsageError(
                f"thresholds {', '.join(f'{one:g}' for one in given)}",
                expected=f"{len(self.classes)} numbers from 0 to 1, one for each class",
                do="Correct them",
            )

    @property
    def cutoffs(self) -> tuple[float, ...]:
        """The thresholds; 0.5 where none were chosen."""
        return self.thresholds or (DEFAULT_THRESHOLD,) * len(self.classes)

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain JSON."""
        return {**super().to_json(), "thresholds": None if self.thresholds is None else list(self.thresholds)}

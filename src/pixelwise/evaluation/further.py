"""Scores of label maps that are computed where they are asked for: outlines, which take time, and F-beta of any weight.

Outlines (:mod:`pixelwise.metrics.surface`) are compared class by class in each picture: the mask of the class in the
truth with that in the prediction. The score of a class is the mean over the pictures in which it is defined, that of
the whole the mean over the classes. Where a class is in one of the two alone, the distance is infinite; the picture's
diagonal, the largest distance that there could be in it, stands in, so that an object that was missed or invented costs
and the mean stays finite. Ignored pixels belong to no mask.

F-beta (``f2``, ``f0.5``, ...) comes from the same pooled counts as the other scores.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import UsageError
from pixelwise.metrics import ClassCounts, SurfaceDistances, ratio

Array = NDArray[np.float64]

OUTLINES: Final[Mapping[str, Callable[[SurfaceDistances], float]]] = {
    "hausdorff": SurfaceDistances.hausdorff,
    "hausdorff_95": SurfaceDistances.hausdorff_95,
    "average_surface_distance": SurfaceDistances.average,
    "boundary_f": SurfaceDistances.boundary_f,
}
DISTANCES: Final = frozenset({"hausdorff", "hausdorff_95", "average_surface_distance"})
"""Those that are no fractions but lengths."""
_F_BETA = re.compile(r"f(\d+(?:\.\d+)?|\.\d+)")


@dataclass(frozen=True, slots=True)
class Further:
    """Which scores were asked for.

    Attributes:
        outlines: names in :data:`OUTLINES`.
        betas: by the name of the score.
        unit: of lengths.

    """

    outlines: tuple[str, ...] = ()
    betas: Mapping[str, float] = field(default_factory=dict)
    unit: str = "px"

    @classmethod
    def of(cls, names: Sequence[str]) -> "Further":
        """Sort out names.

        Raises:
            UsageError: an unknown name.

        """
        betas: dict[str, float] = {}
        for name in names:
            found = _F_BETA.fullmatch(name)
            if found and float(found[1]) > 0:
                betas[name] = float(found[1])
            elif name not in OUTLINES:
                raise UsageError(
                    f"--scores {name}",
                    expected=f"{', '.join(OUTLINES)}, or F-beta such as f2 or f0.5",
                    do="Name scores with commas between them",
                )
        return cls(tuple(dict.fromkeys(name for name in names if name in OUTLINES)), betas)

    def row(
        self,
        truth: NDArray[Any],
        prediction: NDArray[Any],
        num_classes: int,
        *,
        spacing: Sequence[float] | None = None,
    ) -> Array:
        """Compare one picture's or volume's label maps.

        Args:
            truth: class indices; 255 belongs to no class.
            prediction: the same shape.
            num_classes: K.
            spacing: distance between neighbours along each axis, in the unit of lengths; None = 1 everywhere.

        Returns:
            (2, outlines, K): the values (0 where undefined), and whether they are defined (1 or 0).

        """
        rows = np.zeros((2, len(self.outlines), num_classes))
        if not self.outlines:
            return rows
        steps = spacing or (1.0,) * truth.ndim
        diagonal = math.hypot(*(side * step for side, step in zip(truth.shape, steps, strict=True)))
        for index in range(num_classes):
            distances = SurfaceDistances.between(truth == index, prediction == index, spacing)
            values = np.array([OUTLINES[name](distances) for name in self.outlines])
            defined = ~np.isnan(values)
            rows[0, :, index] = np.where(defined, np.minimum(values, diagonal), 0)
            rows[1, :, index] = defined
        return rows

    def of_classes(self, sums: Array, counts: ClassCounts) -> dict[str, Array]:
        """Return the scores of the classes, (b, K) by name.

        Args:
            sums: (b, 2 * outlines * K), of the rows of pictures laid out flat.
            counts: of pixels, (b, K).

        """
        values, defined = np.moveaxis(sums.reshape(len(sums), 2, len(self.outlines), counts.truth.shape[-1]), 1, 0)
        means = ratio(values, defined)
        scores = {name: means[:, place] for place, name in enumerate(self.outlines)}
        return scores | {name: counts.f_beta(beta) for name, beta in self.betas.items()}

    def units(self) -> dict[str, str]:
        """Return the unit of the overall scores that are no fractions."""
        return {f"mean_{name}": self.unit for name in self.outlines if name in DISTANCES}

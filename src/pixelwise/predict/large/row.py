"""A large picture in the table of all pictures: the same columns as those of small ones, without their pixels."""

from dataclasses import dataclass
from typing import Any, ClassVar

from pixelwise.predict.large.report import Outcome
from pixelwise.predict.prediction import number_cells

_UM_A_MM, _UM3_A_ML = 1e3, 1e12


@dataclass(frozen=True, slots=True)
class LargeRow:
    """What the table of pictures says of a large one; see :class:`~pixelwise.predict.table.Row`.

    Attributes:
        size: height and width, or depth, height and width.
        outcome: of its prediction.
        pixel_size: in micrometres along each axis; None where it is not known.

    """

    size: tuple[int, ...]
    outcome: Outcome
    pixel_size: tuple[float, ...] | None

    has_mask: ClassVar[bool] = True

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the picture."""
        return self.outcome.notes

    def cells(self) -> list[object]:
        """Return a row's cells."""
        areas, found = self.outcome.areas_px.values(), self.outcome.found
        if found is not None:
            means = ["" if mean is None else f"{mean:.6g}" for mean in found.mean_areas_px.values()]
            return [*self.size, *found.counts.values(), *means]
        if len(self.size) == 2:
            return [*self.size, *areas, *number_cells(area / sum(areas) for area in areas)]
        volumes = self._volumes_ml()
        return [*self.size, *areas, *([""] * len(areas) if volumes is None else number_cells(volumes.values()))]

    def to_json(self) -> dict[str, Any]:
        """Return what it says as plain JSON; objects stand in a file of their own."""
        areas, found = self.outcome.areas_px, self.outcome.found
        if len(self.size) == 3:
            depth, height, width = self.size
            spacing = None if self.pixel_size is None else [side / _UM_A_MM for side in self.pixel_size]
            measured = {"spacing_mm": spacing, "voxels": areas, "volumes_ml": self._volumes_ml()}
            return {"depth": depth, "height": height, "width": width, **measured}
        placed = {"height_px": self.size[0], "width_px": self.size[1]}
        if found is not None:
            return placed | {"counts": found.counts}
        total = sum(areas.values())
        return placed | {"areas_px": areas, "fractions": {name: area / total for name, area in areas.items()}}

    def _volumes_ml(self) -> dict[str, float] | None:
        if self.pixel_size is None:
            return None
        depth, height, width = self.pixel_size
        each = depth * height * width / _UM3_A_ML
        return {name: count * each for name, count in self.outcome.areas_px.items()}

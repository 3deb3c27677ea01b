"""Which scores stand for a whole label map, of pixels and of voxels.

Of pictures every class counts, the background too, as in the papers on segmented scenes (Everingham et al., "The PASCAL
Visual Object Classes Challenge", 2010; Long, Shelhamer and Darrell 2015, section 5). Of volumes the first class, the
background, stays out of the means, as in the papers on them (Milletari, Navab and Ahmadi 2016; the Medical Segmentation
Decathlon, Antonelli et al. 2022): it fills most of a volume, is nearly always right, and would only lift the mean.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pixelwise.metrics.per_class import Array, ClassCounts, mean_defined


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMapScores:
    """The scores of a whole from the counts of its classes.

    Attributes:
        first: index of the first class that the means count.
        means: score of a class by the name that its mean over the classes has; the first one ranks single samples.
        accuracy: name of the share that is right, of everything and of one class (its recall).
        mean_recall: name of the mean of the classes' recall.

    """

    first: int
    means: Mapping[str, Callable[[ClassCounts], Array]]
    accuracy: str
    mean_recall: str

    def mean(self, values: Array) -> Array:
        """Return the mean over the counted classes, (..., K) -> (...); NaN where it is defined for none of them."""
        return mean_defined(values[..., self.first :])

    def running(self, counts: ClassCounts) -> dict[str, Array]:
        """Return what every epoch is told by, (...) each: the means and the share that is right."""
        means = {name: self.mean(metric(counts)) for name, metric in self.means.items()}
        return means | {self.accuracy: counts.accuracy()}

    def overall(self, counts: ClassCounts) -> dict[str, Array]:
        """Return all scores of the whole, (...) each."""
        return self.running(counts) | {self.mean_recall: self.mean(counts.recall())}

    def of_sample(self, counts: ClassCounts) -> float:
        """Return the score by which a single sample is ranked; NaN where it is undefined."""
        return float(self.mean(next(iter(self.means.values()))(counts)))


PIXELS: Final = LabelMapScores(
    first=0,
    means=MappingProxyType({"mean_iou": ClassCounts.iou, "mean_dice": ClassCounts.f1}),
    accuracy="pixel_accuracy",
    mean_recall="mean_pixel_accuracy",
)
VOXELS: Final = LabelMapScores(
    first=1,
    means=MappingProxyType({"foreground_dice": ClassCounts.f1, "foreground_iou": ClassCounts.iou}),
    accuracy="voxel_accuracy",
    mean_recall="foreground_recall",
)

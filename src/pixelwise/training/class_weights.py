"""Factors for classes, as a run is asked for them: numbers, or a rule that the training data fill in."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.data.manifest import Manifest
from pixelwise.data.pixel_counts import count_pixels
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError, UsageError
from pixelwise.tasks import Task
from pixelwise.tasks.class_weights import RULES, WeightRule

ClassWeights = Sequence[float] | WeightRule | None


def settle_class_weights(
    wanted: ClassWeights, kind: type[Task], manifest: Manifest, root: Path
) -> tuple[float, ...] | None:
    """Return one factor for each class, or None where there are none.

    Args:
        wanted: numbers, the name of a rule, or None.
        kind: the task; masks are counted by pixel, everything else by picture.
        manifest: with splits.
        root: the data folder.

    Raises:
        UsageError: an unknown rule.
        DataError: the rule does not suit the task, a class is missing, or a mask cannot be read.

    """
    if not isinstance(wanted, str):
        return None if wanted is None else tuple(wanted)
    if wanted not in RULES:
        raise UsageError(
            f"class_weights={wanted!r}", expected=f"{', '.join(RULES)}, or one number for each class", do="Choose one"
        )
    if kind.weighs_pixels:
        counts = count_pixels(SampleReader(root, manifest), manifest.indices("train"), len(manifest.classes))
        return RULES[wanted](counts, manifest.classes, "pixels")
    if wanted != "balanced":
        raise DataError(
            f"class weights {wanted!r} for {manifest.task}",
            expected="masks of classes, whose pixels can be counted",
            do="Use balanced, or give one number for each class",
        )
    return kind.balanced_weights(manifest)

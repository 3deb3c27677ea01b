"""What people look at when a large picture is done: a small overlay, and a summary as JSON."""

import resource
import sys
from typing import Any

from pixelwise.data.regions import RegionSource, open_source
from pixelwise.data.writing import write_png
from pixelwise.predict.large.overview import overview
from pixelwise.predict.large.places import Places
from pixelwise.predict.overlay import draw_overlay, legend_of, with_captions
from pixelwise.predict.tiling import TilePlan
from pixelwise.storage.atomic import make_folder, write_json

FORMAT = 1


def write_report(
    source: RegionSource,
    places: Places,
    plan: TilePlan,
    areas_px: dict[str, int],
    *,
    notes: tuple[str, ...],
    seconds: float,
    counts: dict[str, int] | None = None,
) -> None:
    """Write the overlay and then the summary.

    Raises:
        OutputError: they cannot be written.

    """
    classes = tuple(areas_px)
    make_folder(places.overlay.parent)
    make_folder(places.summary.parent)
    with open_source(places.mask, 3 if len(plan.size) == 3 else 2, stored=True) as label_map:
        picture, labels = overview(source, label_map)
    drawn = draw_overlay(picture, labels, classes)
    write_png(places.overlay, with_captions(drawn, legend_of(list(areas_px.values()), classes)))
    summary = _summary(source, places, plan, areas_px, notes=notes, seconds=seconds)
    write_json(places.summary, summary if counts is None else summary | {"counts": counts})


def _summary(
    source: RegionSource,
    places: Places,
    plan: TilePlan,
    areas_px: dict[str, int],
    *,
    notes: tuple[str, ...],
    seconds: float,
) -> dict[str, Any]:
    total = sum(areas_px.values())
    results = {
        "mask": places.mask,
        "probabilities": places.probabilities,
        "labels": places.labels,
        "objects": places.objects,
        "overlay": places.overlay,
    }
    unit, pixel = ("um3" if len(plan.size) == 3 else "um2"), source.pixel_size
    measured = {}
    if pixel is not None:
        each = 1.0
        for side in pixel:
            each *= side
        measured = {
            "pixel_size_um": list(pixel),
            f"areas_{unit}" if unit == "um2" else f"volumes_{unit}": {k: n * each for k, n in areas_px.items()},
        }
    return {
        "format": FORMAT,
        "input": source.name,
        "size_px": list(plan.size),
        "areas_px": areas_px,
        "fractions": {name: area / total for name, area in areas_px.items()},
        **measured,
        "notes": list(notes),
        "files": {name: path.relative_to(places.out).as_posix() for name, path in results.items() if path is not None},
        "tiles": {
            "count": len(plan),
            "grid": list(plan.grid),
            "input_px": list(plan.shape),
            "computed_per_kept_pixel": round(plan.redundancy, 4),
            "equals_whole_picture": plan.is_exact,
            "reasons": list(plan.reasons),
            "digest": plan.digest(),
        },
        "seconds": round(seconds, 3),
        "peak_memory_bytes": peak_memory_bytes(),
    }


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held at a time."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

"""What people look at when a large picture is done: a small overlay, and a summary as JSON."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pixelwise.data.regions import RegionSource, open_source
from pixelwise.data.regions.sink import unfinished, whole
from pixelwise.data.writing import write_png
from pixelwise.predict.large.begun import Begun
from pixelwise.predict.large.memory import peak_memory_bytes
from pixelwise.predict.large.objects import Found
from pixelwise.predict.large.overview import overview
from pixelwise.predict.large.places import Places
from pixelwise.predict.overlay import draw_overlay, legend_of, with_captions
from pixelwise.predict.tiling import TilePlan
from pixelwise.storage.atomic import make_folder, read_json, write_json

FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is said of a picture once it is predicted."""

    areas_px: dict[str, int]
    """Pixels of each class."""
    notes: tuple[str, ...]
    seconds: float
    """Of the process that ended it."""
    found: Found | None = None
    """Instances: the objects."""


def write_overlay(source: RegionSource, places: Places, areas_px: dict[str, int]) -> None:
    """Draw a small picture of it all, still under its unfinished name.

    Raises:
        OutputError: it cannot be written.

    """
    classes = tuple(areas_px)
    make_folder(places.overlay.parent)
    dimensions: Literal[2, 3] = 3 if len(source.size) == 3 else 2
    with open_source(whole(places.mask), dimensions, stored=True, unfinished=True) as label_map:
        picture, labels = overview(source, label_map)
    drawn = draw_overlay(picture, labels, classes)
    write_png(unfinished(places.overlay), with_captions(drawn, legend_of(list(areas_px.values()), classes)))


def write_summary(source: RegionSource, places: Places, plan: TilePlan, begun: Begun, outcome: Outcome) -> None:
    """Write the summary, which is the last of the results.

    Raises:
        OutputError: it cannot be written.

    """
    make_folder(places.summary.parent)
    areas_px, total = outcome.areas_px, sum(outcome.areas_px.values())
    content = {
        "format": FORMAT,
        "input": source.name,
        "size_px": list(plan.size),
        "areas_px": areas_px,
        "fractions": {name: area / total for name, area in areas_px.items()},
        **_measured(source, areas_px),
        **({} if outcome.found is None else asdict(outcome.found)),
        "notes": list(outcome.notes),
        "files": {name: path.relative_to(places.out).as_posix() for name, path in places.files.items()},
        "tiles": {
            "count": len(plan),
            "grid": list(plan.grid),
            "input_px": list(plan.shape),
            "computed_per_kept_pixel": round(plan.redundancy, 4),
            "equals_whole_picture": plan.is_exact,
            "reasons": list(plan.reasons),
            "digest": plan.digest(),
        },
        "begun": begun,
        "seconds": round(outcome.seconds, 3),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    write_json(places.summary, content)


def read_outcome(places: Places) -> Outcome:
    """Read what :func:`write_summary` wrote.

    Raises:
        RunError: it cannot be read.

    """
    content = read_json(places.summary)
    found = None
    if "counts" in content:
        found = Found(content["counts"], content["mean_areas_px"])
    return Outcome(areas_px=content["areas_px"], notes=tuple(content["notes"]), seconds=content["seconds"], found=found)


def _measured(source: RegionSource, areas_px: dict[str, int]) -> dict[str, Any]:
    """Return areas or volumes in micrometres, where the file tells the size of a pixel."""
    if source.pixel_size is None:
        return {}
    each = math.prod(source.pixel_size)
    name = "areas_um2" if len(source.size) == 2 else "volumes_um3"
    return {
        "pixel_size_um": list(source.pixel_size),
        name: {class_name: area * each for class_name, area in areas_px.items()},
    }

"""Where the results of a large picture lie, and what stands in their way.

::

    OUT/masks/NAME.tif | .zarr          the label map: class indices, in the size of the picture
    OUT/probabilities/NAME.tif | .zarr  if wanted: float32, one channel per class, 0..1
    OUT/labels/NAME.tif | .zarr         instances: 32 bits, 0 or the number of an object
    OUT/objects/NAME.csv                instances: one row for each object
    OUT/overlays/NAME.png               a small picture with its classes drawn over it, and a legend
    OUT/summaries/NAME.json             area and share of every class, and how it was predicted

While they are written, ``.unfinished`` stands behind the first two names, and ``OUT/masks/NAME.tif.journal`` says what
is on the disk. The summary comes last: where it lies, everything is whole.
"""

from dataclasses import dataclass
from pathlib import Path

from pixelwise.data.names import show_path
from pixelwise.data.regions.creating import SUFFIXES, RegionFormat
from pixelwise.data.regions.sink import UNFINISHED, remove
from pixelwise.errors import UsageError

_SECOND_SUFFIX = ".ome"


@dataclass(frozen=True, slots=True)
class Places:
    """The result files of one picture."""

    out: Path
    fmt: RegionFormat
    mask: Path
    probabilities: Path | None
    overlay: Path
    summary: Path
    journal: Path
    labels: Path | None = None
    objects: Path | None = None

    @classmethod
    def of(
        cls, path: Path, out: Path, fmt: RegionFormat, *, probabilities: bool, has_objects: bool = False
    ) -> "Places":
        """Name the results of the picture at ``path``."""
        name, suffix = path.name.removesuffix(path.suffix).removesuffix(_SECOND_SUFFIX), SUFFIXES[fmt]
        mask = out / "masks" / f"{name}{suffix}"
        return cls(
            out=out,
            fmt=fmt,
            mask=mask,
            probabilities=out / "probabilities" / mask.name if probabilities else None,
            overlay=out / "overlays" / f"{name}.png",
            summary=out / "summaries" / f"{name}.json",
            journal=mask.with_name(f"{mask.name}.journal"),
            labels=out / "labels" / mask.name if has_objects else None,
            objects=out / "objects" / f"{name}.csv" if has_objects else None,
        )

    @property
    def results(self) -> list[Path]:
        """What is there in the end."""
        places = (self.mask, self.probabilities, self.labels, self.objects, self.overlay, self.summary)
        return [path for path in places if path is not None]

    def refuse_input(self, path: Path) -> None:
        """Refuse results that would lie within the input or replace it.

        Raises:
            UsageError: they would.

        """
        real = path.resolve()
        for result in self.results:
            if real == result.resolve() or real in result.resolve().parents:
                raise UsageError(
                    f"{show_path(str(path))} lies where the results go", expected="inputs from elsewhere",
                    do="Choose another --out",
                )  # fmt: skip

    def refuse_standing(self) -> None:
        """Refuse to replace results, unless they belong to a prediction that was stopped.

        Raises:
            UsageError: there are some.

        """
        standing = [path for path in self.results if path.exists()]
        if standing and not self.journal.exists():
            others = f" and {len(standing) - 1} more" if len(standing) > 1 else ""
            raise UsageError(
                f"{show_path(str(standing[0]))}{others} would be replaced",
                expected="a folder without results",
                do="Choose another --out, or allow it with --overwrite",
            )

    def clear(self) -> None:
        """Remove results, whole and unfinished; the journal goes last, so that a stop leaves nothing unexplained."""
        for path in (self.summary, self.overlay, self.objects, self.labels, self.mask, self.probabilities):
            if path is not None:
                remove(path)
                remove(path.with_name(path.name + UNFINISHED))

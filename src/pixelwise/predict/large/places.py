"""Where the results of a large picture lie, and what stands in their way.

::

    OUT/masks/NAME.tif | .zarr          the label map: class indices, in the size of the picture
    OUT/probabilities/NAME.tif | .zarr  if wanted: float32, one channel per class, 0..1
    OUT/labels/NAME.tif | .zarr         instances: 32 bits, 0 or the number of an object
    OUT/objects/NAME.csv                instances: one row for each object
    OUT/geojson/NAME.geojson            if wanted: outlines of objects, or of the pieces of each class
    OUT/coco/NAME.json                  if wanted: the same as COCO's JSON
    OUT/overlays/NAME.png               a small picture with its classes drawn over it, and a legend
    OUT/summaries/NAME.json             area and share of every class, and how it was predicted

NAME mirrors the folders of the input. Until all of them are whole, ``.unfinished`` stands behind every name, and
``OUT/masks/NAME.journal`` says what is on the disk; while it is locked, no other process touches what is called NAME.
The summary comes last: where it lies, everything is there.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pixelwise.data.names import show_path
from pixelwise.data.regions.creating import SUFFIXES, RegionFormat
from pixelwise.data.regions.sink import publish, remove, unfinished
from pixelwise.errors import UsageError
from pixelwise.predict.standing import refuse_standing
from pixelwise.storage.atomic import sweep_temporaries


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The result files of one picture."""

    out: Path
    target: PurePosixPath
    """NAME."""
    fmt: RegionFormat
    mask: Path
    overlay: Path
    summary: Path
    journal: Path
    answers: Path | None = None
    """What the network says of every pixel: wanted as a result, or needed to find the objects."""
    keeps_answers: bool = False
    labels: Path | None = None
    objects: Path | None = None
    geojson: Path | None = None
    coco: Path | None = None

    @classmethod
    def of(
        cls,
        target: PurePosixPath,
        out: Path,
        fmt: RegionFormat,
        *,
        has_answers: bool,
        keeps_answers: bool = False,
        has_objects: bool = False,
        outlines: Collection[str] = (),
    ) -> "Places":
        """Name the results of a picture.

        Args:
            target: its name under each of the folders, without suffix.
            out: the folder of the results.
            fmt: of what has as many pixels as the picture.
            has_answers: the network's answers are written.
            keeps_answers: they are a result.
            has_objects: objects are numbered.
            outlines: "geojson" and "coco", as far as they are wanted.

        """
        image = f"{target}{SUFFIXES[fmt]}"
        mask = out / "masks" / image
        return cls(
            out=out,
            fmt=fmt,
            mask=mask,
            overlay=out / "overlays" / f"{target}.png",
            summary=out / "summaries" / f"{target}.json",
            journal=out / "masks" / f"{target}.journal",
            target=target,
            answers=out / "probabilities" / image if has_answers else None,
            keeps_answers=keeps_answers,
            labels=out / "labels" / image if has_objects else None,
            objects=out / "objects" / f"{target}.csv" if has_objects else None,
            geojson=out / "geojson" / f"{target}.geojson" if "geojson" in outlines else None,
            coco=out / "coco" / f"{target}.json" if "coco" in outlines else None,
        )

    @property
    def probabilities(self) -> Path | None:
        """The network's answers, where they are a result."""
        return self.answers if self.keeps_answers else None

    @property
    def files(self) -> dict[str, Path]:
        """What is there in the end beside the summary, by its kind."""
        named = {
            "mask": self.mask,
            "probabilities": self.probabilities,
            "labels": self.labels,
            "objects": self.objects,
            "geojson": self.geojson,
            "coco": self.coco,
            "overlay": self.overlay,
        }
        return {kind: path for kind, path in named.items() if path is not None}

    @property
    def results(self) -> list[Path]:
        """What is there in the end."""
        return [*self.files.values(), self.summary]

    @property
    def everything(self) -> list[Path]:
        """What any prediction of NAME has, whatever its kind and its format: the summary first, the masks last."""
        images = [
            self.out / kind / f"{self.target}{suffix}"
            for kind in ("labels", "probabilities", "masks")
            for suffix in SUFFIXES.values()
        ]
        return [
            self.summary,
            self.overlay,
            self.out / "coco" / f"{self.target}.json",
            self.out / "geojson" / f"{self.target}.geojson",
            self.out / "objects" / f"{self.target}.csv",
            *images,
        ]

    @property
    def earlier_journals(self) -> list[Path]:
        """Where the journal lay when each format had its own; that of this format first."""
        formats = sorted(SUFFIXES, key=lambda fmt: fmt != self.fmt)
        return [self.mask.with_name(f"{self.target.name}{SUFFIXES[fmt]}.journal") for fmt in formats]

    def refuse_input(self, path: Path) -> None:
        """Refuse results that would lie within the input or replace it.

        Raises:
            UsageError: they would.

        """
        real = path.resolve()
        for result in self.everything:
            if real == result.resolve() or real in result.resolve().parents:
                raise UsageError(
                    f"{show_path(str(path))} lies where the results go", expected="inputs from elsewhere",
                    do="Choose another --out",
                )  # fmt: skip

    def refuse_standing(self) -> None:
        """Refuse to replace results.

        Raises:
            UsageError: there are some.

        """
        refuse_standing(self.results)

    def publish(self) -> None:
        """Give all results but the summary, which are whole, their names.

        Raises:
            OutputError: the place cannot be written.

        """
        for path in self.files.values():
            publish(path)

    def tidy(self) -> None:
        """Remove answers that are no result, once the others have their names."""
        if self.answers is not None and not self.keeps_answers:
            remove(unfinished(self.answers))

    def clear(self, *, whole_ones: bool) -> None:
        """Remove unfinished results of every kind and format, and whole ones where these are to be replaced."""
        for path in self.everything:
            if whole_ones:
                remove(path)
            remove(unfinished(path))

    def sweep(self) -> None:
        """Remove what a killed process had begun to write of single files; call only while holding the journal."""
        names: dict[Path, set[str]] = {}
        for path in self.everything:
            names.setdefault(path.parent, set()).update((path.name, unfinished(path).name))
        for folder, own in names.items():
            sweep_temporaries(folder, own)

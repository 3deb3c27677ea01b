"""What the data doctor reports, as plain data: who prints it is not its concern."""

from dataclasses import dataclass, field
from typing import Any, Final

from pixelwise.data.check.findings import Finding

_FORMAT: Final = 1
_PATHS_IN_ROW: Final = 3


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class: how many images show it in each split (by label, or in their masks), and its share of the pixels.

    Attributes:
        name: the class.
        images: number of images by split; the key "" stands for images in no split.
        pixels: pixels of the class in the masks that were decoded; ``None`` where there are none.
        pixel_share: ``pixels`` of all that are not ignored, 0 to 1; ``None`` where there are no masks.

    """

    name: str
    images: dict[str, int]
    pixels: int | None = None
    pixel_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """A data folder's examination.

    Attributes:
        root: the folder.
        layout: how its images lie; "" when that could not be told.
        task: what the data are for; "" when that could not be told.
        num_samples: usable samples.
        num_decoded: samples whose pixels were looked at.
        classes: the class table with counts.
        splits: samples by split; the key "" stands for samples in no split.
        findings: errors first.
        notes: sentences on how the folder was read.
        undecodable: (printable path, reason) of files whose headers are sound and whose pixels are not: what
            ``build_manifest`` cannot know of, and leaves out when they are given as its ``exclude``.

    """

    root: str
    layout: str = ""
    task: str = ""
    num_samples: int = 0
    num_decoded: int = 0
    classes: tuple[ClassRow, ...] = ()
    splits: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    undecodable: tuple[tuple[str, str], ...] = ()

    @property
    def has_errors(self) -> bool:
        """Whether anything must be mended before training."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def class_counts(self) -> dict[str, int]:
        """Images of each class over all splits."""
        return {row.name: sum(row.images.values()) for row in self.classes}

    @property
    def class_pixels(self) -> dict[str, int]:
        """Pixels of each class in the masks that were decoded; empty without masks."""
        return {row.name: row.pixels for row in self.classes if row.pixels is not None}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return a table's rows: severity, code, message, the first paths, fix."""
        rows = []
        for finding in self.findings:
            shown = ", ".join(finding.paths[:_PATHS_IN_ROW]) + (" ..." if len(finding.paths) > _PATHS_IN_ROW else "")
            rows.append((str(finding.severity), finding.code, finding.message, shown, finding.fix))
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data, without NaN and with printable paths only."""
        return {
            "format": _FORMAT,
            "root": self.root,
            "layout": self.layout,
            "task": self.task,
            "num_samples": self.num_samples,
            "num_decoded": self.num_decoded,
            "splits": dict(self.splits),
            "classes": [
                {"name": row.name, "images": row.images, "pixels": row.pixels, "pixel_share": row.pixel_share}
                for row in self.classes
            ],
            "has_errors": self.has_errors,
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
            "undecodable": [list(entry) for entry in self.undecodable],
        }

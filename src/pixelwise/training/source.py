"""A folder of pictures as a run takes it: how it is read, what the check found in it, and how it is split."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from pixelwise.data.check import check_data
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.masks import IGNORE, MaskKind
from pixelwise.data.regions import Missing
from pixelwise.data.split import split_manifest
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError
from pixelwise.training.settle import split_counts

BadImages = Literal["refuse", "skip"]

_FINDINGS_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class DataOptions:
    """How a folder is read and split; recorded in the run, so that resuming reads it the same way."""

    task: TaskName | None = None
    layout: str | None = None
    classes: tuple[str, ...] | None = None
    mask_kind: MaskKind | None = None
    colours: tuple[tuple[int, int, int], ...] = ()
    ignore: int | None = IGNORE
    bad_images: BadImages = "refuse"
    missing: Missing = "refuse"
    group_by: str | None = None
    metadata: tuple[str, ...] = ()
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        classes = content["classes"]
        return cls(**{
            **content,
            "classes": None if classes is None else tuple(classes),
            "colours": tuple((r, g, b) for r, g, b in content["colours"]),
            "fractions": tuple(content["fractions"]),
            "metadata": tuple(content.get("metadata", ())),  # older runs have none
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that was read, checked and split."""

    root: Path
    options: DataOptions
    manifest: Manifest
    is_checked: bool
    findings: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Return what a run records of its data."""
        return {
            "root": str(self.root.resolve()),
            "options": self.options.to_json(),
            "manifest_digest": self.manifest.digest(),
            "layout": self.manifest.layout,
            "num_samples": len(self.manifest),
            "splits": split_counts(self.manifest),
            "skipped": [list(pair) for pair in self.manifest.skipped],
            "findings": list(self.findings),
        }


def read_source(root: Path, options: DataOptions, *, seed: int, should_check: bool) -> Source:
    """Check, index and split a data set.

    Raises:
        DataError: the check found errors (the first few are named), or nothing can be trained on.

    """
    findings: tuple[dict[str, Any], ...] = ()
    undecodable: dict[str, str] = {}
    if should_check:
        report = check_data(
            root, task=options.task, layout=options.layout, classes=options.classes, mask_kind=options.mask_kind,
            colours=options.colours, ignore=options.ignore, bad_images=options.bad_images, missing=options.missing,
        )  # fmt: skip
        errors = [finding for finding in report.findings if finding.severity == "error"]
        if errors:
            shown = [f"{one.message.rstrip('.')}. {one.fix.rstrip('.')}" for one in errors[:_FINDINGS_SHOWN]]
            raise DataError(
                f"{root} has {len(errors)} error{'s' if len(errors) > 1 else ''}:\n  " + ".\n  ".join(shown),
                do=f"`pixelwise check {root}` lists everything",
            )
        findings = tuple(finding.to_json() for finding in report.findings)
        undecodable = dict(report.undecodable)
    manifest = index_source(root, options, seed=seed, exclude=undecodable)
    return Source(root, options, manifest, should_check, findings)


def index_source(
    root: Path, options: DataOptions, *, seed: int, exclude: Mapping[str, str] = MappingProxyType({})
) -> Manifest:
    """Index and split a data set; the same files give the same manifest. ``exclude``: see ``build_manifest``."""
    manifest = build_manifest(
        root, task=options.task, layout=options.layout, classes=options.classes, mask_kind=options.mask_kind,
        colours=options.colours, ignore=options.ignore, bad_images=options.bad_images, missing=options.missing,
        exclude=exclude, metadata=options.metadata,
    )  # fmt: skip
    return split_manifest(manifest, fractions=options.fractions, seed=seed, group_by=options.group_by)

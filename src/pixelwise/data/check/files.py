"""Findings about files: unreadable, orphaned, oddly named or placed, and those read in a way worth knowing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pixelwise.data.check.findings import Findings, Severity, counted
from pixelwise.data.images import FORMAT_SUFFIXES, ImageInfo
from pixelwise.data.layouts.listing import suffix
from pixelwise.data.names import show_path
from pixelwise.data.target_columns import BACKGROUND_ONLY
from pixelwise.data.zarr_pictures import is_zarr_name, lacks_chunks

Fault = tuple[str, str]  # (path, reason)

_SHOWN: Final = 3
_VERBS: Final = frozenset({"is", "holds", "declares", "cannot", "has", "stores", "does", "ends", "lacks"})


@dataclass(frozen=True, slots=True)
class _Kind:
    """Faults of one kind: how their reason reads, and the remedy."""

    code: str
    pattern: str
    title: str
    fix: str


_RESTORE: Final = "Restore them from their source, or remove them; bad_images skip (--bad-images skip) leaves them out"
_KINDS: Final = (
    _Kind("empty-file", r"is empty \(0 bytes\)", "Empty files", _RESTORE),
    _Kind("lossy-mask", r"is a lossy", "Masks in a lossy format", "Export the masks anew as PNG"),
    _Kind(
        "unsupported",
        r"which is not supported",
        "Pictures of a kind that is not read here",
        "Convert them to PNG, or to TIFF of whole or real numbers, uncompressed or with LZW or Deflate; bad_images "
        "skip (--bad-images skip) leaves them out",
    ),
    _Kind(
        "missing-chunks",
        r"^lacks \d+ of its",
        "Zarrs without some of their chunks",
        "Copy them again; where their writer leaves out what is empty, allow it with missing fill (--missing fill)",
    ),
    _Kind("damaged", r"is damaged or truncated", "Damaged or truncated files", _RESTORE),
    _Kind(
        "too-large",
        r"^declares ",
        "Pictures that declare too many pixels",
        "Cut them into tiles; a small file that declares so many is an attack",
    ),
    _Kind("not-finite", r"NaN or infinite", "Pictures with NaN or infinite values", "Replace these values"),
    _Kind(
        "several-frames",
        r"frames, one picture is expected",
        "Files of several frames where one picture is expected",
        "Split them into files, or remove them",
    ),
    _Kind(
        "size-mismatch",
        r"^a mask of .* for an image of",
        "Masks of another size than their images",
        "Export them anew in the image's size; masks are never resized silently",
    ),
    _Kind("image-without-mask", r"an image without mask", "Images without mask", "Add the masks, or remove the images"),
    _Kind(
        "mask-without-image",
        r"a mask without image|masks of objects without image|a mask with \d+ images|a second mask",
        "Masks without an image of their own",
        "Add or rename the images, or remove the masks",
    ),
    _Kind(
        "unknown-mask-values",
        r"values that mean nothing",
        "Masks with values that mean nothing",
        "Correct the masks (classes or objects are numbered from 0, the background, on), or choose how they are read "
        "(--classes, --mask-kind, --ignore)",
    ),
    _Kind(
        "unknown-mask-colours",
        r"colours that no class has",
        "Masks with colours that no class has",
        "Add these colours to class_dict.csv, or correct the masks (smoothed borders make new colours)",
    ),
    _Kind("colour-mask", r"is in colours", "Masks in colours among grey ones", "Save all masks in one way"),
    _Kind(
        "unfit-mask",
        r"not opaque|not whole numbers|both an image and a mask|^stores |inverted table",
        "Masks of an unfit form",
        "Save them in whole numbers without transparency: classes as 8-bit grey, palette or RGB PNG, objects in 16 or "
        "32 bits as PNG or TIFF",
    ),
    _Kind(
        "unfit-objects",
        r"overlap in|as .* pixels$|has \d+ x \d+ pixels|holds no mask",
        "Folders of masks that are not those of one picture's objects",
        "Correct them: masks of the picture's size that do not overlap, one for each object",
    ),
    _Kind(
        "unfit-box",
        r"^the box of |^its box ",
        "Boxes that are none",
        "Correct the table: pixels of the picture, x_min < x_max and y_min < y_max",
    ),
    _Kind(
        "unfit-row",
        r"^\d+ cells, the header has ",
        "Rows of more or fewer cells than the header",
        "Put cells that hold the separator in quotes, and complete short rows",
    ),
    _Kind(
        "empty-class",
        r"a class folder without images|a class without usable images",
        "Classes without images",
        "Add images or remove the folder; bad_images skip (--bad-images skip) drops the class",
    ),
    _Kind(
        "unreadable",
        r"cannot be read|cannot be opened|leads nowhere|does not exist",
        "Files and folders that cannot be read",
        "Give yourself the right to read them (chmod u+r), mend the links, or remove them",
    ),
    _Kind(
        "not-an-image",
        r"^is (a|an|not an) ",
        "Files that are no readable images",
        "Convert them to PNG or TIFF, or remove them",
    ),
    _Kind("changed", r"has changed|any more", "Files that changed during the check", "Check again when they rest"),
)
_OTHER: Final = _Kind("unusable", "", "Entries that cannot be used", "Mend or remove them")


def report_faults(faults: Iterable[Fault], findings: Findings, *, severity: Severity) -> None:
    """Group (path, reason) by the kind of reason; ``severity`` is "warning" where they are left out as asked for."""
    groups: dict[str, list[Fault]] = {}
    for path, reason in faults:
        kind = next((kind for kind in _KINDS if re.search(kind.pattern, reason)), _OTHER)
        groups.setdefault(kind.code, []).append((path, reason))
    for kind in (*_KINDS, _OTHER):
        if found := groups.get(kind.code):
            left_out = " They are left out." if severity == "warning" else ""
            findings.add(
                severity,
                kind.code,
                f"{kind.title} ({len(found):,}): {_told(found)}.{left_out}",
                kind.fix,
                (path for path, _ in found),
            )


def report_failures(failures: Sequence[Fault], findings: Findings, *, severity: Severity) -> None:
    """Report files whose headers are sound and whose pixels are not; ``severity`` as in :func:`report_faults`."""
    if failures:
        left_out = " They are left out." if severity == "warning" else ""
        findings.add(
            severity,
            "undecodable",
            f"Files with sound headers that cannot be decoded ({len(failures):,}): {_told(failures)}.{left_out}",
            _RESTORE,
            (path for path, _ in failures),
        )


def report_skipped(skipped: Sequence[Fault], findings: Findings) -> None:
    """Report what was left aside without fault: hidden and odd folders, links out of the data folder, the rest."""
    links = [entry for entry in skipped if entry[1].startswith("a link")]
    odd = [entry for entry in skipped if entry[1].startswith(("hidden", "file of another", "folder of another"))]
    empty = [entry for entry in skipped if entry[1] == BACKGROUND_ONLY]
    rest = [entry for entry in skipped if entry not in {*links, *odd, *empty}]
    if links:
        findings.add(
            "warning",
            "link",
            f"Links that are not followed ({len(links):,}): {_told(links)}.",
            "Copy the files into the data folder if they belong to it",
            (path for path, _ in links),
        )
    if odd:
        findings.add(
            "info",
            "odd-entry",
            f"Hidden entries and those of other programs ({len(odd):,}): {_told(odd)}.",
            "Nothing must be done: they are left aside",
            (path for path, _ in odd),
        )
    if empty:
        findings.add(
            "info",
            "no-object",
            f"Pictures without an object ({len(empty):,}): {_told(empty)}.",
            "Nothing must be done if they truly show none: they are left out",
            (path for path, _ in empty),
        )
    if rest:
        meant = all("has no masks" in reason for _, reason in rest)  # a test set whose masks are kept secret
        findings.add(
            "info" if meant else "warning",
            "left-aside",
            f"Entries that no rule of the layout covers ({len(rest):,}): {_told(rest)}.",
            "Move them if they belong to the data",
            (path for path, _ in rest),
        )


def report_headers(infos: Mapping[str, ImageInfo], mask_infos: Mapping[str, ImageInfo], findings: Findings) -> None:
    """Report what headers tell: misleading names, EXIF orientation, CMYK, transparency, palettes."""
    misnamed = [
        path
        for path, info in {**infos, **mask_infos}.items()
        if suffix(path) not in FORMAT_SUFFIXES.get(info.format, ("",))
    ]
    if misnamed:
        first = misnamed[0]
        info = infos.get(first) or mask_infos[first]
        findings.add(
            "warning",
            "misnamed",
            f"{counted(len(misnamed), 'file')} of another format than the name says: "
            f"{show_path(first)} is a {info.format}.",
            "Nothing must be done here, but other programs may stumble: rename them",
            misnamed,
        )
    turned = [path for path, info in infos.items() if info.orientation != 1]
    if turned:
        findings.add(
            "info",
            "exif-orientation",
            f"{counted(len(turned), 'image')} with an EXIF orientation, which is applied.",
            "Nothing must be done; programs that ignore EXIF see these pictures lying",
            turned,
        )
    for code, modes, text, fix in (
        ("cmyk", ("CMYK",), "in CMYK, converted to RGB without colour profile", "Convert to RGB if colours matter"),
        ("transparency", ("LA", "RGBA"), "with an alpha channel, laid over white", "Remove the alpha if it is no mask"),
        ("palette", ("P",), "with a palette, expanded to RGB", "Nothing must be done"),
    ):
        found = [path for path, info in infos.items() if info.mode in modes]
        if found:
            message = f"{counted(len(found), 'image')} {text}."
            findings.add("info", code, message, fix, found)


def report_empty_chunks(root: Path, masks: Iterable[str], findings: Findings) -> None:
    """Report masks that leave out chunks, as which nobody can tell from lost ones."""
    lacking = [path for path in masks if is_zarr_name(path) and lacks_chunks(root / path)]
    if lacking:
        findings.add(
            "info",
            "empty-chunks",
            f"{counted(len(lacking), 'mask')} without some of their chunks, which are read as the fill value: "
            f"{show_path(lacking[0])}.",
            "Nothing must be done if the writer left out what is empty; if chunks were lost, copy the masks again",
            lacking,
        )


def report_turned_pairs(
    pairs: Iterable[tuple[str, str]],
    infos: Mapping[str, ImageInfo],
    mask_infos: Mapping[str, ImageInfo],
    findings: Findings,
) -> None:
    """Report images that are turned by EXIF while their masks, of the same size, are not."""
    torn = [
        mask
        for image, mask in pairs
        if image in infos and mask in mask_infos and infos[image].orientation != mask_infos[mask].orientation
    ]
    if torn:
        findings.add(
            "warning",
            "exif-mask",
            f"{counted(len(torn), 'image')} turned by EXIF, with a mask that is not: {show_path(torn[0])}.",
            "Lay some masks over their images; if they do not fit, save the images upright without EXIF",
            torn,
        )


def _told(faults: Sequence[Fault]) -> str:
    told = []
    for path, reason in faults[:_SHOWN]:
        joint = " " if reason.split(" ", 1)[0] in _VERBS else ": "
        told.append(f"{show_path(path)}{joint}{reason}")
    rest = len(faults) - len(told)
    return "; ".join(told) + (f"; and {rest:,} more" if rest else "")

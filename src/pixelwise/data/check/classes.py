"""Findings about classes and splits: imbalance, empty and lonely classes, gaps between splits, mask classes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.check.findings import Findings, counted
from pixelwise.data.check.report import ClassRow
from pixelwise.data.check.survey import Survey
from pixelwise.data.manifest import Manifest
from pixelwise.data.masks import IGNORE
from pixelwise.data.names import SPLITS, show_name, some
from pixelwise.data.split import MANY_STACKS
from pixelwise.data.task_names import TaskName

Counts = NDArray[np.int64]

_TRAIN, _VAL, _TEST = 1, 2, 3
_FEW: Final = 10
_IMBALANCE: Final = 10.0
_SMALL_SHARE: Final = 0.01
_MOSTLY: Final = 0.5
_FEW_SAMPLES: Final = 20
_VOID: Final = frozenset({
    "unlabelled", "unlabeled", "void", "ignore", "ignored", "ignoreregion", "dontcare", "unannotated",
})  # fmt: skip
_BALANCING: Final[dict[TaskName, str]] = {
    "sequence": "Add pictures of the rare characters, and judge them by their own scores",
}


def count_classes(manifest: Manifest) -> Counts:
    """Return (splits, classes) images that show each class, by label or in their masks."""
    split = manifest.column("split")
    return np.stack([manifest.images_per_class(split == code) for code in range(len(SPLITS))])


def class_rows(manifest: Manifest, counts: Counts, survey: Survey) -> tuple[ClassRow, ...]:
    """Return the class table with counts of images, and of pixels for segmentation."""
    used = [code for code in (1, 2, 3, 0) if (manifest.column("split") == code).any()]
    pixels = survey.pixels[: len(manifest.classes)]
    total = max(1, int(pixels.sum()))
    masked = manifest.form.by_pixel
    return tuple(
        ClassRow(
            name,
            {SPLITS[code]: int(counts[code, k]) for code in used},
            int(pixels[k]) if masked else None,
            float(pixels[k]) / total if masked else None,
        )
        for k, name in enumerate(manifest.classes)
    )


def report_classes(manifest: Manifest, counts: Counts, survey: Survey, findings: Findings) -> None:
    """Report on the classes' sizes, on splits, and on what masks show."""
    _splits(manifest, findings)
    _absent(manifest, counts, findings)
    if manifest.form.by_pixel:
        _void(manifest, counts.sum(axis=0), findings)
        _pixels(manifest, survey, findings)
        _mask_classes(manifest, counts.sum(axis=0), findings)
    else:
        _images(manifest, counts.sum(axis=0), findings)


def _splits(manifest: Manifest, findings: Findings) -> None:
    sizes = np.bincount(manifest.column("split"), minlength=len(SPLITS))
    if len(manifest) < _FEW_SAMPLES:
        findings.add(
            "warning",
            "few-samples",
            f"Only {counted(len(manifest), 'sample')}.",
            "Expect wide intervals; use strong augmentation, and cross-validation before any claim",
        )
    stacks = len(np.unique(manifest.column("path"))) if manifest.layout == "stack" else 0
    in_blocks = 0 < stacks < MANY_STACKS
    if sizes[0] == len(manifest):
        if in_blocks:
            how = "training cuts each stack into contiguous blocks, 80 % train, 10 % val, 10 % test, in this order"
        else:
            what = "whole stacks" if stacks else "the data"
            how = f"training divides {what} 80 : 10 : 10, seeded; group pictures of one source (--group-by)"
        findings.add("info", "no-splits", "No split is given.", f"Nothing must be done: {how}")
    elif not sizes[0] and sizes[_TRAIN] and not sizes[_TEST]:
        findings.add("warning", "no-test-split", _without_test(sizes, in_blocks=in_blocks), _add_test(manifest))
    elif not sizes[_TRAIN] and not sizes[0]:
        findings.add("error", "no-training-split", "No sample is in the training split.", "Name one split 'train'")


def _without_test(sizes: Counts, *, in_blocks: bool) -> str:
    """Say on what a run will be scored."""
    if sizes[_VAL]:
        return "No test split is given: scores will be those on val, by which training also chooses the best weights."
    cut = "the end of each stack, a ninth of its slices" if in_blocks else "a ninth of the training images, seeded"
    return (
        f"Every image is in train: training will take {cut}, for validation, and scores will be those on it, by which "
        "training also chooses the best weights."
    )


def _add_test(manifest: Manifest) -> str:
    if manifest.layout == "stack":
        return (
            "Add a test stack (test-volume.tif and test-labels.tif), or take 'train' out of the names (volume.tif and "
            "labels.tif): then a test block is cut from the stack too"
        )
    return "Add a test split, or name no split at all: then training divides the data 80 : 10 : 10"


def _absent(manifest: Manifest, counts: Counts, findings: Findings) -> None:
    """Classes that a given split lacks: their scores there are undefined, and in training they cannot be learned."""
    total = counts.sum(axis=0)
    for code in (1, 2, 3):
        if not (manifest.column("split") == code).any():
            continue
        lacking = [
            show_name(name)
            for name, here, all_ in zip(manifest.classes, counts[code], total, strict=True)
            if all_ > here == 0
        ]
        if not lacking:
            continue
        if code == _TRAIN:
            findings.add(
                "error",
                "class-not-trained",
                f"{counted(len(lacking), 'class', 'classes')} without training images: {some(lacking)}.",
                "Add training images of these classes, or move some there",
            )
        else:
            findings.add(
                "warning",
                "class-not-in-split",
                f"{SPLITS[code]} lacks {counted(len(lacking), 'class', 'classes')}: {some(lacking)}. Their scores "
                "there are undefined. Class numbers come from one table for all splits, so none is shifted.",
                "Add images of these classes to the split",
            )


def _images(manifest: Manifest, total: Counts, findings: Findings) -> None:
    named = dict(zip(map(show_name, manifest.classes), total.tolist(), strict=True))
    empty = [name for name, count in named.items() if count == 0]
    if empty:
        findings.add(
            "error",
            "empty-class",
            f"{counted(len(empty), 'class', 'classes')} without images: {some(empty)}.",
            "Add images, or take the class out of the table",
        )
    lonely = [name for name, count in named.items() if count == 1]
    if lonely:
        findings.add(
            "warning",
            "single-image-class",
            f"{counted(len(lonely), 'class', 'classes')} with a single image: {some(lonely)}. It can be learned from "
            "or tested on, not both.",
            "Add images, merge the class with another, or drop it",
        )
    few = [f"{name} ({count})" for name, count in named.items() if 1 < count < _FEW]
    if few:
        findings.add(
            "info",
            "small-class",
            f"{counted(len(few), 'class', 'classes')} of fewer than {_FEW} images: {some(few)}.",
            "Their scores will be uncertain: add images if you can",
        )
    _alike(manifest, findings)
    present = {name: count for name, count in named.items() if count}
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    ratio = present[most] / present[least]
    if ratio >= _IMBALANCE:
        findings.add(
            "warning",
            "imbalance",
            f"Classes differ in size by a factor of {ratio:.1f}: {most} has {present[most]:,} images, {least} "
            f"{present[least]:,}.",
            _BALANCING.get(
                manifest.task, "Use class weights (balanced), and judge by per-class scores, not by accuracy"
            ),
        )


def _alike(manifest: Manifest, findings: Findings) -> None:
    """Warn of names that differ in case or in spaces only; of characters these are different ones."""
    if manifest.task == "sequence":
        return
    spellings: dict[str, list[str]] = {}
    for name in manifest.classes:
        spellings.setdefault("".join(name.casefold().split()), []).append(name)
    alike = [" and ".join(names) for names in spellings.values() if len(names) > 1]
    if alike:
        findings.add(
            "warning",
            "similar-names",
            f"{counted(len(alike), 'class', 'classes')} spelt in several ways: {some(alike)}.",
            "Write each name in one way, unless these are different classes",
        )


def _void(manifest: Manifest, total: Counts, findings: Findings) -> None:
    """Warn of classes that are called as if their pixels were not meant to count."""
    reading = manifest.mask_reading
    by_index = reading is not None and reading.kind in ("index", "palette")
    for index, (name, count) in enumerate(zip(manifest.classes, total.tolist(), strict=True)):
        if count and "".join(filter(str.isalpha, name.casefold())) in _VOID:
            findings.add(
                "warning",
                "void-class",
                f"Class {index} is called {show_name(name)}, but is learned and scored like any other.",
                f"Leave its pixels out of loss and scores with --ignore {index}, unless they are meant to count"
                if by_index
                else "Unless they are meant to count, save the masks as class indices, and these pixels as 255",
            )


def _pixels(manifest: Manifest, survey: Survey, findings: Findings) -> None:
    pixels = survey.pixels[: len(manifest.classes)]
    counted_pixels, ignored = int(pixels.sum()), int(survey.pixels[IGNORE])
    scope = "" if len(survey.rows) == len(manifest) else f" (in {len(survey.rows):,} of {len(manifest):,} masks)"
    if ignored:
        share = ignored / (ignored + counted_pixels)
        findings.add(
            "warning" if share > _MOSTLY else "info",
            "ignored-pixels",
            f"{share:.1%} of all pixels are ignored{scope}.",
            "Nothing must be done if these pixels are meant to be unlabelled",
        )
    if not counted_pixels:
        return
    shares = pixels / counted_pixels
    rare = [
        f"{name} ({share:.2%})"
        for name, share in zip(manifest.classes, shares.tolist(), strict=True)
        if 0 < share < _SMALL_SHARE
    ]
    if rare:
        findings.add(
            "warning",
            "pixel-imbalance",
            f"{counted(len(rare), 'class', 'classes')} with less than 1 % of the pixels{scope}: {some(rare)}.",
            "Use a Dice term or class weights in the loss, and judge by IoU, not by pixel accuracy",
        )


def _mask_classes(manifest: Manifest, total: Counts, findings: Findings) -> None:
    reading = manifest.mask_reading
    ignored = None if reading is None else reading.ignore
    unused = [
        name
        for index, (name, count) in enumerate(zip(manifest.classes, total.tolist(), strict=True))
        if count == 0 and index != ignored
    ]
    if reading is not None and reading.kind in ("index", "palette") and total[0] == 0 and total[1:].any():
        findings.add(
            "warning",
            "off-by-one",
            f"No pixel of any mask is 0, so class 0 ({manifest.classes[0]}) is empty: the classes seem to be numbered "
            "from 1.",
            "Subtract 1 from all class values, or keep 0 as a background that never occurs",
        )
        unused = [name for name in unused if name != manifest.classes[0]]
    if unused:
        findings.add(
            "warning",
            "unused-class",
            f"{counted(len(unused), 'class', 'classes')} in no mask: {some(unused)}.",
            "Take them out of the class names, or add masks that show them",
        )
    shown = np.unpackbits(manifest.column("presence"), axis=1, count=len(manifest.classes), bitorder="little")
    plain = np.flatnonzero(shown.sum(axis=1) <= 1)
    if len(plain):
        findings.add(
            "warning" if len(plain) > _MOSTLY * len(manifest) else "info",
            "one-class-mask",
            f"{counted(len(plain), 'mask')} of {len(manifest):,} with one class only, or none.",
            "Check that nothing was forgotten in them",
            dict.fromkeys(manifest.masks[row] for row in plain.tolist()),
        )

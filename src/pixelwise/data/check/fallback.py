"""What can still be said of a data folder without an index: why there is none, and which of its files are bad."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from pixelwise.data.check.files import Fault, report_faults, report_headers, report_skipped
from pixelwise.data.check.findings import Findings
from pixelwise.data.check.report import CheckReport
from pixelwise.data.check.survey import evenly, reason_of
from pixelwise.data.images import ImageInfo, probe, read_image
from pixelwise.data.layouts.detect import find_layout
from pixelwise.data.layouts.listing import Listing, is_image
from pixelwise.data.layouts.tree import Tree, walk
from pixelwise.data.masks import read_mask_raw
from pixelwise.data.names import show_path
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError

_THREADS: Final = 2


def report_without_index(
    root: Path,
    error: DataError,
    *,
    task: TaskName | None,
    layout: str | None,
    classes: tuple[str, ...] | None,
    most: int | None,
) -> CheckReport:
    """Report ``error``, which kept the folder from being indexed, and every bad file that can be found without."""
    findings = Findings()
    expected = f" Expected {error.expected}." if error.expected else ""
    findings.add("error", "unusable-data", f"{error.came}.{expected}", error.do or "Look at the other findings first")
    tree = _walked(root)
    found = _listed(tree, task, layout, classes)
    report_faults((*tree.faults, *(found.faults if found else ())), findings, severity="error")
    report_skipped((*tree.skipped, *(found.skipped if found else ())), findings)
    images = found.paths if found else [path for path in tree.files if is_image(path)]
    masks = found.masks if found else []
    chosen = evenly(len(images), most).tolist()
    with ThreadPoolExecutor(_THREADS) as pool:
        pictures = list(pool.map(lambda row: _try_image(root, images[row]), chosen))
        labelled = list(pool.map(lambda row: _try_mask(root, masks[row]), chosen if masks else ()))
    infos = {images[row]: info for row, info in zip(chosen, pictures, strict=True) if isinstance(info, ImageInfo)}
    failures = [(images[row], reason) for row, reason in zip(chosen, pictures, strict=True) if isinstance(reason, str)]
    for row, answer in zip(chosen, labelled, strict=False):
        failures.extend(_mask_faults(masks[row], answer, infos.get(images[row])))
    report_faults(dict.fromkeys(failures), findings, severity="error")
    report_headers(infos, {}, findings)
    return CheckReport(
        root=show_path(str(root)),
        layout=found.layout if found else "",
        task=found.task if found else "",
        num_decoded=len(infos),
        findings=findings.ordered(),
    )


def _walked(root: Path) -> Tree:
    try:
        return walk(root)
    except DataError:
        return Tree(root, (), (), (), ())


def _listed(tree: Tree, task: TaskName | None, layout: str | None, classes: tuple[str, ...] | None) -> Listing | None:
    try:
        found = find_layout(tree, task=task, layout=layout, classes=classes)
    except DataError:
        return None
    return found if isinstance(found, Listing) else None


def _try_image(root: Path, path: str) -> ImageInfo | str:
    try:
        info = probe(root / path)
        read_image(root / path, frame=0 if info.frames > 1 else None)
    except DataError as error:
        return reason_of(error, root / path)
    return info


def _try_mask(root: Path, path: str) -> tuple[int, int] | str:
    try:
        info = probe(root / path)
        values = read_mask_raw(root / path, frame=0 if info.frames > 1 else None)
    except DataError as error:
        return reason_of(error, root / path)
    return int(values.shape[0]), int(values.shape[1])


def _mask_faults(path: str, answer: tuple[int, int] | str, image: ImageInfo | None) -> list[Fault]:
    if isinstance(answer, str):
        return [(path, answer)]
    if image is None or answer == (image.height, image.width):
        return []
    height, width = answer
    return [(path, f"a mask of {height} x {width} px for an image of {image.height} x {image.width} px")]

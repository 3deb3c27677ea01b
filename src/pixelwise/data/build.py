"""From a data folder to the parts of its manifest: walk, find the layout, read what is new, assemble."""

from collections.abc import Mapping
from pathlib import Path

from pixelwise.data.assembly import Assembled, BadImages, assemble, wanted_files
from pixelwise.data.cifar import Batches
from pixelwise.data.containers import index_cifar, index_idx
from pixelwise.data.idx import IdxFiles
from pixelwise.data.index_cache import cache_path, load_records, merged, save_records
from pixelwise.data.indexing import FileRecord, Progress, read_records
from pixelwise.data.layouts.detect import find_layout
from pixelwise.data.layouts.listing import LAYOUTS, Listing
from pixelwise.data.layouts.tree import Tree, walk
from pixelwise.data.mask_classes import MaskOptions
from pixelwise.data.names import show_path
from pixelwise.data.regions import Missing
from pixelwise.data.task_names import TaskName
from pixelwise.errors import DataError


def index_folder(
    root: Path,
    *,
    task: TaskName | None,
    layout: str | None,
    options: MaskOptions,
    bad_images: BadImages,
    missing: Missing,
    exclude: Mapping[str, str],
    cache_folder: Path | None,
    progress: Progress | None,
) -> tuple[TaskName, Assembled]:
    """Do the work of ``manifest.build_manifest``, where the arguments are described; no cache without its folder."""
    tree = walk(root)
    found = find_layout(tree, task=task, layout=layout, classes=options.classes)
    if isinstance(found, IdxFiles):
        return "classification", index_idx(tree, found, options.classes, progress)
    if isinstance(found, Batches):
        return "classification", index_cifar(tree, found, options.classes, progress)
    records, reasons = _records(tree, found, cache_folder, progress, missing)
    for path in [path for path in records if show_path(path) in exclude]:
        reasons[path] = exclude[show_path(path)]
        del records[path]
    parts = assemble(tree, found, records, reasons, options=options, bad_images=bad_images)
    if layout == "stack" and parts.layout != "stack":
        raise DataError(f"{root} holds no multi-page TIFF", expected=LAYOUTS["stack"], do="Leave the layout out")
    return found.task, parts


def _records(
    tree: Tree, found: Listing, cache_folder: Path | None, progress: Progress | None, missing: Missing
) -> tuple[dict[str, FileRecord], dict[str, str]]:
    wanted = wanted_files(found)
    if cache_folder is None:
        return read_records(tree.root, wanted, {}, progress, missing)
    cache = cache_path(cache_folder, tree.root)
    known = load_records(cache)
    records, reasons = read_records(tree.root, wanted, known, progress, missing)
    if (fresh := merged(known, records, frozenset(tree.files))) is not None:
        save_records(cache, fresh)
    return records, reasons

"""Pictures with a folder of masks each, one file for each object: ``object-masks``.

Two forms: ``NAME/images/*.png`` with ``NAME/masks/*.png``, one picture in each ``NAME``; and ``images/NAME.png`` with
``masks/NAME/*.png``. Folders of splits may lie around either. A mask is then the folder, which
:mod:`pixelwise.data.object_folders` reads.
"""

from typing import Final

from pixelwise.data.layouts.listing import OBJECT_MASKS, Listing, is_image, stem
from pixelwise.data.layouts.pairs import folder_role, place_orphans
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import show_path, split_code
from pixelwise.data.task_names import TaskName

NAME = OBJECT_MASKS

_ALSO_SERVED: Final[tuple[TaskName, ...]] = ("segmentation", "localisation", "detection")


def find(tree: Tree, *, task: TaskName | None) -> Listing | None:
    """List pictures with folders of masks; ``None`` when the folder does not look like that.

    Args:
        tree: the data folder.
        task: what is to be trained; instances where it is open.

    """
    images: dict[tuple[str, ...], list[str]] = {}
    masks: dict[tuple[str, ...], list[str]] = {}
    for path in filter(is_image, tree.files):
        role, folders = folder_role(path)
        if role:
            (images if role == "image" else masks).setdefault(folders, []).append(path)
    folder_of, codes = dict[str, str](), dict[str, str]()
    for folders, paths in images.items():
        for path in paths:
            own = [*masks.get((*folders, stem(path)), ())]
            if not own and len(paths) == 1 and folders and _are_objects(path, masks.get(folders, [])):
                own = masks[folders]
            if own:
                folder_of[path] = own[0].rpartition("/")[0]
            codes[path] = folders[0] if folders else ""
    if not folder_of or 2 * len(folder_of) < len(masks):
        return None
    served: TaskName = "segmentation" if task in _ALSO_SERVED else "instances"
    listing = Listing(layout=NAME, task=served)
    for path, folder in folder_of.items():
        listing.paths.append(path)
        listing.masks.append(folder)
        listing.splits.append(split_code(codes[path]))
    place_orphans(listing, [(path, split_code(code)) for path, code in codes.items() if path not in folder_of])
    used = frozenset(folder_of.values())
    left = sorted({path.rpartition("/")[0] for paths in masks.values() for path in paths} - used)
    listing.faults.extend((show_path(folder), "masks of objects without image") for folder in left)
    return listing


def _are_objects(image: str, masks: list[str]) -> bool:
    """Whether masks beside a single picture are those of its objects, not one of the picture's own name."""
    return bool(masks) and all(stem(mask) != stem(image) for mask in masks)

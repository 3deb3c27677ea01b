"""Images and masks as files of the same name: in two folders, with a suffix, or as multi-page TIFF stacks.

A file's role comes from its folder (``images/``, ``masks/``, ``labels/`` ...) or from the end of its name (``x_mask``,
``train-labels``). What remains of the path once these words are taken away is the key by which image and mask meet, so
``images/train/a.jpg`` meets ``masks/train/a.png``, ``train/image/a.png`` meets ``train/label/a.png``, ``a.png`` meets
``a_mask.png`` and ``train-volume.tif`` meets ``train-labels.tif``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pixelwise.data.layouts.class_folders import could_be_classes
from pixelwise.data.layouts.listing import (
    CLASS_FOLDERS,
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    PAIRS,
    Fault,
    Listing,
    is_image,
    is_volume,
    stem,
)
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import SPLITS, counted, show_path, some, split_code

NAME = PAIRS

_MASK_WORD: Final = re.compile(
    r"(?:^|[-_. ])(?:masks?|labels?|gt|annotations?|seg|segmentation|groundtruth|ground_truth)$", re.IGNORECASE
)
_IMAGE_WORD: Final = re.compile(r"(?:^|[-_. ])(?:images?|img|imgs|volume|stack|raw)$", re.IGNORECASE)

_Key = tuple[tuple[str, ...], str]  # folders without the role's word, name without ending
_Coded = tuple[str, int]  # an image's path and split code


@dataclass(slots=True)
class _Roles:
    """Pictures of a folder by role; ``by_word`` holds what only the end of a name can match."""

    images: dict[_Key, list[str]] = field(default_factory=dict)
    by_word: dict[_Key, list[str]] = field(default_factory=dict)
    masks: list[tuple[str, tuple[_Key, ...], _Key]] = field(default_factory=list)  # path, keys to try, bare key
    outside: list[str] = field(default_factory=list)
    has_folders: bool = False


def find(tree: Tree) -> Listing | None:
    """List image and mask pairs; ``None`` when the folder does not look like that.

    Images without mask and masks without image are faults; a split without any mask (a hidden test set) is left out
    with a note instead.
    """
    roles = _sort([path for path in tree.files if is_image(path) or is_volume(path)])
    pairs, faults, orphans = _match(roles)
    if not pairs and not (roles.has_folders and roles.images and roles.masks):
        return None
    if not roles.has_folders and len(pairs) < max(len(orphans), len(roles.masks) - len(pairs)):
        return None  # a few names that happen to end in a mask's word
    in_space = any(is_volume(image) or is_volume(mask) for (image, _), mask in pairs)
    listing = Listing(layout=NAME, task="volumes" if in_space else "segmentation", faults=faults)
    for (path, code), mask in pairs:
        listing.paths.append(path)
        listing.masks.append(mask)
        listing.splits.append(code)
    place_orphans(listing, orphans)
    listing.skipped.extend(
        (show_path(path), "it lies outside the folders of images and masks") for path in roles.outside
    )
    if names := could_be_classes(roles.outside):
        listing.notes.append(
            "Folders that could be classes lie beside images and masks "
            f"({some([show_path(name) for name in names], 5)}; {counted(len(roles.outside), 'picture')}): left out. "
            f'layout="{CLASS_FOLDERS}" (--layout {CLASS_FOLDERS}) reads these instead.'
        )
    return listing


def _sort(pictures: list[str]) -> _Roles:
    roles = _Roles()
    names = {(path.rpartition("/")[0], name) for path in pictures for name in _image_names(stem(path))}
    found = [(path, *folder_role(path)) for path in pictures]
    image_folders = any(role == "image" for _, role, _ in found)
    roles.has_folders = image_folders and any(role == "mask" for _, role, _ in found)
    for path, role, folders in found:
        name = stem(path)
        bare = _MASK_WORD.sub("", name)
        if role == "mask":
            keys = tuple(dict.fromkeys([(folders, name), (folders, bare)]))
            roles.masks.append((path, keys, (folders, bare)))
        elif bare != name and (path.rpartition("/")[0], bare) in names:
            roles.masks.append((path, ((folders, bare),), (folders, bare)))
        elif image_folders and role != "image":
            roles.outside.append(path)
        else:
            roles.images.setdefault((folders, name), []).append(path)
            if (word := _IMAGE_WORD.sub("", name)) != name:
                roles.by_word.setdefault((folders, word), []).append(path)
    return roles


def _image_names(name: str) -> tuple[str, ...]:
    """The names by which a mask beside it may call an image: its own, and without an image's word at the end."""
    return (name,) if (word := _IMAGE_WORD.sub("", name)) == name else (name, word)


def folder_role(path: str) -> tuple[str, tuple[str, ...]]:
    """The role that the innermost telling folder gives, and the folders without its word (train_masks: train)."""
    folders = path.split("/")[:-1]
    for place in range(len(folders) - 1, -1, -1):
        name = folders[place]
        if name.lower() in IMAGE_FOLDERS:
            return "image", (*folders[:place], *folders[place + 1 :])
        if name.lower() in MASK_FOLDERS:
            return "mask", (*folders[:place], *folders[place + 1 :])
        if _MASK_WORD.search(name):
            return "mask", (*folders[:place], _MASK_WORD.sub("", name), *folders[place + 1 :])
    return "", tuple(folders)


def _match(roles: _Roles) -> tuple[list[tuple[_Coded, str]], list[Fault], list[_Coded]]:
    """Pairs in the images' order, masks without image and double ones as faults, images without mask."""
    mask_of: dict[str, str] = {}
    faults: list[Fault] = []
    for mask, keys, bare in roles.masks:
        candidates = next((roles.images[key] for key in keys if key in roles.images), None)
        candidates = candidates or roles.by_word.get(bare, [])
        if not candidates:
            faults.append((show_path(mask), "a mask without image"))
        elif len(candidates) > 1:
            faults.append((show_path(mask), f"a mask with {len(candidates)} images of its name"))
        elif candidates[0] in mask_of:
            faults.append((show_path(mask), f"a second mask for {show_path(candidates[0])}"))
        else:
            mask_of[candidates[0]] = mask
    images = list(_images(roles))
    pairs = [(image, mask_of[image[0]]) for image in images if image[0] in mask_of]
    return pairs, faults, [image for image in images if image[0] not in mask_of]


def _images(roles: _Roles) -> Iterator[_Coded]:
    for (folders, name), paths in roles.images.items():
        word = _image_names(name)[-1]
        split = folders[0] if folders else word if word != name else ""  # "train" of train-volume.tif
        for path in paths:
            yield path, split_code(split)


def place_orphans(listing: Listing, orphans: list[_Coded]) -> None:
    """Enter images without mask: as faults, or as left aside where a whole split has no masks."""
    has_masks = frozenset(listing.splits)
    hidden: dict[int, int] = {}
    for path, code in orphans:
        if code and code not in has_masks:
            hidden[code] = hidden.get(code, 0) + 1
            listing.skipped.append((show_path(path), f"the split '{SPLITS[code]}' has no masks"))
        else:
            listing.faults.append((show_path(path), "an image without mask"))
    for code, count in hidden.items():
        listing.notes.append(f"The split '{SPLITS[code]}' has no masks: {counted(count, 'image')} left out.")

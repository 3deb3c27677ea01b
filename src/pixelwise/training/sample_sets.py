"""The sets of samples that a run trains on and validates: of pictures, or of volumes."""

from pathlib import Path

from pixelwise.data.augment import Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.manifest import Manifest
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.sample_set import SampleSet
from pixelwise.data.task_names import TARGET_FORMS, TaskName
from pixelwise.data.volumes.augment import VolumeAugment
from pixelwise.data.volumes.dataset import VolumeDataset
from pixelwise.specs import Network
from pixelwise.training.recipe import Recipe
from pixelwise.training.settle import Sizes
from pixelwise.training.settle_patches import has_large_pictures
from pixelwise.training.settle_volumes import validated_windows


def check_augmentation(task: TaskName, name: str) -> None:
    """Refuse an augmentation that there is not for the task's pictures or volumes.

    Raises:
        UsageError: there is none (with near misses).

    """
    (VolumeAugment if TARGET_FORMS[task].dimensions == 3 else Augment).named(name)


def make_sample_sets(
    manifest: Manifest,
    root: Path,
    preprocess: Preprocess,
    recipe: Recipe,
    *,
    network: Network,
    found: Sizes,
    seed: int,
    is_weighed: bool,
) -> tuple[SampleSet, SampleSet]:
    """Return the training set, and the validation set, which may be empty.

    Args:
        manifest: of the run.
        root: the data folder.
        preprocess: of the run.
        recipe: settled.
        network: may lie on the meta device.
        found: what :func:`~pixelwise.training.settle.sizes` says.
        seed: of the run.
        is_weighed: whether the loss heeds weights of pixels.

    """
    seen = network.output_size(*found.train)
    # What valid convolutions consume at each side, so that crops can show the picture up to its edges.
    context = tuple((side - own) // 2 for side, own in zip(found.train, seen, strict=True))
    patches = recipe.patches or 1
    is_cut = recipe.crop is not None or found.train != found.picture
    trained, held_out = manifest.indices("train"), manifest.indices("val")
    if manifest.form.dimensions == 3:
        starts, whole = validated_windows(manifest, held_out, preprocess.spacing, network)
        return (
            VolumeDataset(
                manifest, root, trained, preprocess,
                augment=VolumeAugment.named(recipe.augment), sizes=found.train, seed=seed, context=context,
                patches=patches, foreground=recipe.foreground,
            ),
            VolumeDataset(
                manifest, root, held_out, preprocess, augment=None, seed=seed, sizes=whole, starts=starts,
            ),
        )  # fmt: skip
    return (
        Dataset(
            manifest, root, trained, preprocess,
            augment=Augment.named(recipe.augment), crop=_pair(found.train) if is_cut else None, seed=seed,
            context=(context[0], context[1]), is_weighed=is_weighed, patches=patches, foreground=recipe.foreground,
        ),
        Dataset(
            manifest, root, held_out, preprocess,
            augment=None, crop=_pair(found.val_crop), seed=seed, is_weighed=is_weighed,
            patches=patches if has_large_pictures(manifest) else 1, fills_to=network.fills_to,
        ),
    )  # fmt: skip


def _pair(sides: tuple[int, ...] | None) -> tuple[int, int] | None:
    return None if sides is None else (sides[0], sides[1])

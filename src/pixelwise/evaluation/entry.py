"""Evaluate what lies in a folder: a run on its own data, or a run or a model on another folder."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.assembly import BadImages
from pixelwise.data.layouts.class_names import find_class_names
from pixelwise.data.layouts.tree import walk
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.masks import IGNORE
from pixelwise.data.names import some
from pixelwise.data.regions import Missing
from pixelwise.data.task_names import TARGET_FORMS
from pixelwise.errors import DataError, RunError, UsageError
from pixelwise.evaluation.evaluation import evaluate, held_out_split
from pixelwise.evaluation.scores import Scores, Split
from pixelwise.predict.ensemble import distinct_runs, load_members
from pixelwise.predict.protocols import CENTRE, Protocol
from pixelwise.runs.folder import CONFIG_NAME, SCORES_NAME, Run
from pixelwise.runs.model import Model
from pixelwise.storage.atomic import check_writable


def evaluate_run(
    path: Path | str | Sequence[Path | str],
    data: Path | str | None = None,
    *,
    split: Split | None = None,
    protocol: str | Protocol = CENTRE,
    further: Sequence[str] = (),
    device: str = "auto",
    tile: int | None = None,
    memory_bytes: int | None = None,
    bad_images: BadImages | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - the names say what a caller gets
    should_stop: Callable[[], None] = lambda: None,
) -> Scores:
    """Score the model of a run, or of a model folder, or several of them whose probabilities are averaged.

    The scores of one run with the protocol "centre" on the held-out split of its own data are the run's scores, and are
    written to its ``scores.json``; others are only returned (``Scores.save`` keeps them).

    Args:
        path: a run, or a folder with a model; several are an ensemble. Of several the first one says which data, splits
            and order of the classes count.
        data: another data folder; its classes are matched to the model's by name and counted in the model's order. A
            folder with the same files as the run's own counts as the run's own, with its splits. None takes the folder
            that the run was trained with.
        split: "train", "val", "test" or "all"; None takes the held-out split: the test split, without one the
            validation split, without splits all images.
        protocol: which views of an image the networks are shown, such as "10-crop"; see
            :mod:`pixelwise.predict.protocols`.
        further: names of scores of segmentations besides the usual ones, which take longer: "hausdorff",
            "hausdorff_95", "average_surface_distance", "boundary_f", and F-beta such as "f2".
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        tile: longest side of a tile, in pixels; see :class:`~pixelwise.predict.predictor.Predictor`.
        memory_bytes: what the network may use for a picture; larger ones are cut into tiles.
        bad_images: "refuse" another folder with images that cannot be read, or "skip" these (a note says how many);
            None does as the run did, and refuses where there is no run.
        seed: of the bootstrap intervals.
        progress: called with the number of images done and of all images.
        should_stop: called before every image and between steps of the intervals; raises to end the evaluation.

    Raises:
        RunError, WeightsError: no run or model lies there, or it cannot be used.
        DataError: the data cannot be used, has classes that the model does not know, or no label in the split.
        UsageError: an unknown split, protocol or score; a model folder without data; runs that stand twice or do not
            agree.
        DeviceError: the device is not there.
        OutputError: the run's scores cannot be written.

    """
    settled = Protocol.of(protocol)
    paths = distinct_runs(path)
    runs = [Run.open(one) if (one / CONFIG_NAME).is_file() else None for one in paths]
    models = load_members(paths, device)
    run, first = runs[0], paths[0]
    root, manifest = _find_data(first, run, models[0], data, bad_images)
    is_own = run is not None and manifest is run.manifest and split in (None, held_out_split(manifest))
    keeps = is_own and len(paths) == 1 and settled == CENTRE
    if keeps:
        check_writable(first)
    scores = evaluate(
        models[0],
        root,
        manifest,
        split=split,
        ensemble=models[1:],
        protocol=settled,
        trained_on=[one.manifest for one in runs if one is not None],
        further=further,
        device=device,
        tile=tile,
        memory_bytes=memory_bytes,
        seed=seed,
        progress=progress,
        should_stop=should_stop,
    )
    if keeps:
        scores.save(first / SCORES_NAME)
    return scores if len(paths) == 1 else dataclasses.replace(scores, members=tuple(map(str, paths)))


_SETTLED_BY_TRAINING = ("--classes", "--mask-kind", "--ignore", "--layout", "task=")
"""Options that reading data for training advises, and that an evaluation does not have."""


def _find_data(
    path: Path, run: Run | None, model: Model, data: Path | str | None, bad_images: BadImages | None
) -> tuple[Path, Manifest]:
    """Return the data folder and its index."""
    if run is None:
        if data is None:
            raise UsageError(
                f"{path} is a model without its run, which does not know its data",
                expected="a run, or a data folder as well",
                do=f"Give the data folder: pixelwise evaluate {path} DATA",
            )
        return Path(data), _index(Path(data), model, None, bad_images or "refuse")
    own = _own_folder(run)
    if data is None:
        if own is None:
            raise RunError(
                f"The data folder of {path} is not there: {run.config.data['root']}",
                expected="the folder that it was trained on, or another one",
                do=f"Give the data folder: pixelwise evaluate {path} DATA",
            )
        return own, run.manifest
    root = Path(data)
    if own is not None and root.exists() and root.samefile(own):
        return root, run.manifest
    options = run.config.data.get("options", {})
    chosen = bad_images or options.get("bad_images", "refuse")
    manifest = _index(root, model, run.manifest, chosen, options.get("missing", "refuse"))
    return root, run.manifest if _same_files(manifest, run.manifest) else manifest


def _own_folder(run: Run) -> Path | None:
    """Return the folder that the run was trained on (a relative one may lie beside the run); None when it is gone."""
    given = Path(run.config.data["root"])
    return next((root for root in (given, run.path / given) if root.is_dir()), None)


def _same_files(one: Manifest, other: Manifest) -> bool:
    """Whether two data folders hold the same images, masks and labels under the same names."""
    texts = ((each.paths, each.masks, each.annotations) for each in (one, other))
    if any(own.texts() != others.texts() for own, others in zip(*texts, strict=True)):
        return False
    hashes = ("sha256", "mask_sha256")
    return all(np.array_equal(one.column(name), other.column(name)) for name in hashes) and np.array_equal(
        _labels(one), _labels(other)
    )


def _labels(manifest: Manifest) -> NDArray[np.str_]:
    """Return the name of each sample's class; "" for none."""
    return np.array([*manifest.classes, ""])[manifest.column("label")]


def _index(
    root: Path, model: Model, trained_on: Manifest | None, bad_images: BadImages, missing: Missing = "refuse"
) -> Manifest:
    """Index another data folder as the model's own data were read.

    Class folders and labels are taken into the model's table. Masks are read as in training; where the folder names
    the classes of its masks, those names count, and elsewhere the values mean what they meant in training. Boxes may
    come from a table or from masks, whose class table has a background besides: the names that the folder gives count.
    """
    form = TARGET_FORMS[model.task.name]
    classes: tuple[str, ...] | None = None if form.also_from else model.task.classes
    reading = None if trained_on is None else trained_on.mask_reading
    colours = () if reading is None else reading.colours
    if (form.by_pixel or form.also_from) and find_class_names(walk(root)) is not None:
        classes, colours = None, ()
    try:
        return build_manifest(
            root,
            task=model.task.name,
            classes=classes,
            mask_kind=None if reading is None else reading.kind,
            colours=colours,
            ignore=IGNORE if reading is None else reading.ignore,
            bad_images=bad_images,
            missing=missing,
            metadata=() if model.preprocess.metadata is None else model.preprocess.metadata.names,
        )
    except DataError as error:
        if not any(option in error.do for option in _SETTLED_BY_TRAINING):
            raise
        remedy = f"Correct the data, or give a folder with data for the classes {some(list(model.task.classes))}"
        raise type(error)(error.came, expected=error.expected, do=remedy) from None

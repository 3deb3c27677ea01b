"""Evaluate what lies in a folder: a run on its own data, or a run or a model on another folder."""

from collections.abc import Callable
from pathlib import Path

from pixelwise.data.assembly import BadImages
from pixelwise.data.layouts.class_names import find_class_names
from pixelwise.data.layouts.tree import walk
from pixelwise.data.manifest import Manifest, build_manifest
from pixelwise.data.masks import IGNORE
from pixelwise.errors import RunError, UsageError
from pixelwise.evaluate.evaluation import evaluate
from pixelwise.evaluate.scores import Scores, Split
from pixelwise.runs.folder import CONFIG_NAME, Run
from pixelwise.runs.model import Model, load_model
from pixelwise.tasks import Segmentation


def evaluate_run(
    path: Path | str,
    data: Path | str | None = None,
    *,
    split: Split | None = None,
    device: str = "auto",
    bad_images: BadImages = "refuse",
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - the names say what a caller gets
    should_stop: Callable[[], None] = lambda: None,
) -> Scores:
    """Score the model of a run, or of a model folder. ``Scores.save`` keeps the result.

    Args:
        path: a run, or a folder with a model.
        data: another data folder; its classes are matched to the model's by name and counted in the model's order. None
            takes the data that the run was trained with.
        split: "train", "val", "test" or "all"; None takes the test split, without one the validation split, without
            splits all images.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        bad_images: "refuse" data with images that cannot be read, or "skip" these; a note says how many.
        seed: of the bootstrap intervals.
        progress: called with the number of images done and of all images.
        should_stop: called before every image and between steps of the intervals; raises to end the evaluation.

    Raises:
        RunError, WeightsError: no run or model lies there, or it cannot be used.
        DataError: the data cannot be used, has classes that the model does not know, or no label in the split.
        UsageError: an unknown split, or a model folder without data.
        DeviceError: the device is not there.

    """
    path = Path(path)
    run = Run.open(path) if (path / CONFIG_NAME).is_file() else None
    model = load_model(path, device)
    if data is not None:
        root = Path(data)
        manifest = _index(root, model, None if run is None else run.manifest, bad_images)
    elif run is not None:
        root, manifest = _data_of(run), run.manifest
    else:
        raise UsageError(
            f"{path} is a model without its run, which does not know its data",
            expected="a run, or a data folder as well",
            do=f"Give the data folder: pixelwise evaluate {path} DATA",
        )
    return evaluate(
        model,
        root,
        manifest,
        split=split,
        trained_on=None if run is None else run.manifest,
        device=device,
        seed=seed,
        progress=progress,
        should_stop=should_stop,
    )


def _data_of(run: Run) -> Path:
    """Return the folder that the run was trained on; a relative one may lie beside the run."""
    given = Path(run.config.data["root"])
    for root in (given, run.path / given):
        if root.is_dir():
            return root
    raise RunError(
        f"The data folder of {run.path} is not there: {given}",
        expected="the folder that it was trained on, or another one",
        do=f"Give the data folder: pixelwise evaluate {run.path} DATA",
    )


def _index(root: Path, model: Model, trained_on: Manifest | None, bad_images: BadImages) -> Manifest:
    """Index another data folder as the model's own data were read.

    Class folders and labels are taken into the model's table. Masks are read as in training; where the folder names
    the classes of its masks, those names count, and elsewhere the values mean what they meant in training.
    """
    classes: tuple[str, ...] | None = model.task.classes
    reading = None if trained_on is None else trained_on.mask_reading
    colours = () if reading is None else reading.colours
    if isinstance(model.task, Segmentation) and find_class_names(walk(root)) is not None:
        classes, colours = None, ()
    return build_manifest(
        root,
        task=model.task.name,
        classes=classes,
        mask_kind=None if reading is None else reading.kind,
        colours=colours,
        ignore=IGNORE if reading is None else reading.ignore,
        bad_images=bad_images,
    )

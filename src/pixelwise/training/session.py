"""A training run from end to end: :func:`train` starts one, :func:`resume` goes on with one."""

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import torch

from pixelwise.errors import DeviceError, Interrupted, OutputError, RunError, UsageError
from pixelwise.evaluation import evaluate_run
from pixelwise.runs.folder import CONFIG_NAME, MANIFEST_NAME, MODEL_FOLDER, Run, RunConfig
from pixelwise.runs.journal import Journal
from pixelwise.runs.lock import LOCK_NAME, lock_run
from pixelwise.runtime import keep_freed_memory, set_threads
from pixelwise.specs import Spec, TaskName
from pixelwise.storage.atomic import check_writable, sweep_temporaries
from pixelwise.training import distributed
from pixelwise.training.assemble import make_job, make_state, recipe_of
from pixelwise.training.checkpoint import FOLDER_NAME, latest_checkpoint, restore
from pixelwise.training.device import Precision, choose_own_device, choose_precision, has_bfloat16, set_deterministic
from pixelwise.training.identity import check_same, check_same_data, identity_of
from pixelwise.training.loop import fit
from pixelwise.training.progress import Progress, make_progress
from pixelwise.training.recipe import Recipe
from pixelwise.training.recipes import make_recipe
from pixelwise.training.signals import StopRequest
from pixelwise.training.start import (
    BadImages,
    Choices,
    ClassWeights,
    DataOptions,
    choose_spec,
    default_network,
    index_source,
    plan_run,
    read_source,
)

RUNS_FOLDER = Path("runs")
CHECKPOINT_SECONDS = 300.0

_log = logging.getLogger(__name__)


def train(
    data: Path | str,
    spec: Spec | str | None = None,
    *,
    task: TaskName | None = None,
    recipe: Recipe | str = "quick",
    settings: dict[str, str] | None = None,
    out: Path | str | None = None,
    name: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    batch: int | Literal["auto"] = "auto",
    workers: int = 0,
    deterministic: bool = False,
    weights: Path | str | None = None,
    class_weights: ClassWeights = None,
    bad_images: BadImages = "refuse",
    options: DataOptions | None = None,
    on_existing: Literal["refuse", "resume"] = "refuse",
    quiet: bool = False,
    should_check: bool = True,
    keep_memory: bool = True,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    checkpoint_steps: int | None = None,
) -> Run:
    """Train a network on a folder of pictures, evaluate it, and return its run.

    Args:
        data: the folder; see ``docs/reference/layouts.md``.
        spec: a network's name, or a row of your own; None = unet16 for masks, and for classes resnet20_cifar up to 64
            pixels a side, else resnet18.
        task: what the folder is for; None = found by looking.
        recipe: a recipe's name, or a recipe.
        settings: overrides of fields of the recipe and of the network, as text: ``{"epochs": "20"}``.
        out: the run folder; None = ``runs/NAME``, numbered where it is taken.
        name: the run's name; None = the last part of ``out``, or DATA-NETWORK.
        seed: of weights, splits, order, augmentation and dropout.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: float32, bfloat16, or auto: bfloat16 where the hardware has it and it pays.
        batch: pictures per forward pass; auto = the recipe's, but at most a quarter of the training pictures, and in
            accumulated parts where it does not fit into memory.
        workers: processes that prepare batches; 0 = none. The result is the same for any number.
        deterministic: refuse GPU kernels whose results do not repeat bit for bit.
        weights: a file of weights to start from, for exactly this network.
        class_weights: one factor per class for the loss, or "balanced": inverse to the training pictures' counts.
        bad_images: refuse the data when a picture is damaged, or skip it and record that.
        options: further choices about layout, masks and splits; ``task`` and ``bad_images`` here go before its own.
        on_existing: what to do when ``out`` holds a run: refuse, or resume it if it was started with these settings.
        quiet: print nothing.
        should_check: look for faults in the data first; see ``pixelwise check``.
        keep_memory: keep freed memory in the process, see :mod:`pixelwise.runtime`.
        checkpoint_seconds: time between checkpoints within an epoch; there is one at the end of every epoch besides.
        checkpoint_steps: optimiser steps between checkpoints within an epoch; None = by time only.

    Raises:
        PixelwiseError: what cannot work, before the first epoch wherever it can be known.
        Interrupted: SIGTERM or SIGINT came; a checkpoint is written, and :func:`resume` goes on.

    """
    settings = dict(settings or {})
    recipe_name = recipe if isinstance(recipe, str) else "own"
    chosen = make_recipe(recipe) if isinstance(recipe, str) else recipe
    if spec is not None:
        spec, chosen = choose_spec(spec, chosen, settings)
    _check_numbers(workers=workers, batch=batch, checkpoint_steps=checkpoint_steps)
    root, options = Path(data), options or DataOptions()
    options = dataclasses.replace(options, task=task or options.task, bad_images=bad_images)
    with StopRequest() as stop, distributed.joined():
        folder = _choose_folder(out, name or f"{root.resolve().name}-{spec.name if spec else 'default'}")
        if on_existing == "resume" and (folder / CONFIG_NAME).exists():
            _check_same_request(Run.open(folder).config, spec, recipe_name, seed)
            return resume(folder, settings=_recipe_part(settings), quiet=quiet, keep_memory=keep_memory)
        if batch == "auto" and "batch_size" in settings:
            batch = chosen.batch_size  # asked for, so it is not made smaller
        place = choose_own_device(device)
        choose_precision(precision, place)
        _prepare_process(keep_memory=keep_memory, deterministic=deterministic)
        progress = make_progress(is_quiet=quiet or distributed.rank() > 0)
        choices = Choices(
            name=name or folder.name, recipe_name=recipe_name, seed=seed, workers=workers, device=place,
            precision=precision, deterministic=deterministic, batch=batch, class_weights=class_weights,
            weights=None if weights is None else Path(weights),
            checkpoint_seconds=checkpoint_seconds, checkpoint_steps=checkpoint_steps,
        )  # fmt: skip
        with _writing(folder, is_new=True):
            if distributed.rank() == 0:
                source = read_source(root, options, seed=seed, should_check=should_check)
                if spec is None:
                    spec, chosen = choose_spec(default_network(source.manifest), chosen, settings)
                Run.create(folder, plan_run(source, spec, chosen, choices), source.manifest)
            distributed.wait_for_all()
            return _carry_on(Run.open(folder), place, progress, stop)


def resume(
    path: Path | str,
    *,
    settings: dict[str, str] | None = None,
    data: Path | str | None = None,
    device: str | None = None,
    workers: int | None = None,
    quiet: bool = False,
    keep_memory: bool = True,
) -> Run:
    """Go on with a run that was interrupted, killed or failed, to the same bits as if it had not been.

    Args:
        path: the run folder.
        settings: changed fields of the recipe; refused, with the difference, unless they cannot change what was done
            so far: ``patience``, and ``epochs`` where the schedule is constant.
        data: where the data lie now, if they were moved.
        device: another device; the same bits are then not to be expected.
        workers: another number of processes that prepare batches.
        quiet: print nothing.
        keep_memory: see :func:`train`.

    Raises:
        RunError: no run, another process at work in it, or changed data or settings: the difference is shown.
        CheckpointError: no whole checkpoint is left, or it has a newer format.
        PixelwiseError: see :func:`train`.
        Interrupted: see :func:`train`.

    """
    folder = Path(path)
    with StopRequest() as stop, distributed.joined():
        run = Run.open(folder)
        if run.status == "finished" and not settings:
            return run
        progress = make_progress(is_quiet=quiet or distributed.rank() > 0)
        place = _same_device(run.config.device, device)
        _prepare_process(keep_memory=keep_memory, deterministic=run.config.deterministic)
        if place.type == "cpu":
            set_threads(run.config.threads)
        with _writing(folder, is_new=False):
            config = dataclasses.replace(
                run.config,
                status="running",
                device=str(place),
                precision=_same_precision(run.config.precision, place),
                workers=run.config.workers if workers is None else workers,
                recipe=_override(run.config.recipe, settings or {}),
            )
            root = Path(data or config.data["root"])
            config = dataclasses.replace(config, data={**config.data, "root": str(root.resolve())})
            now = index_source(root, DataOptions.from_json(config.data["options"]), seed=config.seed)
            check_same_data(run.manifest, now, root)
            found = latest_checkpoint(folder / FOLDER_NAME)
            if found:
                check_same(found.identity, identity_of(config), recipe_of(config))
            if distributed.rank() == 0:
                run.update(config)
            distributed.wait_for_all()
            return _carry_on(Run.open(folder), place, progress, stop)


def _carry_on(run: Run, device: torch.device, progress: Progress, stop: StopRequest) -> Run:
    """Train from where the run stands to its end, then evaluate."""
    journal = Journal(run.path)
    try:
        for folder in (run.path, run.path / FOLDER_NAME, run.path / MODEL_FOLDER):
            if distributed.rank() == 0:
                sweep_temporaries(folder)
        state = make_state(run.config, device)
        job = make_job(run, device, journal=journal, progress=progress, stop=stop)
        found = latest_checkpoint(run.path / FOLDER_NAME)
        if found:
            restore(state, found)
        journal.truncate(state.counters.journal_bytes)
        about = {"device": str(device), "processes": distributed.world_size(), "torch": torch.__version__}
        event = "resume" if found else "start"
        journal.add(event, step=state.counters.step, epoch=state.counters.epoch, fields=about)
        stop.defer()
        fit(job, state)
        stop.act_at_once()
        if distributed.rank() == 0:
            evaluate_run(run.path, device=str(device))
            run.set_status("finished")
    except BaseException as error:
        if distributed.rank() == 0:
            _record_end(run, journal, error)
        raise
    finally:
        progress.close()
    return run


def _record_end(run: Run, journal: Journal, error: BaseException) -> None:
    """Note how a run ended, as far as the disk lets us: the error itself is on its way to the user."""
    with suppress(OutputError):
        if isinstance(error, (Interrupted, KeyboardInterrupt)):
            run.set_status("interrupted")
            return
        run.set_status("failed")
        last = run.journal[-1] if run.journal else {}
        journal.add("stop", step=last.get("step", 0), epoch=last.get("epoch", 0), fields={"reason": str(error)})
        journal.flush()


@contextmanager
def _writing(folder: Path, *, is_new: bool) -> Iterator[None]:
    """Hold the run folder; a new one that has not become a run by the end is taken away again."""
    if distributed.rank() > 0:
        yield
        return
    was_there = folder.exists()
    if is_new:
        _refuse_occupied(folder)
    check_writable(folder)
    try:
        with lock_run(folder):
            yield
    finally:
        if not was_there and not (folder / CONFIG_NAME).exists():
            (folder / LOCK_NAME).unlink(missing_ok=True)
            with suppress(OSError):  # something else was put there meanwhile: it stays
                folder.rmdir()


def _refuse_occupied(folder: Path) -> None:
    if (folder / CONFIG_NAME).exists():
        raise RunError(
            f"{folder} already holds a run",
            expected="a new folder",
            do=f"`pixelwise resume {folder}` goes on with it; or choose another folder",
        )
    if folder.is_dir() and any(not _is_left_over(path.name) for path in folder.iterdir()):
        raise RunError(f"{folder} is not empty", expected="a new or empty folder", do="Choose another folder")


def _is_left_over(name: str) -> bool:
    """Whether a file comes from a run that was killed before it had begun."""
    return name in (LOCK_NAME, MANIFEST_NAME) or name.startswith(".pixelwise-tmp-")


def _choose_folder(out: Path | str | None, name: str) -> Path:
    if out is not None:
        return Path(out)
    if distributed.world_size() > 1:
        raise UsageError("no run folder", expected="one, which all processes know", do="Give out=FOLDER")
    folder, number = RUNS_FOLDER / name, 2
    while folder.exists():
        folder, number = RUNS_FOLDER / f"{name}-{number}", number + 1
    return folder


def _prepare_process(*, keep_memory: bool, deterministic: bool) -> None:
    if keep_memory:
        keep_freed_memory()
    if deterministic:
        set_deterministic()


def _same_device(before: str, asked: str | None) -> torch.device:
    """Return the device to resume on: the one asked for, else the run's own, else the CPU."""
    try:
        place = choose_own_device(asked or before)
    except DeviceError:
        if asked is not None:
            raise
        place = torch.device("cpu")
    if place.type != torch.device(before).type:
        _log.warning("The run goes on on %s and not on %s: its bits will not be those of one device.", place, before)
    return place


def _same_precision(before: str, place: torch.device) -> str:
    """Return the precision to resume in: the run's own, or float32 where the device does not have it."""
    if before == "bfloat16" and not has_bfloat16(place):
        _log.warning("%s has no bfloat16, so the run goes on in float32: its bits will not be the same.", place)
        return "float32"
    return before


def _override(recipe: dict[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    fields = Recipe.from_json({key: value for key, value in recipe.items() if key != "name"})
    return {"name": recipe["name"], **fields.override(settings).to_json()}


def _recipe_part(settings: dict[str, str]) -> dict[str, str]:
    fields = {field.name for field in dataclasses.fields(Recipe)}
    return {key: text for key, text in settings.items() if key in fields}


def _check_same_request(config: RunConfig, spec: Spec | None, recipe_name: str, seed: int) -> None:
    before = {"spec": config.spec, "recipe": {"name": config.recipe["name"]}, "seed": config.seed}
    now = {"spec": spec.to_json() if spec else config.spec, "recipe": {"name": recipe_name}, "seed": seed}
    check_same(before, now, recipe_of(config))


def _check_numbers(*, workers: int, batch: int | Literal["auto"], checkpoint_steps: int | None) -> None:
    for what, number, least in (
        ("workers", workers, 0),
        ("batch", batch, 1),
        ("checkpoint_steps", checkpoint_steps, 1),
    ):
        if isinstance(number, int) and number < least:
            raise UsageError(f"{what}={number}", expected=f"at least {least}", do="Correct the number")

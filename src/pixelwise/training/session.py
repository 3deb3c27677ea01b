"""A training run from end to end: :func:`train` starts one, :func:`resume` goes on with one."""

import dataclasses
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch

from pixelwise.data.draws import check_seed
from pixelwise.data.task_names import TaskName
from pixelwise.errors import Interrupted, OutputError, UsageError
from pixelwise.evaluation import complete_model, evaluate_run
from pixelwise.runs.folder import CONFIG_NAME, MODEL_FOLDER, Run
from pixelwise.runs.journal import Journal
from pixelwise.runtime import keep_freed_memory, set_threads
from pixelwise.specs import Spec
from pixelwise.storage.atomic import sweep_temporaries
from pixelwise.storage.paths import as_path
from pixelwise.tasks.loss_text import check_loss_text
from pixelwise.training import distributed
from pixelwise.training.announce import describe_augmentation, describe_cuts, describe_plan, describe_source
from pixelwise.training.assemble import make_job, make_state, recipe_of
from pixelwise.training.checkpoint import FOLDER_NAME, latest_checkpoint, restore
from pixelwise.training.claim import choose_folder, claimed
from pixelwise.training.class_weights import ClassWeights
from pixelwise.training.continuation import (
    begin_comparison,
    changed_recipe,
    same_device,
    same_precision,
    same_request,
)
from pixelwise.training.device import Precision, choose_own_device, choose_precision, set_deterministic
from pixelwise.training.identity import check_same, check_same_data, identity_of
from pixelwise.training.initial import check_initial_weights
from pixelwise.training.loop import fit
from pixelwise.training.progress import Progress, make_progress, tell
from pixelwise.training.recipe import Recipe
from pixelwise.training.recipes import make_recipe
from pixelwise.training.signals import StopRequest, explained
from pixelwise.training.source import BadImages, DataOptions, index_source, read_source
from pixelwise.training.start import Choices, choose_spec, default_network, plan_run

CHECKPOINT_SECONDS = 300.0


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
    adapt: Collection[str] = (),
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
        seed: of weights, splits, order, augmentation and dropout; from 0 to 2**64 - 1.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: float32, bfloat16, or auto: bfloat16 where the hardware has it and it pays.
        batch: pictures per forward pass; auto = the recipe's, but at most a quarter of the training pictures, and in
            accumulated parts where it does not fit into memory.
        workers: processes that prepare batches; 0 = none. The result is the same for any number.
        deterministic: refuse GPU kernels whose results do not repeat bit for bit.
        weights: what to start from: a file of weights for exactly this network or for its backbone, or a run or model
            folder with it.
            Pictures are then normalised with the mean and standard deviation that the weights expect, where these are
            known, instead of measured ones.
        adapt: differences between weights and network to bridge: ``"head"`` draws fresh last layers for other classes,
            ``"input"`` brings the first layer's filters to other channels.
        class_weights: one factor per class for the loss, or a rule: "balanced", inverse to the training pictures'
            counts, of masks to their pixels'; "enet" for masks, 1 / ln(1.02 + share), which spares frequent classes.
        bad_images: refuse the data when a picture is damaged, or skip it and record that.
        options: further choices about layout, masks and splits; ``task`` and ``bad_images`` here go before its own.
        on_existing: what to do when ``out`` holds a run: refuse, or resume it if it was started with this request;
            ``device``, ``workers`` and times of checkpoints may be others, and are then those of the rest of the run.
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
    check_loss_text(settings.get("loss", chosen.loss))
    _check_numbers(workers=workers, batch=batch, checkpoint_steps=checkpoint_steps)
    check_seed(seed)
    root, options = Path(data), options or DataOptions()
    options = dataclasses.replace(options, task=task or options.task, bad_images=bad_images)
    may_resume = on_existing == "resume"
    with StopRequest() as stop, distributed.joined():
        title = name or f"{root.resolve().name}-{spec.name if spec else 'default'}"
        folder = choose_folder(out, title, may_exist=may_resume)
        if batch == "auto" and "batch_size" in settings:
            batch = chosen.batch_size  # asked for, so it is not made smaller
        place = choose_own_device(device)
        choose_precision(precision, place)
        choices = Choices(
            name=name or folder.name, recipe_name=recipe_name, seed=seed, workers=workers, device=place,
            precision=precision, deterministic=deterministic, batch=batch, class_weights=class_weights,
            weights=None if weights is None else as_path(weights, "weights"), adapt=adapt,
            checkpoint_seconds=checkpoint_seconds, checkpoint_steps=checkpoint_steps,
        )  # fmt: skip
        if may_resume and (folder / CONFIG_NAME).exists():
            run = Run.open(folder)
            if spec is None:
                spec, chosen = choose_spec(default_network(run.manifest), chosen, settings)
            changeable = same_request(run, spec, chosen, choices, root=root, options=options)
            return resume(
                folder, settings=changeable, device=None if device == "auto" else device, workers=workers,
                checkpoint_seconds=checkpoint_seconds, checkpoint_steps=checkpoint_steps, quiet=quiet,
                keep_memory=keep_memory,
            )  # fmt: skip
        check_initial_weights(choices.weights, adapt, spec)
        _prepare_process(keep_memory=keep_memory, deterministic=deterministic)
        progress = make_progress(is_quiet=quiet or distributed.rank() > 0)
        with explained(folder), claimed(folder, is_new=True):
            if distributed.rank() == 0:
                source = read_source(root, options, seed=seed, should_check=should_check)
                tell(progress, describe_source(source))
                if spec is None:
                    spec, chosen = choose_spec(default_network(source.manifest), chosen, settings)
                plan = plan_run(source, spec, chosen, choices)
                tell(progress, describe_plan(plan, folder))
                tell(progress, describe_augmentation(chosen, plan))
                tell(progress, describe_cuts(plan, source.manifest))
                Run.create(folder, plan, source.manifest)
            distributed.wait_for_all()
            return _carry_on(Run.open(folder), place, progress, stop)


def resume(
    path: Path | str,
    *,
    settings: dict[str, str] | None = None,
    data: Path | str | None = None,
    device: str | None = None,
    workers: int | None = None,
    checkpoint_seconds: float | None = None,
    checkpoint_steps: int | None = None,
    quiet: bool = False,
    keep_memory: bool = True,
) -> Run:
    """Go on with a run that was interrupted, killed or failed, to the same bits as if it had not been.

    Args:
        path: the run folder.
        settings: changed fields of the recipe; refused, with the difference, unless they cannot change what was done
            so far: ``patience``, and ``epochs`` where the schedule is constant or exponential.
        data: where the data lie now, if they were moved.
        device: another device; the same bits are then not to be expected.
        workers: another number of processes that prepare batches.
        checkpoint_seconds: another time between checkpoints within an epoch.
        checkpoint_steps: another number of optimiser steps between checkpoints within an epoch.
        quiet: print nothing.
        keep_memory: see :func:`train`.

    Raises:
        RunError: no run, another process at work in it, or changed data or settings: the difference is shown.
        CheckpointError: no whole checkpoint is left, or it has a newer format.
        PixelwiseError: see :func:`train`.
        Interrupted: see :func:`train`.

    """
    folder = Path(path)
    _check_numbers(workers=workers, checkpoint_steps=checkpoint_steps)
    with StopRequest() as stop, distributed.joined(), explained(folder):
        run = Run.open(folder)
        recipe = changed_recipe(run.config.recipe, settings or {})
        if device is not None:
            choose_own_device(device)  # refused where it is missing, even if nothing is left to do
        if run.status == "finished" and recipe == changed_recipe(run.config.recipe, {}):
            return run
        progress = make_progress(is_quiet=quiet or distributed.rank() > 0)
        place = same_device(run.config.device, device)
        _prepare_process(keep_memory=keep_memory, deterministic=run.config.deterministic)
        if place.type == "cpu":
            set_threads(run.config.threads)
        with claimed(folder, is_new=False):
            before = run.config
            config = dataclasses.replace(
                before,
                status="running",
                device=str(place),
                precision=same_precision(before.precision, place),
                workers=before.workers if workers is None else workers,
                checkpoint_seconds=before.checkpoint_seconds if checkpoint_seconds is None else checkpoint_seconds,
                checkpoint_steps=before.checkpoint_steps if checkpoint_steps is None else checkpoint_steps,
                recipe=recipe,
            )
            root = Path(data or config.data["root"])
            config = dataclasses.replace(config, data={**config.data, "root": str(root.resolve())})
            options, skipped = DataOptions.from_json(config.data["options"]), dict(run.manifest.skipped)
            now = index_source(root, options, seed=config.seed, exclude=skipped)
            check_same_data(run.manifest, now, root)
            found = latest_checkpoint(folder / FOLDER_NAME)
            check_same(found.identity if found else identity_of(run.config), identity_of(config), recipe_of(config))
            if distributed.rank() == 0:
                tell(progress, describe_plan(config, folder, found.counters.epoch if found else 0))
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
        found = latest_checkpoint(run.path / FOLDER_NAME)
        state = make_state(run.config, device, is_restored=found is not None)
        job = make_job(run, device, journal=journal, progress=progress, stop=stop)
        if found:
            restore(state, found)
            progress.say(f"Going on after {state.counters.epoch} epochs and {state.counters.step} steps.")
        journal.truncate(state.counters.journal_bytes)
        if note := begin_comparison(state.counters, run.journal, job.task.metric):
            progress.say(note)
        about = {"device": str(device), "processes": distributed.world_size(), "torch": torch.__version__}
        event = "resume" if found else "start"
        journal.add(event, step=state.counters.step, epoch=state.counters.epoch, fields=about)
        stop.defer()
        fit(job, state)
        stop.act_at_once()
        if distributed.rank() == 0:
            complete_model(run, str(device))
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


def _prepare_process(*, keep_memory: bool, deterministic: bool) -> None:
    if keep_memory:
        keep_freed_memory()
    if deterministic:
        set_deterministic()


def _check_numbers(
    *, workers: int | None = None, batch: int | Literal["auto"] = "auto", checkpoint_steps: int | None = None
) -> None:
    for what, number, least in (
        ("workers", workers, 0),
        ("batch", batch, 1),
        ("checkpoint_steps", checkpoint_steps, 1),
    ):
        if isinstance(number, int) and number < least:
            raise UsageError(f"{what}={number}", expected=f"at least {least}", do="Correct the number")

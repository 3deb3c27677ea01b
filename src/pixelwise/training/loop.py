"""The training loop, whole: batches, accumulated steps, best weights, checkpoints, early stopping.

Nothing here draws a random number that is not a function of (seed, epoch, position), and nothing waits for the device
more often than it must. A run that is stopped between any two batches goes on to the same bits.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.data.loading import Batch, load_batches
from pixelwise.errors import Interrupted
from pixelwise.training import distributed
from pixelwise.training.checkpoint import FOLDER_NAME, TrainState, save_checkpoint
from pixelwise.training.device import DropoutDraws, autocast
from pixelwise.training.epoch import plan_epoch
from pixelwise.training.failures import LossWatch, is_out_of_memory, out_of_memory_error
from pixelwise.training.job import Job
from pixelwise.training.optim import rate_at, set_rate
from pixelwise.training.parts import start_epoch, thaw_at
from pixelwise.training.progress import EpochLine
from pixelwise.training.validation import validate

_STEP_LINES = 500


def fit(job: Job, state: TrainState) -> None:
    """Train ``state`` to the end of its run, from wherever it stands.

    Raises:
        Interrupted: a signal came; the checkpoint is written.
        TrainingError: the loss or the weights became NaN or infinite, or memory ran out.
        OutputError: a checkpoint, the model or the journal could not be written.

    """
    fitting = _Fit(job, state)
    try:
        if state.counters.epoch == state.counters.batch == 0:
            fitting.checkpoint()  # proves that the folder can be written, and keeps the weights to start from
        while fitting.goes_on():
            fitting.train_epoch()
            fitting.finish_epoch()
    except Interrupted as interrupted:
        fitting.note("stop", {"reason": f"signal {interrupted.signal_number}"})
        fitting.checkpoint()
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory_error(fitting.shape, job.recipe.accumulate, state.network) from error
    if state.counters.epoch < job.epochs:
        chosen_by = state.counters.best_by(job.task.metric)["metric"]
        fitting.note("stop", {"reason": f"no better {chosen_by} for {job.recipe.patience} epochs"})
    fitting.note("end", {"seconds": round(state.counters.seconds, 3)})
    if distributed.rank() == 0:
        job.journal.flush()


class _Fit:
    def __init__(self, job: Job, state: TrainState) -> None:
        self.job, self.state, self.recipe = job, state, job.recipe
        self.frozen = start_epoch(self.recipe, state.network, state.counters.epoch)
        self.noun = "patches" if state.network.spec.dimensions == 3 else "images"
        self.forward = distributed.training_forward(state.network, job.device)
        self.draws = DropoutDraws(job.seed, job.device)
        self.watch = LossWatch(job.device, job.describe_batch, self._last_checkpoint)
        # Until there is a batch: memory may run out while the first one is put together.
        self.shape: Sequence[int] = (self.recipe.batch_size, 0, *(self.recipe.crop or self.recipe.size or ()))
        self.plan = plan_epoch(
            len(job.train_set), self.recipe, rank=distributed.rank(), world_size=distributed.world_size()
        )
        self.total_steps = job.epochs * self.plan.steps
        self.journal_every = max(1, self.total_steps // _STEP_LINES)
        self.saved_at = self.timed_at = time.perf_counter()
        self.saved_path: Path | None = None

    def train_epoch(self) -> None:
        job, counters = self.job, self.state.counters
        frozen = start_epoch(self.recipe, self.state.network, counters.epoch)
        if frozen != self.frozen:  # several processes average the gradients of what learned when this was made
            self.frozen, self.forward = frozen, distributed.training_forward(self.state.network, job.device)
        batches = load_batches(
            job.train_set, batch_size=self.recipe.batch_size, epoch=counters.epoch, shuffle=True, workers=job.workers,
            start_batch=counters.batch, rank=distributed.rank(), world_size=distributed.world_size(),
            drop_last=self.plan.drop_last,
        )  # fmt: skip
        for batch in batches:
            job.stop.poll()
            loss = self.backward(batch)
            counters.batch += 1
            counters.samples += len(batch.indices)
            if self.plan.ends_step(counters.batch - 1):
                self.update(loss)
            job.progress.batch(
                epoch=counters.epoch, done=counters.batch, total=self.plan.batches, images=len(batch.indices),
                loss=loss, noun=self.noun,
            )  # fmt: skip
        self.watch.look()

    def backward(self, batch: Batch) -> Tensor:
        """Add the gradient of a batch, weighted by its share of the accumulated one; return its loss."""
        job, counters = self.job, self.state.counters
        self.shape = batch.images.shape
        self.draws.set(counters.epoch * self.plan.batches + counters.batch)
        with autocast(job.device, job.dtype):
            logits = self.forward(batch.network_input(job.preprocess, job.device))
            loss = job.task.loss(logits, batch.targets.to(job.device, non_blocking=True))
        count = len(batch.indices)
        if self.recipe.accumulate > 1:
            (loss * (count / self.plan.samples_of_step(counters.batch))).backward()
        else:
            loss.backward()
        loss = loss.detach()
        self.state.loss_sum.add_(loss, alpha=count)
        self.watch.add(loss, step=counters.step, rate=self.rate(), indices=batch.indices)
        return loss

    def update(self, loss: Tensor) -> None:
        """Take one optimiser step, and what may follow it: average, journal line, checkpoint."""
        state, counters = self.state, self.state.counters
        rate = self.rate()
        if self.recipe.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), self.recipe.clip_norm)
        set_rate(state.optimiser, rate)
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        counters.step += 1
        if state.average:
            state.average.update(counters.step)
        if counters.step % self.journal_every == 0:
            self.note("step", {"loss": loss.item(), "lr": rate})
        is_due = self.job.checkpoint_steps is not None and counters.step % self.job.checkpoint_steps == 0
        if is_due or time.perf_counter() - self.saved_at > self.job.checkpoint_seconds:
            self.checkpoint()

    def rate(self) -> float:
        return rate_at(self.recipe, self.state.counters.step, steps=self.total_steps, epoch_steps=self.plan.steps)

    def finish_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, write journal and checkpoint."""
        job, state, counters = self.job, self.state, self.state.counters
        sums = torch.tensor([state.loss_sum.item(), counters.samples], dtype=torch.float64)
        distributed.add_up({"train": sums})
        speed = distributed.world_size() * counters.samples / (time.perf_counter() - self.timed_at)
        val_loss, val = validate(job, state.evaluated, job.val_set) if job.val_set else (None, {})
        value = val.get(job.task.metric)
        is_best = counters.is_better(value, val_loss)
        rate = self.rate()
        counters.epoch, counters.batch, counters.samples = counters.epoch + 1, 0, 0
        state.loss_sum.zero_()
        before, train_loss = counters.seconds, float(sums[0] / sums[1])
        self.tick()
        self.note("epoch", {
            "train_loss": train_loss, "val_loss": val_loss, "val": val, "lr": rate,
            "images_per_second": round(speed, 1 if speed >= 10 else 4), "seconds": round(counters.seconds - before, 3),
        })  # fmt: skip
        if is_best:
            self.watch.check_weights(state.network, step=counters.step, rate=rate)
            counters.best, counters.best_loss, counters.best_epoch = value, val_loss, counters.epoch
            if distributed.rank() == 0:
                job.save_best(state)
            self.note("best", counters.best_by(job.task.metric))
        left = (job.epochs - counters.epoch) * counters.seconds / counters.epoch
        job.progress.epoch(EpochLine(
            counters.epoch, job.epochs, train_loss, val_loss, job.task.metric, value, speed, left, is_best, self.noun
        ))  # fmt: skip
        if self.goes_on() and (thaw := thaw_at(self.recipe, state.network, counters.epoch)):
            self.note("thaw", asdict(thaw))
            job.progress.say(str(thaw))
        self.checkpoint()

    def goes_on(self) -> bool:
        """Whether an epoch is left, and the last ones were not in vain."""
        counters, patience = self.state.counters, self.recipe.patience
        has_stalled = patience is not None and counters.epoch - counters.best_epoch >= patience
        return counters.epoch < self.job.epochs and not has_stalled

    def checkpoint(self) -> None:
        """Write a checkpoint of this moment, and the journal up to it; refuse weights that are not finite."""
        self.watch.look()
        self.watch.check_weights(self.state.network, step=self.state.counters.step, rate=self.rate())
        self.tick()
        if distributed.rank() == 0:
            self.state.counters.journal_bytes = self.job.journal.flush()
            self.saved_path = save_checkpoint(self.job.folder / FOLDER_NAME, self.state, self.job.identity)
        self.saved_at = time.perf_counter()

    def tick(self) -> None:
        now = time.perf_counter()
        self.state.counters.seconds += now - self.timed_at
        self.timed_at = now

    def note(self, event: str, fields: dict[str, Any]) -> None:
        counters = self.state.counters
        self.job.journal.add(event, step=counters.step, epoch=counters.epoch, fields=fields)

    def _last_checkpoint(self) -> str:
        return f"The last good checkpoint is {self.saved_path}" if self.saved_path else "There is no checkpoint yet"

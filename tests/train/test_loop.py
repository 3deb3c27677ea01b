"""The loop: it learns, adds up, keeps the best, stops when it should, and goes on to the same bits."""

import dataclasses
import json
import math

import pytest
import torch
from tiny import (
    blobs,
    classifier,
    digits,
    make_job,
    make_state,
    small_unet,
    tiny_recipe,
    train_classifier,
)

from pixelwise import catalogue
from pixelwise.errors import Interrupted, TrainingError
from pixelwise.runs.journal import read_journal
from pixelwise.tasks import make_task
from pixelwise.training.checkpoint import latest_checkpoint, restore
from pixelwise.training.loop import fit


def weights_of(state):
    return {name: tensor.clone() for name, tensor in state.network.state_dict().items()}


def assert_same_bits(mine, theirs):
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name]), name


def losses(folder):
    return [event["train_loss"] for event in read_journal(folder) if event["event"] == "epoch"]


@pytest.mark.parametrize("loss", ["", "bce"])
def test_a_classifier_overfits_a_batch(tmp_path, loss):
    names = ("a", "b") if loss == "bce" else ("a", "b", "c", "d")
    task = make_task("classification", names, loss=loss)
    recipe = tiny_recipe(epochs=40, batch_size=16, optimiser="adamw", learning_rate=3e-3, loss=loss)
    job = make_job(tmp_path, task, recipe, digits(16, classes=len(names)))
    state = make_state(catalogue.spec("lenet5_relu"), task.num_outputs, recipe)
    fit(job, state)
    first, *_, last = losses(tmp_path)
    assert first < 3 * math.log(len(names))
    assert last < 0.05


@pytest.mark.parametrize(
    ("loss", "binary"),
    [("bce", "sigmoid"), pytest.param("ce", "softmax", marks=pytest.mark.slow), ("ce+dice", "softmax")],
)
def test_a_segmenter_overfits_a_batch(tmp_path, loss, binary):
    task = make_task("segmentation", ("ground", "square"), loss=loss, binary=binary)
    recipe = tiny_recipe(epochs=60, batch_size=4, optimiser="adamw", learning_rate=1e-2, loss=loss)
    data = blobs(4)
    job = make_job(tmp_path, task, recipe, data, data)
    fit(job, make_state(small_unet(), task.num_outputs, recipe))
    epochs = [event for event in read_journal(tmp_path) if event["event"] == "epoch"]
    assert epochs[-1]["train_loss"] < 0.3 * epochs[0]["train_loss"]
    assert epochs[-1]["val"]["mean_iou"] > 0.9


def test_accumulated_parts_are_one_large_batch(tmp_path):
    """Also where the parts do not divide the data: 22 pictures, batches of 8 against 2 x 4."""
    whole = train_classifier(tmp_path / "whole", tiny_recipe(batch_size=8), count=22)
    parts = train_classifier(tmp_path / "parts", tiny_recipe(batch_size=4, accumulate=2), count=22)
    assert whole.counters.step == parts.counters.step == 2 * 3
    for mine, theirs in zip(parts.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_gradients_are_clipped(tmp_path, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def spy(parameters, limit):
        parameters = list(parameters)
        clip(parameters, limit)
        norms.append(math.sqrt(sum(float(p.grad.square().sum()) for p in parameters)))

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
    train_classifier(tmp_path, tiny_recipe(clip_norm=0.01))
    assert norms == pytest.approx([0.01] * 4, rel=1e-3)


def test_the_best_weights_are_kept_and_early_stopping_waits_for_its_patience(tmp_path, monkeypatch):
    values = iter([0.5, 0.7, 0.6, 0.7, 0.2, 0.9])
    monkeypatch.setattr("pixelwise.training.loop.validate", lambda job, network, data: (1.0, {"top1": next(values)}))
    saved = []
    job, state = classifier(
        tmp_path,
        tiny_recipe(epochs=10, patience=3),
        val=True,
        save_best=lambda state: saved.append(state.counters.epoch),
    )
    fit(job, state)
    assert saved == [1, 2]
    assert (state.counters.best, state.counters.best_epoch, state.counters.epoch) == (0.7, 2, 5)
    events = read_journal(tmp_path)
    assert [event["value"] for event in events if event["event"] == "best"] == [0.5, 0.7]
    assert next(event for event in events if event["event"] == "stop")["reason"] == "no better top1 for 3 epochs"
    assert events[-1]["event"] == "end"


def test_without_a_metric_the_validation_loss_chooses_the_best_weights(tmp_path, monkeypatch):
    losses = iter([0.5, 0.3, 0.4, 0.6, 0.1])
    monkeypatch.setattr("pixelwise.training.loop.validate", lambda job, network, data: (next(losses), {}))
    saved = []
    job, state = classifier(
        tmp_path,
        tiny_recipe(epochs=10, patience=2),
        val=True,
        save_best=lambda state: saved.append(state.counters.epoch),
    )
    fit(job, state)
    assert saved == [1, 2]
    assert (state.counters.best, state.counters.best_loss, state.counters.best_epoch) == (None, 0.3, 2)
    events = read_journal(tmp_path)
    chosen = [(event["metric"], event["value"]) for event in events if event["event"] == "best"]
    assert chosen == [("val_loss", 0.5), ("val_loss", 0.3)]
    assert next(event for event in events if event["event"] == "stop")["reason"] == "no better val_loss for 2 epochs"


def test_the_moving_average_is_what_is_evaluated_and_saved(tmp_path):
    saved = []
    job, state = classifier(
        tmp_path, tiny_recipe(ema_decay=0.9), val=True, save_best=lambda state: saved.append(state.evaluated)
    )
    fit(job, state)
    assert saved[-1] is state.average.network
    assert not torch.equal(next(saved[-1].parameters()), next(state.network.parameters()))


def test_the_journal_tells_the_run(tmp_path):
    train_classifier(tmp_path, tiny_recipe(epochs=2, batch_size=4, schedule="cosine"), val=True)
    events = read_journal(tmp_path)
    kinds = [event["event"] for event in events]
    assert kinds.count("step") == 8
    assert kinds.count("epoch") == 2
    assert kinds[-1] == "end"
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, 9))
    assert steps[0]["lr"] == pytest.approx(0.02)
    assert steps[4]["lr"] == pytest.approx(0.01)
    epoch = next(event for event in events if event["event"] == "epoch")
    assert set(epoch) == {
        "event", "time", "step", "epoch", "train_loss", "val_loss", "val", "lr", "images_per_second", "seconds",
    }  # fmt: skip
    assert epoch["images_per_second"] > 0


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(tmp_path):
    recipe = tiny_recipe(batch_size=4, learning_rate=0.01)
    job, state = classifier(tmp_path, recipe, count=8)
    fit(dataclasses.replace(job, epochs=1), state)
    with torch.no_grad():
        state.network.get_parameter(next(name for name, _ in state.network.named_parameters())).fill_(math.nan)
    with pytest.raises(TrainingError) as caught:
        fit(job, state)
    message = str(caught.value)
    assert message.startswith("The loss became nan at step 2, at learning rate 0.01, with the batch of picture-")
    assert "There is no checkpoint yet" in message
    assert message.endswith(
        "Try a lower rate (--set learning_rate=0.001), clipped gradients (--set clip_norm=1) or a warm-up"
        " (--set warmup_steps=500), and look at these files with `pixelwise check`."
    )


def test_a_rate_that_explodes_names_the_last_good_checkpoint(tmp_path):
    job, state = classifier(tmp_path, tiny_recipe(epochs=50, learning_rate=1e6), checkpoint_steps=1)
    with pytest.raises(TrainingError) as caught:
        fit(job, state)
    assert "The last good checkpoint is" in str(caught.value) or "There is no checkpoint yet" in str(caught.value)
    found = latest_checkpoint(tmp_path / "checkpoints")
    if found:
        assert all(bool(tensor.isfinite().all()) for name, tensor in found.tensors.items() if "network:" in name)


def test_running_out_of_memory_suggests_half_the_batch(tmp_path):
    job, state = classifier(tmp_path, tiny_recipe())

    def explode(images):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    state.network.forward = explode
    with pytest.raises(TrainingError) as caught:
        fit(job, state)
    assert str(caught.value) == (
        "Out of memory with a batch of 8 pictures of 28x28 px. Try --batch 4 --set accumulate=2, which keeps the"
        " gradient as it is, or smaller crops."
    )


def test_other_errors_are_not_taken_for_memory(tmp_path):
    job, state = classifier(tmp_path, tiny_recipe())

    def explode(images):
        raise RuntimeError("a bug")

    state.network.forward = explode
    with pytest.raises(RuntimeError, match="a bug"):
        fit(job, state)


class StopAt:
    """Asks to stop at the n-th poll."""

    def __init__(self, poll):
        self.polls, self.at = 0, poll

    def poll(self):
        self.polls += 1
        if self.polls == self.at:
            raise Interrupted(15)


RECIPES = {
    "sgd": tiny_recipe(epochs=3, batch_size=4, schedule="cosine"),
    "adamw, averaged": tiny_recipe(epochs=3, batch_size=4, optimiser="adamw", ema_decay=0.9, schedule="one_cycle"),
    "accumulated": tiny_recipe(epochs=3, batch_size=2, accumulate=3, clip_norm=1.0),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("poll", [1, 2, 5, 8, 13])
def test_a_run_stopped_anywhere_goes_on_to_the_same_bits(tmp_path, recipe, poll):
    """In the middle of an accumulated batch, at an epoch's end and within validation alike."""
    spec = catalogue.spec("lenet5_relu")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    job, state = classifier(whole, recipe, spec=spec, val=True)
    fit(job, state)

    job, first = classifier(stopped, recipe, spec=spec, val=True, stop=StopAt(poll))
    with pytest.raises(Interrupted):
        fit(job, first)
    job, second = classifier(stopped, recipe, spec=spec, val=True)
    torch.manual_seed(12345)  # whatever state torch's generator has
    found = latest_checkpoint(stopped / "checkpoints")
    restore(second, found)
    job.journal.truncate(found.counters.journal_bytes)
    fit(job, second)
    assert_same_bits(weights_of(second), weights_of(state))
    if recipe.ema_decay:
        assert_same_bits(second.average.network.state_dict(), state.average.network.state_dict())
    assert second.counters.step == state.counters.step
    assert second.counters.best == state.counters.best
    assert losses(stopped) == losses(whole)
    steps = [event["step"] for event in read_journal(stopped) if event["event"] == "step"]
    assert steps == sorted(set(steps))


def test_dropout_draws_the_same_after_a_resume(tmp_path):
    task = make_task("segmentation", ("ground", "square"))
    recipe = tiny_recipe(epochs=2, batch_size=2)
    spec = small_unet(dropout="each", dropout_rate=0.5, normalisation="none")
    finals = []
    for stop_at in (None, 4):
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        state = make_state(spec, task.num_outputs, recipe)
        job = make_job(folder, task, recipe, blobs(8))
        if stop_at:
            with pytest.raises(Interrupted):
                fit(dataclasses.replace(job, stop=StopAt(stop_at)), state)
            state = make_state(spec, task.num_outputs, recipe, seed=99)
            restore(state, latest_checkpoint(folder / "checkpoints"))
        fit(job, state)
        finals.append(weights_of(state))
    assert_same_bits(*finals)


def test_checkpoints_come_by_steps_and_by_time(tmp_path, monkeypatch):
    written = []
    from pixelwise.training import loop

    save = loop.save_checkpoint

    def spy(folder, state, identity):
        written.append((state.counters.epoch, state.counters.batch))
        return save(folder, state, identity)

    monkeypatch.setattr(loop, "save_checkpoint", spy)
    train_classifier(tmp_path / "steps", tiny_recipe(epochs=1, batch_size=4), checkpoint_steps=2)
    assert written == [(0, 0), (0, 2), (0, 4), (1, 0)]
    written.clear()
    train_classifier(tmp_path / "time", tiny_recipe(epochs=1, batch_size=4), checkpoint_seconds=0.0)
    assert written == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]
    assert len(list((tmp_path / "time" / "checkpoints").iterdir())) == 2


def test_a_single_left_over_picture_is_left_out(tmp_path):
    state = train_classifier(tmp_path, tiny_recipe(epochs=1, batch_size=4), count=17)
    assert state.counters.step == 4
    events = read_journal(tmp_path)
    assert json.dumps(events)

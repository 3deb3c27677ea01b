"""Checkpoints: whole or set aside, two kept, never of a newer format."""

import json
import logging

import pytest
import torch
from tiny import classifier, make_state, small_unet, tiny_recipe

from pixelwise.errors import CheckpointError, OutputError, WeightsError
from pixelwise.storage.arrays import read_tensors, write_tensors
from pixelwise.training.checkpoint import (
    Counters,
    latest_checkpoint,
    read_checkpoint,
    restore,
    save_checkpoint,
)


def state_with_everything():
    """Weights, moments, average and half an accumulated gradient."""
    recipe = tiny_recipe(optimiser="adamw", ema_decay=0.9)
    state = make_state(small_unet(), 1, recipe)
    images = torch.randn(2, 1, 16, 16).contiguous(memory_format=torch.channels_last)
    for _ in range(2):
        state.optimiser.zero_grad()
        state.network(images).square().mean().backward()
        state.optimiser.step()
    state.average.update(3)
    state.counters = Counters(epoch=1, batch=5, step=7, samples=40, best=0.5, best_loss=0.1, best_epoch=1, seconds=2.5)
    state.loss_sum.fill_(12.25)
    return state, recipe


def test_everything_comes_back(tmp_path):
    state, recipe = state_with_everything()
    path = save_checkpoint(tmp_path, state, {"seed": 4})
    found = latest_checkpoint(tmp_path)
    assert (found.path, found.identity, found.counters) == (path, {"seed": 4}, state.counters)
    other = make_state(small_unet(), 1, recipe, seed=1)
    restore(other, found)
    assert other.counters == state.counters
    assert other.counters is not found.counters
    assert other.loss_sum == 12.25
    for mine, theirs in zip(other.network.parameters(), state.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert torch.equal(mine.grad, theirs.grad)
        assert mine.stride() == mine.grad.stride() == theirs.stride()
        for key, value in state.optimiser.state[theirs].items():
            assert torch.equal(other.optimiser.state[mine][key], value)
    for name, tensor in state.average.network.state_dict().items():
        assert torch.equal(other.average.network.state_dict()[name], tensor)


def test_the_last_two_are_kept(tmp_path):
    _, state = classifier(tmp_path / "run", tiny_recipe())
    for step in (1, 2, 30):
        state.counters.step = step
        save_checkpoint(tmp_path / "checkpoints", state, {})
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == [
        "step-0000002-0000-000000.safetensors",
        "step-0000030-0000-000000.safetensors",
    ]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "swap", "foreign"])
def test_any_damage_is_noticed_and_the_one_before_is_taken(tmp_path, damage, caplog):
    state, _ = state_with_everything()
    older = save_checkpoint(tmp_path, state, {})
    state.counters.step += 1
    newer = save_checkpoint(tmp_path, state, {})
    content = bytearray(newer.read_bytes())
    if damage == "flip":
        content[-9] ^= 4
    elif damage == "truncate":
        content = content[:-100]
    elif damage == "empty":
        content = bytearray()
    elif damage == "swap":  # other counters under the same tensors
        tensors, metadata = read_tensors(newer)
        text = metadata["state"].replace('"step": 8', '"step": 9')
        assert text != metadata["state"]
        write_tensors(newer, tensors, {**metadata, "state": text})
    else:
        write_tensors(newer, {"x": torch.zeros(2)}, {})
    if damage in ("flip", "truncate", "empty"):
        newer.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert latest_checkpoint(tmp_path).path == older
    assert "is damaged" in caplog.text
    assert not newer.exists()
    assert newer.with_name(newer.name + ".damaged").exists()


def test_no_checkpoint_and_no_whole_one_are_different_things(tmp_path):
    assert latest_checkpoint(tmp_path / "none") is None
    (tmp_path / "step-0000001-0000-000000.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="Every checkpoint in"):
        latest_checkpoint(tmp_path)


def test_a_newer_format_is_refused_and_not_set_aside(tmp_path, monkeypatch):
    state, _ = state_with_everything()
    monkeypatch.setattr("pixelwise.training.checkpoint.FORMAT", 2)
    path = save_checkpoint(tmp_path, state, {})
    monkeypatch.undo()
    with pytest.raises(CheckpointError) as caught:
        latest_checkpoint(tmp_path)
    assert str(caught.value) == (
        f"{path} has format 2. Expected format 1 or older. Update pixelwise: a newer version wrote this run."
    )
    assert path.exists()


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(WeightsError, match="is missing"):
        read_checkpoint(tmp_path / "step-1.safetensors")


def test_a_full_disk_leaves_the_one_before(tmp_path, monkeypatch):
    state, _ = state_with_everything()
    path = save_checkpoint(tmp_path, state, {})
    before = path.read_bytes()
    state.counters.step += 1

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="The disk is full"):
        save_checkpoint(tmp_path, state, {})
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_the_metadata_is_plain_json(tmp_path):
    state, _ = state_with_everything()
    _, metadata = read_tensors(save_checkpoint(tmp_path, state, {"recipe": {"epochs": 3}}))
    content = json.loads(metadata["state"])
    assert content["format"] == 1
    assert content["identity"] == {"recipe": {"epochs": 3}}
    assert len(metadata["digest"]) == 64


@pytest.mark.parametrize(
    ("best", "best_loss", "value", "loss", "better"),
    [
        (None, None, 0.1, 1.0, True),
        (None, None, None, None, True),
        (0.5, 1.0, 0.6, 9.0, True),
        (0.5, 1.0, 0.4, 0.1, False),
        (0.5, 1.0, 0.5, 0.9, True),
        (0.5, 1.0, 0.5, 1.0, False),
        (0.5, 1.0, None, 0.1, False),
        (0.5, None, 0.5, 0.1, False),
        (None, 1.0, None, 0.9, True),
        (None, 1.0, None, 1.0, False),
        (None, 1.0, None, float("nan"), False),
        (None, float("nan"), None, 9.0, True),
        (None, 1.0, 0.1, 9.0, True),
    ],
)
def test_the_metric_decides_and_where_it_is_equal_or_missing_the_loss(best, best_loss, value, loss, better):
    assert Counters(best=best, best_loss=best_loss).is_better(value, loss) is better

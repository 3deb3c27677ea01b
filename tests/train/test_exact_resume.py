"""Interrupted, killed, out of disk: real processes that end in the bits of an uninterrupted run."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pixelwise.runs.folder import Run
from pixelwise.runs.journal import read_journal
from pixelwise.training.checkpoint import latest_checkpoint

HARNESS = Path(__file__).with_name("harness.py")


def write_classes(root, per_class=10):
    rng = np.random.default_rng(0)
    for label in range(4):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(per_class):
            image = rng.integers(0, 120, (28, 28), dtype=np.uint8)
            image[label // 2 * 14 :, label % 2 * 14 :][:14, :14] += 100
            cv2.imwrite(str(folder / f"{number}.png"), image)
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "quarters")


def perform(tmp_path, data, steps):
    """Carry out a plan; return what the harness says of each step."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{"data": str(data), **step, "folder": str(step["folder"])} for step in steps]))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(HARNESS), str(plan)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def outcome(folder):
    """Everything that must not depend on interruptions: model, last state, metrics of every epoch, scores."""
    final = latest_checkpoint(folder / "checkpoints")
    digest = hashlib.sha256((folder / "model" / "weights.safetensors").read_bytes())
    for name, tensor in sorted(final.tensors.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    epochs = [
        (event["epoch"], event["train_loss"], event["val_loss"], event["val"], event["lr"])
        for event in read_journal(folder)
        if event["event"] == "epoch"
    ]
    return digest.hexdigest(), epochs, json.loads((folder / "scores.json").read_text())


def assert_tidy(folder):
    assert [path.name for path in folder.rglob(".pixelwise-tmp-*")] == []
    assert Run.open(folder).status == "finished"
    steps = [event["step"] for event in read_journal(folder) if event["event"] == "step"]
    assert steps == list(range(1, max(steps) + 1))


def kill_and_resume(tmp_path, data, kills, seed):
    """Kill one run per entry at a random moment, every second one inside a save, and finish it."""
    (whole,) = perform(tmp_path, data, [{"folder": tmp_path / "whole"}])
    draw = random.Random(seed)
    plan = []
    for number in range(kills):
        kill = {"kill_after_seconds": draw.uniform(0.1, 0.9) * whole["seconds"]}
        if number % 2:
            name = draw.choice(["fsync", "rename"])
            kill = {f"kill_at_{name}": draw.randint(1, whole[name])}
        plan += [{"folder": tmp_path / f"run{number}", **kill}, {"folder": tmp_path / f"run{number}"}]
    codes = [step["code"] for step in perform(tmp_path, data, plan)]
    assert codes[1::2] == [0] * kills
    assert codes[0::2].count(-signal.SIGKILL) >= kills - 1  # one may have come too late
    expected = outcome(tmp_path / "whole")
    for number in range(kills):
        assert outcome(tmp_path / f"run{number}") == expected, plan[2 * number]
        assert_tidy(tmp_path / f"run{number}")


def test_two_kills_end_in_the_same_bits(tmp_path, data):
    kill_and_resume(tmp_path, data, 2, seed=1)


@pytest.mark.slow
def test_twenty_kills_end_in_the_same_bits(tmp_path, data):
    kill_and_resume(tmp_path, data, 20, seed=2)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, data):
    """One run that was stopped by signals everywhere, ran out of disk, changed its workers, and was finished."""
    tmp_path = tmp_path_factory.mktemp("stopped")
    run = {"folder": tmp_path / "run"}
    steps = perform(tmp_path, data, [
        {"folder": tmp_path / "whole"},
        {**run, "signal": signal.SIGINT, "when": "start"},
        {**run, "signal": signal.SIGTERM, "when": "train", "workers": 2},
        {**run, "signal": signal.SIGINT, "when": "validation", "workers": 0},
        {**run, "file_limit_bytes": 9_000},
        {**run, "signal": signal.SIGTERM, "when": "eval"},
        run,
    ])  # fmt: skip
    return tmp_path, steps


def test_signals_leave_the_shells_exit_codes_within_ten_seconds(stopped):
    tmp_path, steps = stopped
    assert [step["code"] for step in steps] == [0, 130, 143, 130, 4, 143, 0]
    resume = f"`pixelwise resume {tmp_path}/run`"
    assert steps[1]["error"] == "Stopped by Ctrl-C. The run had not begun: nothing was written."
    assert steps[2]["error"] == f"Stopped by SIGTERM. {resume} goes on from epoch 1."
    assert steps[5]["error"] == f"Stopped by SIGTERM. Training was done: {resume} evaluates the model."
    assert max(step["seconds"] for step in steps) < 10


def test_a_full_disk_says_so(stopped):
    tmp_path, steps = stopped
    assert steps[4]["error"].startswith(f"The disk is full: {tmp_path}/run/")
    assert steps[4]["error"].endswith("could not be written. Free some space; what was there before is unharmed.")


def test_a_run_stopped_everywhere_ends_in_the_same_bits(stopped):
    tmp_path, _ = stopped
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    assert_tidy(tmp_path / "run")
    kinds = [event["event"] for event in read_journal(tmp_path / "run")]
    assert kinds[0] == "start"
    assert "resume" in kinds


def test_a_full_disk_leaves_the_checkpoints_as_they_were(stopped):
    _, steps = stopped
    before, full = steps[3], steps[4]
    assert full["checkpoints"] == before["checkpoints"] != []
    assert full["temporaries"] == 0


@pytest.mark.slow
def test_a_small_tmpfs_that_fills_up(tmp_path, data):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    try:
        (whole,) = perform(tmp_path, data, [{"folder": tmp_path / "whole"}])
        (stopped,) = perform(tmp_path, data, [{"folder": place / "run", "signal": signal.SIGTERM, "when": "train"}])
        assert (whole["code"], stopped["code"]) == (0, 143)
        ballast = place / "ballast"
        free = os.statvfs(place)
        ballast.write_bytes(b"x" * max(0, free.f_bavail * free.f_bsize - 16_384))
        before = latest_checkpoint(place / "run" / "checkpoints")
        (full,) = perform(tmp_path, data, [{"folder": place / "run"}])
        assert full["code"] == 4
        assert full["error"].startswith("The disk is full: ")
        after = latest_checkpoint(place / "run" / "checkpoints")
        assert after.counters.step >= before.counters.step
        assert list((place / "run").rglob(".pixelwise-tmp-*")) == []
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", str(place)], check=True)
        (finished,) = perform(tmp_path, data, [{"folder": place / "run"}])
        assert finished["code"] == 0
        assert outcome(place / "run") == outcome(tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(place)], check=True)

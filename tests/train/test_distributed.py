"""Two processes under ``torchrun``: one run folder, the metrics of all pictures, the result of one large batch."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from test_session import write_classes

from pixelwise.errors import UsageError
from pixelwise.runs.folder import Run
from pixelwise.training import distributed
from pixelwise.training.checkpoint import latest_checkpoint
from pixelwise.training.claim import choose_folder, claimed
from pixelwise.training.session import train

SETTINGS = {"epochs": "2", "hidden": "8,8", "schedule": "constant", "optimiser": "sgd", "learning_rate": "0.05",
            "augment": "none", "clip_norm": "none", "weight_decay": "0"}  # fmt: skip


def test_one_process_is_the_identity():
    assert (distributed.rank(), distributed.world_size(), distributed.largest(7)) == (0, 1, 7)
    tensor = torch.ones(2)
    distributed.add_up({"a": tensor})
    distributed.same_buffers(torch.nn.BatchNorm1d(2))
    distributed.wait_for_all()
    assert tensor.tolist() == [1, 1]
    with distributed.joined():
        assert not distributed.is_on()


@pytest.fixture
def group(tmp_path):
    """A process group of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_a_group_of_one_trains_to_the_same_bits_as_no_group(tmp_path, monkeypatch, request):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = write_classes(tmp_path / "data", per_class=10)
    weights = []
    for name in ("alone", "group"):
        if name == "group":
            request.getfixturevalue("group")
            assert distributed.is_on()
        run = train(
            data, "mlp_784_300_10", settings=SETTINGS, batch=4, out=tmp_path / name, should_check=False, quiet=True
        )
        weights.append((run.path / "model" / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_the_collectives_of_a_group_of_one_change_nothing(group):
    tensors = {"a": torch.ones(2), "b": torch.tensor([3.0])}
    distributed.add_up(tensors)
    norm = torch.nn.BatchNorm1d(2)
    distributed.same_buffers(norm)
    distributed.wait_for_all()
    assert (distributed.largest(7), tensors["a"].tolist(), tensors["b"].tolist()) == (7, [1, 1], [3])
    assert norm.running_var.tolist() == [1, 1]


def test_the_group_that_torchrun_announces_is_joined_and_left(monkeypatch):
    told = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, timeout: told.append(backend))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: told.append("left"))
    with distributed.joined():
        told.append("within")
    assert told == ["nccl" if torch.cuda.is_available() else "gloo", "within", "left"]


def test_several_processes_need_a_folder_that_all_know(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(UsageError) as caught:
        choose_folder(None, "run", may_exist=False)
    assert str(caught.value) == "no run folder. Expected one, which all processes know. Give out=FOLDER."


def test_only_the_first_process_holds_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    with claimed(tmp_path / "run", is_new=True):
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_train_as_one_with_a_batch_twice_as_large(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = write_classes(tmp_path / "data", per_class=20)
    script = tmp_path / "go.py"
    script.write_text(
        "from pixelwise.training.session import train\n"
        f"train({str(data)!r}, 'mlp_784_300_10', settings={SETTINGS!r}, batch=4, out={str(tmp_path / 'two')!r},"
        " should_check=False, quiet=True)\n"
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        "29517",
        str(script),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    one = train(
        data, "mlp_784_300_10", settings=SETTINGS, batch=8, out=tmp_path / "one", should_check=False, quiet=True
    )
    two = Run.open(tmp_path / "two")
    assert two.status == "finished"
    assert two.scores["num_images"] == one.scores["num_images"]
    epochs = [[event for event in run.journal if event["event"] == "epoch"] for run in (one, two)]
    for mine, theirs in zip(*epochs, strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)
        assert mine["val"] == pytest.approx(theirs["val"], rel=1e-6)
    states = [latest_checkpoint(run.path / "checkpoints").tensors for run in (one, two)]
    for name, tensor in states[0].items():
        if name.startswith("network:"):
            np.testing.assert_allclose(states[1][name], tensor, rtol=1e-3, atol=1e-5)

"""Auxiliary heads and frozen stages through one process and several, in float32 and bfloat16."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from forked import FORKED
from tiny import PREPROCESS, classifier, make_state, tiny_recipe, train_classifier

from pixelwise.data.loading import load_batches
from pixelwise.runs.journal import read_journal
from pixelwise.tasks import make_task
from pixelwise.training import distributed
from pixelwise.training.loop import fit

PLAIN = FORKED.replace(dropout=0.0)
UNFREEZING = {"epochs": 3, "freeze": "head", "unfreeze_epochs": 1, "optimiser": "sgd", "learning_rate": 0.05}


def test_a_step_descends_the_sum_of_both_losses(tmp_path):
    recipe = tiny_recipe(epochs=1, batch_size=16, momentum=0.0, learning_rate=0.1, auxiliary_weight=0.4)
    job, state = classifier(tmp_path, recipe, spec=PLAIN)
    task = make_task("classification", job.task.classes, auxiliary_weight=recipe.auxiliary_weight)
    fit(dataclasses.replace(job, task=task), state)

    network = make_state(PLAIN, 4, recipe).network.train()
    (batch,) = load_batches(job.train_set, batch_size=16, epoch=0, shuffle=True, workers=0)
    main, auxiliary = network.training_logits(PREPROCESS.normalise(batch.images))
    cost = F.cross_entropy(main, batch.targets) + 0.4 * F.cross_entropy(auxiliary, batch.targets)
    cost.backward()
    for name, parameter in network.named_parameters():
        expected = parameter.detach() - 0.1 * parameter.grad
        torch.testing.assert_close(state.network.get_parameter(name).detach(), expected, rtol=1e-4, atol=1e-6)
    (line,) = [event for event in read_journal(tmp_path) if event["event"] == "epoch"]
    assert line["train_loss"] == pytest.approx(cost.item(), rel=1e-5)


def test_the_auxiliary_head_learns_and_does_not_answer(tmp_path):
    state = train_classifier(tmp_path, tiny_recipe(epochs=3), spec=FORKED, val=True)
    fresh = make_state(FORKED, 4, tiny_recipe()).network
    assert not torch.equal(state.network.get_parameter("aux.3.weight"), fresh.get_parameter("aux.3.weight"))
    assert state.network.eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 4)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw", "rmsprop"])
def test_it_learns_in_bfloat16_with_weights_in_float32(tmp_path, optimiser):
    rate = {"sgd": 0.05, "adamw": 5e-3, "rmsprop": 3e-2}[optimiser]
    recipe = tiny_recipe(epochs=12, batch_size=16, optimiser=optimiser, learning_rate=rate)
    job, state = classifier(tmp_path, recipe, spec=PLAIN, dtype=torch.bfloat16)
    fit(job, state)
    losses = [event["train_loss"] for event in read_journal(tmp_path) if event["event"] == "epoch"]
    assert losses[-1] < 0.7 * losses[0]
    assert all(parameter.dtype == torch.float32 for parameter in state.network.parameters())
    values = [value for kept in state.optimiser.state.values() for value in kept.values()]
    assert {value.dtype for value in values} == {torch.float32}


@pytest.fixture
def group(tmp_path):
    """A process group of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_a_group_of_one_unfreezes_to_the_same_bits_as_no_group(tmp_path, request):
    finals = []
    for name in ("alone", "group"):
        if name == "group":
            request.getfixturevalue("group")
            assert distributed.is_on()
        state = train_classifier(tmp_path / name, tiny_recipe(**UNFREEZING), spec=FORKED, val=True)
        finals.append(state.network.state_dict())
    for name, tensor in finals[0].items():
        assert torch.equal(tensor, finals[1][name]), name


@pytest.mark.slow
def test_two_processes_that_unfreeze_stay_alike(tmp_path):
    """Each sees other pictures; only averaged gradients keep their weights equal."""
    script = tmp_path / "go.py"
    script.write_text(f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import torch
from forked import FORKED
from test_auxiliary_heads import UNFREEZING
from tiny import tiny_recipe, train_classifier
from pixelwise.training import distributed
with distributed.joined():
    folder = Path({str(tmp_path)!r}) / f"run{{distributed.rank()}}"
    spec = FORKED.replace(dropout=0.0)
    state = train_classifier(folder, tiny_recipe(**UNFREEZING), count=32, spec=spec, val=True)
    torch.save(dict(state.network.named_parameters()), folder / "weights.pth")
""")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29519", script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"run{rank}" / "weights.pth") for rank in (0, 1))
    start = make_state(PLAIN, 4, tiny_recipe()).network
    for name, parameter in first.items():
        torch.testing.assert_close(parameter, second[name], rtol=1e-5, atol=1e-6)
        assert not torch.equal(parameter, start.get_parameter(name)), name

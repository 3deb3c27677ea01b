"""Stages and head: what belongs to which, what is frozen when, and which rate each learns with."""

import copy
import math

import pytest
import torch
from forked import FORKED
from tiny import classifier, tiny_recipe, train_classifier

from pixelwise import catalogue
from pixelwise.errors import Interrupted, RecipeError
from pixelwise.runs.journal import read_journal
from pixelwise.training.checkpoint import latest_checkpoint, restore
from pixelwise.training.loop import fit
from pixelwise.training.optim import make_optimiser, set_rate
from pixelwise.training.parts import (
    check_parts,
    frozen_stages,
    parameters_of_stages,
    stages_of_children,
    start_epoch,
    thaw_at,
)
from pixelwise.training.progress import Silent
from pixelwise.training.recipe import Recipe
from pixelwise.training.settle import build_on_meta

STAGES = {"stem": 1, "early": 1, "aux": 3, "late": 2, "norm": 3, "fc": 3}


def forked():
    return FORKED.build(1, 4)


def refusal(recipe, network):
    with pytest.raises(RecipeError) as caught:
        check_parts(recipe, network)
    return str(caught.value)


def test_children_belong_to_stages_and_heads_to_the_head():
    network = forked()
    assert stages_of_children(network) == STAGES
    first, second, head = parameters_of_stages(network)
    names = {parameter: name for name, parameter in network.named_parameters()}
    assert {names[p].split(".")[0] for p in first} == {"stem", "early"}
    assert {names[p].split(".")[0] for p in second} == {"late"}
    assert {names[p].split(".")[0] for p in head} == {"aux", "norm", "fc", "scale"}


FAMILIES = list({catalogue.spec(name).family: name for name in reversed(catalogue.names())}.values())


def assert_head_has_the_classes(name):
    spec = catalogue.spec(name)
    channels = spec.facts.input_size[0]
    few, many = (build_on_meta(spec, channels, classes) for classes in (7, 9))
    theirs = many.state_dict()
    differing = {name for name, tensor in few.state_dict().items() if tensor.shape != theirs[name].shape}
    stages = stages_of_children(few)
    head = len(few.stages) + 1
    assert differing
    assert {stages.get(name.partition(".")[0], head) for name in differing} == {head}
    assert sorted(map(id, few.parameters())) == sorted(id(p) for part in parameters_of_stages(few) for p in part)
    for number, stage in enumerate(few.stages, start=1):  # each ends where it says, unless the head has taken that
        assert stages[stage.module] in (number, head)
    assert all(parameters_of_stages(few)[:-2]), "a stage without parameters"


@pytest.mark.parametrize("name", FAMILIES)
def test_the_layers_that_depend_on_the_classes_are_in_the_head(name):
    assert_head_has_the_classes(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(catalogue.names()) - set(FAMILIES)))
def test_of_every_network_the_layers_that_depend_on_the_classes_are_in_the_head(name):
    assert_head_has_the_classes(name)


@pytest.mark.parametrize(
    ("freeze", "unfreeze_epochs", "expected"),
    [
        ("none", None, [0, 0, 0, 0, 0, 0]),
        ("head", None, [2, 2, 2, 2, 2, 2]),
        ("stage:1", None, [1, 1, 1, 1, 1, 1]),
        ("head", 1, [2, 1, 0, 0, 0, 0]),
        ("head", 2, [2, 2, 1, 1, 0, 0]),
        ("stage:1", 3, [1, 1, 1, 0, 0, 0]),
    ],
)
def test_stages_thaw_one_by_one_from_the_head_down(freeze, unfreeze_epochs, expected):
    recipe = Recipe(freeze=freeze, unfreeze_epochs=unfreeze_epochs)
    assert [frozen_stages(recipe, forked(), epoch) for epoch in range(6)] == expected


def test_a_stage_that_begins_to_learn_is_told_with_its_weights():
    recipe, network = Recipe(freeze="head", unfreeze_epochs=2), forked()
    told = [thaw_at(recipe, network, epoch) for epoch in range(7)]
    assert [thaw and (thaw.stage, thaw.module, thaw.frozen) for thaw in told] == [
        None, None, (2, "late", 1), None, (1, "early", 0), None, None,
    ]  # fmt: skip
    late = sum(weights.numel() for weights in network.late.parameters())
    early = sum(weights.numel() for child in (network.stem, network.early) for weights in child.parameters())
    assert str(told[2]) == f"Stage 2 (late) begins to learn, {late:,} parameters; 1 still frozen."
    assert str(told[4]) == f"Stage 1 (early) begins to learn, {early:,} parameters; nothing is frozen any more."
    assert [thaw_at(Recipe(freeze="head"), network, epoch) for epoch in range(3)] == [None] * 3


def test_frozen_stages_run_as_in_evaluation_and_the_rest_as_in_training():
    network = forked()
    for epoch, frozen in ((0, 2), (1, 1), (2, 0)):
        network.eval()
        assert start_epoch(Recipe(freeze="head", unfreeze_epochs=1), network, epoch) == frozen
        for name, child in network.named_children():
            learns = STAGES[name] > frozen
            assert all(module.training is learns for module in child.modules()), (epoch, name)
            assert all(parameter.requires_grad is learns for parameter in child.parameters()), (epoch, name)
        assert network.training
        assert network.scale.requires_grad


def test_nothing_is_kept_for_the_backward_pass_of_frozen_stages():
    network = forked()
    start_epoch(Recipe(freeze="head"), network, 0)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape), lambda t: t):
        early, late = network.features(torch.randn(2, 1, 28, 28))
    assert kept == []
    assert not early.requires_grad
    assert not late.requires_grad


def test_a_recipe_without_freezing_leaves_the_network_as_it_is():
    network = forked()
    network.fc.bias.requires_grad_(False)
    start_epoch(Recipe(), network, 0)
    assert not network.fc.bias.requires_grad


@pytest.mark.parametrize("optimiser", ["sgd", "nesterov", "adamw", "rmsprop"])
def test_rates_fall_by_a_factor_from_stage_to_stage(optimiser):
    network = forked()
    recipe = Recipe(optimiser=optimiser, rate_decay=0.25, weight_decay=0.1)
    made = make_optimiser(recipe, network)
    set_rate(made, 0.8)
    rates = {p: group["lr"] for group in made.param_groups for p in group["params"]}
    assert len(rates) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        stage = STAGES.get(name.partition(".")[0], 3)
        assert rates[parameter] == pytest.approx({3: 0.8, 2: 0.2, 1: 0.05}[stage]), name
    decays = {p: group["weight_decay"] for group in made.param_groups for p in group["params"]}
    spared = [p for p in network.parameters() if decays[p] == 0]
    assert bool(spared) is (optimiser in ("adamw", "rmsprop"))
    assert all(p.ndim <= 1 for p in spared)


def test_a_step_of_plain_descent_is_as_long_as_the_stages_rate_says():
    network = forked()
    before = copy.deepcopy(network)
    made = make_optimiser(Recipe(optimiser="sgd", momentum=0.0, rate_decay=0.5), network)
    set_rate(made, 0.1)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    made.step()
    for (name, parameter), old in zip(network.named_parameters(), before.parameters(), strict=True):
        length = 0.1 * 0.5 ** (3 - STAGES.get(name.partition(".")[0], 3))
        torch.testing.assert_close(old - parameter, torch.full_like(old, length), rtol=1e-4, atol=1e-6)


def test_stages_that_are_not_there_are_refused():
    assert refusal(Recipe(freeze="stage:3"), forked()) == (
        "freeze=stage:3: forked has 2 stages. Expected at most stage:2, after which the head follows. Correct the"
        " number; the stages end with early, late."
    )
    check_parts(Recipe(freeze="stage:2", rate_decay=0.5), forked())
    mlp = build_on_meta(catalogue.spec("mlp_784_300_10"), 1, 10)
    check_parts(Recipe(), mlp)
    rest = (
        "mlp_784_300_10 has no stages. Expected a network of stages, such as a ResNet. Leave freeze and rate_decay"
        " out, or choose another network."
    )
    assert refusal(Recipe(freeze="head"), mlp) == f"freeze=head: {rest}"
    assert refusal(Recipe(freeze="stage:1"), mlp) == f"freeze=stage:1: {rest}"
    assert refusal(Recipe(rate_decay=0.5), mlp) == f"rate_decay=0.5: {rest}"


# Through the loop


def tensors_of(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def frozen_names(network, frozen):
    return {name for name in network.state_dict() if STAGES.get(name.partition(".")[0], 3) <= frozen}


HARSH = {"learning_rate": 0.05, "weight_decay": 0.1, "ema_decay": 0.9, "clip_norm": 1.0}


@pytest.mark.parametrize("optimiser", ["sgd", "adamw", "rmsprop"])
def test_what_is_frozen_stays_bit_for_bit_in_weights_statistics_and_average(tmp_path, optimiser):
    recipe = tiny_recipe(freeze="stage:1", optimiser=optimiser, **HARSH)
    job, state = classifier(tmp_path, recipe, spec=FORKED, val=True)
    before = tensors_of(state.network)
    fit(job, state)
    for network in (state.network, state.average.network):
        after = network.state_dict()
        same = {name for name in after if torch.equal(after[name], before[name])}
        assert same == frozen_names(network, 1)
    _, second, head = parameters_of_stages(state.network)
    assert set(state.optimiser.state) == {*second, *head}


@pytest.mark.parametrize("optimiser", ["sgd", "nesterov", "adamw", "rmsprop"])
def test_stages_begin_to_learn_when_their_epoch_comes(tmp_path, optimiser):
    recipe = tiny_recipe(epochs=4, freeze="head", unfreeze_epochs=1, optimiser=optimiser)
    job, state = classifier(tmp_path, recipe, spec=FORKED, val=True, save_best=lambda state: None)
    seen = [tensors_of(state.network)]

    class Watch:
        def batch(self, **about):
            pass

        def epoch(self, line):
            seen.append(tensors_of(state.network))

        def say(self, message):
            pass

    object.__setattr__(job, "progress", Watch())
    fit(job, state)
    for epoch, frozen in enumerate((2, 1, 0, 0)):
        same = {name for name in seen[0] if torch.equal(seen[epoch][name], seen[epoch + 1][name])}
        assert same == frozen_names(state.network, frozen), epoch


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


class StopAt:
    """Asks to stop at the n-th poll."""

    def __init__(self, poll):
        self.polls, self.at = 0, poll

    def poll(self):
        self.polls += 1
        if self.polls == self.at:
            raise Interrupted(15)


@pytest.mark.parametrize(
    ("optimiser", "poll"), [("nesterov", 2), ("nesterov", 6), ("adamw", 8), ("rmsprop", 11), ("rmsprop", 16)]
)
def test_a_run_stopped_in_any_phase_goes_on_to_the_same_bits(tmp_path, optimiser, poll):
    """Polls 1 to 5 are in the first epoch, and so on: four batches of training, one of validation."""
    recipe = tiny_recipe(
        epochs=4, batch_size=4, accumulate=2, optimiser=optimiser, freeze="head", unfreeze_epochs=1, rate_decay=0.5,
        schedule="exponential", decay_epochs=1.5, decay_factor=0.5, ema_decay=0.9, weight_decay=0.01,
    )  # fmt: skip
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    job, state = classifier(whole, recipe, spec=FORKED, val=True)
    fit(job, state)

    job, first = classifier(stopped, recipe, spec=FORKED, val=True, stop=StopAt(poll))
    with pytest.raises(Interrupted):
        fit(job, first)
    heard = Heard()
    job, second = classifier(stopped, recipe, spec=FORKED, val=True, progress=heard)
    found = latest_checkpoint(stopped / "checkpoints")
    restore(second, found)
    job.journal.truncate(found.counters.journal_bytes)
    fit(job, second)
    for mine, theirs in ((second.network, state.network), (second.average.network, state.average.network)):
        for name, tensor in mine.state_dict().items():
            assert torch.equal(tensor, theirs.state_dict()[name]), name
    lines = [
        [(event["event"], event["step"], event.get("lr"), event.get("module")) for event in read_journal(folder)
         if event["event"] in ("step", "thaw")]
        for folder in (whole, stopped)
    ]  # fmt: skip
    assert lines[0] == lines[1]
    assert [line[1:] for line in lines[0] if line[0] == "thaw"] == [(2, None, "late"), (4, None, "early")]
    left = 2 - min(2, found.counters.epoch)
    assert len([line for line in heard.lines if "begins to learn" in line]) == left


@pytest.mark.parametrize("fields", [{"epochs": 1}, {"epochs": 3, "patience": 1}])
def test_nothing_is_said_to_begin_where_no_epoch_follows(tmp_path, monkeypatch, fields):
    monkeypatch.setattr("pixelwise.training.loop.validate", lambda *arguments: (1.0, {"top1": 0.0}))
    recipe = tiny_recipe(freeze="head", unfreeze_epochs=fields["epochs"] // 2 + 1, **fields)
    job, state = classifier(tmp_path, recipe, spec=FORKED, val=True)
    fit(job, state)
    assert state.counters.epoch == min(fields["epochs"], 2)
    assert "thaw" not in {event["event"] for event in read_journal(tmp_path)}


def test_the_journal_tells_the_rate_of_the_head(tmp_path):
    recipe = tiny_recipe(
        epochs=4, batch_size=4, schedule="exponential", decay_epochs=1.5, decay_factor=0.5, rate_decay=0.1
    )
    train_classifier(tmp_path, recipe, spec=FORKED)
    rates = [event["lr"] for event in read_journal(tmp_path) if event["event"] == "step"]
    assert rates == pytest.approx([0.02 * 0.5 ** math.floor(step / 6) for step in range(16)])

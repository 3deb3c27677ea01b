"""From one training to another, end to end, on the bundled clothes: five classes first, then five others."""

import dataclasses
import hashlib
import os
import shutil
import signal

import cv2
import pytest
import torch

from foreign_names import as_akamaster
from pixelwise import catalogue
from pixelwise.data import samples
from pixelwise.errors import Interrupted, RecipeError, RunError, UsageError, WeightsError
from pixelwise.runs.folder import Run
from pixelwise.storage.arrays import read_tensors, write_tensors
from pixelwise.storage.atomic import read_json, write_json
from pixelwise.training import loop
from pixelwise.training.announce import describe_plan
from pixelwise.training.identity import check_same
from pixelwise.training.initial import plan_initial_weights
from pixelwise.training.parts import parameters_of_stages
from pixelwise.training.recipe import Recipe
from pixelwise.training.session import resume, train
from pixelwise.training.settle import build_on_meta
from pixelwise.weights.layout import IMAGENET_MEAN, IMAGENET_STD

SMALL = {"depths": "1,1,1"}
SETTINGS = {**SMALL, "epochs": "5", "batch_size": "20", "augment": "none", "learning_rate": "0.005"}
FROZEN = {"freeze": "head", "learning_rate": "0.05"}
NET = "resnet20_cifar"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two halves of the classes, the second in colour as well, and a network trained on the first half."""
    place = tmp_path_factory.mktemp("transfer")
    images, labels = samples.fashion("train")
    for half, classes in (("first", range(5)), ("second", range(5, 10))):
        for label in classes:
            folder = place / half / samples.FASHION_CLASSES[label]
            folder.mkdir(parents=True)
            for number, image in enumerate(images[labels == label][:80]):
                cv2.imwrite(str(folder / f"{number}.png"), image)
    for path in (place / "second").rglob("*.png"):
        coloured = place / "coloured" / path.relative_to(place / "second")
        coloured.parent.mkdir(parents=True, exist_ok=True)
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(coloured), cv2.merge([grey, 255 - grey, grey // 2]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        train(place / "first", NET, settings=SETTINGS, out=place / "source", should_check=False, quiet=True)
    return place


@pytest.fixture(autouse=True)
def _cache(place, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))


def start(place, out, data="second", settings=None, **arguments):
    arguments = {"spec": NET, "quiet": True, "should_check": False, **arguments}
    return train(place / data, settings={**SETTINGS, **(settings or {})}, out=out, **arguments)


def weights_of(run):
    return read_tensors(run.path / "model" / "weights.safetensors")[0]


def refusal(kind, place, out, **arguments):
    with pytest.raises(kind) as caught:
        start(place, out, **arguments)
    assert not out.exists()
    return str(caught.value)


def test_a_fresh_head_learns_other_classes_while_everything_before_it_stays(place, tmp_path, capsys):
    run = start(place, tmp_path / "run", weights=place / "source", adapt=["head"], settings=FROZEN, quiet=False)
    before, after = weights_of(Run.open(place / "source")), weights_of(run)
    assert {name for name in after if not torch.equal(after[name], before[name])} == {"fc.weight", "fc.bias"}
    drawn = start(place, tmp_path / "drawn", settings=FROZEN)
    learned, without = (
        [event["val"]["top1"] for event in one.journal if event["event"] == "epoch"] for one in (run, drawn)
    )
    assert max(learned) > 0.7
    assert sum(learned) > sum(without) + 0.2
    told = capsys.readouterr().err
    mean = run.config.preprocess["mean"]
    assert (
        f"Weights: {place / 'source'}; pictures are normalised as for the run source (mean {mean[0]:.3f}; standard"
        in told
    )
    assert "\n  Fresh weights for 5 classes: fc.\n" in told


def test_a_head_for_another_number_of_classes_is_drawn_only_on_request(place, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(place / "second", data)
    shutil.rmtree(data / "Shirt")
    message = refusal(WeightsError, place, tmp_path / "no", data=data, weights=place / "source")
    weights = place / "source" / "model" / "weights.safetensors"
    assert message == (
        f"{place / 'source'} holds weights for 5 classes. Expected 4, as the network has. Create {NET} with"
        ' num_classes=5, or ask for a fresh head (--adapt head, in Python adapt=["head"]).'
    )
    settings = {"freeze": "stage:2", "unfreeze_epochs": "3", "rate_decay": "0.4"}
    run = start(
        place, tmp_path / "run", data=data, weights=weights.parent, adapt="head", settings=settings, quiet=False
    )
    note = "Fresh weights for 4 instead of 5 classes: fc."
    assert run.config.init_weights["notes"] == [note]
    assert (run.config.init_weights["adapt"], run.config.init_weights["path"]) == (["head"], str(weights))
    told = capsys.readouterr().err
    assert f"\n  {note}\n" in told
    frozen = sum(
        parameter.numel()
        for name, parameter in run.model.network.named_parameters()
        if name.startswith(("conv1", "stage1", "stage2"))
    )
    assert f"Frozen at first: 2 of 3 stages, {frozen:,} parameters; one stage more learns after every 3 epochs." in told
    assert "rate 0.005 (one_cycle, times 0.4 for each stage below the head)" in told


def told_of(run, changes=(), epoch=0, **config):
    recipe = {**run.config.recipe, "freeze": "head", "unfreeze_epochs": 2, "epochs": 5, **dict(changes)}
    lines = list(describe_plan(dataclasses.replace(run.config, recipe=recipe, **config), "run", epoch))
    start = next((number for number, line in enumerate(lines) if line.startswith("Frozen")), len(lines) - 3)
    return lines[start:-3]


def test_what_is_frozen_is_told_as_it_stands_with_what_may_surprise(place):
    run = Run.open(place / "source")
    parts = parameters_of_stages(run.model.network)
    counts = [sum(weights.numel() for part in parts[:stages] for weights in part) for stages in range(4)]
    until = "one stage more learns after every 2 epochs."
    random = "  What is frozen keeps the random weights that it begins with: --weights gives it others."
    given = {"init_weights": {"path": "w.pth", "pretraining": None}}
    assert told_of(run) == [f"Frozen at first: all but the head, {counts[3]:,} parameters; {until}", random]
    assert told_of(run, epoch=3, **given) == [f"Frozen now: 2 of 3 stages, {counts[2]:,} parameters; {until}"]
    assert told_of(run, {"unfreeze_epochs": 1}, epoch=4, **given) == ["Frozen: nothing any more."]
    assert told_of(run, {"unfreeze_epochs": 5}, **given) == [
        f"Frozen: all but the head, {counts[3]:,} parameters.",
        "  Nothing unfreezes: the run has 5 epochs, and unfreeze_epochs=5.",
    ]
    assert told_of(run, {"unfreeze_epochs": 1, "epochs": 1}, **given)[1:] == [
        "  Nothing unfreezes: the run has 1 epoch, and unfreeze_epochs=1.",
    ]
    assert told_of(run, {"freeze": "stage:1", "unfreeze_epochs": None}, **given) == [
        f"Frozen: 1 of 3 stages, {counts[1]:,} parameters."
    ]
    assert told_of(run, {"freeze": "none", "unfreeze_epochs": None}) == []


def test_a_frozen_run_is_interrupted_and_resumed_to_the_same_bits_without_the_file_that_it_began_with(
    place, tmp_path, monkeypatch
):
    weights = tmp_path / "start.safetensors"
    shutil.copy(place / "source" / "model" / "weights.safetensors", weights)
    arguments = {"weights": weights, "settings": {"freeze": "head", "unfreeze_epochs": "1", "epochs": "3"}}
    whole = start(place, tmp_path / "whole", **arguments)
    calls = []
    set_rate = loop.set_rate

    def stop_later(optimiser, rate):
        set_rate(optimiser, rate)
        calls.append(rate)
        if len(calls) == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "set_rate", stop_later)
        with pytest.raises(Interrupted):
            start(place, tmp_path / "run", **arguments)
    weights.unlink()
    resumed = resume(tmp_path / "run", quiet=True)
    assert resumed.config.preprocess == whole.config.preprocess
    for name, tensor in weights_of(whole).items():
        assert torch.equal(tensor, weights_of(resumed)[name]), name


def test_mean_and_deviation_of_published_weights_are_taken_unless_the_first_layer_is_adapted(place, tmp_path):
    network = catalogue.spec(NET).override(SMALL).build(3, 5)
    path = tmp_path / "published.pth"
    torch.save(as_akamaster(network), path)
    run = start(place, tmp_path / "three", data="coloured", weights=path, settings={"epochs": "1"})
    assert run.config.preprocess["mean"] == list(IMAGENET_MEAN)
    assert run.config.preprocess["std"] == list(IMAGENET_STD)
    assert (run.config.preprocess["low"], run.config.preprocess["high"]) == (0, 255)
    assert run.config.init_weights["pretraining"] == {
        "source": "akamaster/pytorch_resnet_cifar10", "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD),
    }  # fmt: skip
    assert list(run.model.preprocess.mean) == list(IMAGENET_MEAN)

    message = refusal(WeightsError, place, tmp_path / "no", weights=path)
    assert message == (
        f"{path} holds weights for pictures of 3 channels. Expected 1, as the network has. Create {NET} with"
        ' in_channels=3, or have the first layer adapted (--adapt input, in Python adapt=["input"]).'
    )
    adapted = start(place, tmp_path / "one", weights=path, adapt=("input",), settings={"epochs": "1"})
    own = start(place, tmp_path / "own", settings={"epochs": "1"})
    assert adapted.config.preprocess == own.config.preprocess
    assert adapted.config.init_weights["pretraining"] is None
    assert adapted.config.init_weights["notes"] == [
        "The first layer's filters were brought from 3 to 1 channel.",
    ]


def test_a_run_in_other_channels_gives_its_weights_but_not_its_mean(place, tmp_path):
    run = start(
        place, tmp_path / "run", data="coloured", weights=place / "source", adapt="input", settings={"epochs": "1"}
    )
    assert run.config.init_weights["pretraining"] is None
    assert len(set(run.config.preprocess["mean"])) == 3


def test_weights_of_another_network_are_refused_with_the_difference(place, tmp_path):
    file = place / "source" / "model" / "weights.safetensors"
    came = f"{file} holds weights of another network, {NET}: "
    for weights in (place / "source", file.parent, file):
        message = refusal(WeightsError, place, tmp_path / "no", weights=weights, settings={"depths": "2,1,1"})
        assert message.startswith(f"{came}depths=1,1,1 instead of 2,1,1. Expected weights of {NET}")
        message = refusal(WeightsError, place, tmp_path / "no", weights=weights, spec="plain20_cifar")
        assert message.startswith(f"{came}shortcut=A instead of none. Expected weights of plain20_cifar")
    with pytest.raises(WeightsError) as caught:
        train(place / "second", "lenet5_relu", weights=file, out=tmp_path / "no", should_check=False, quiet=True)
    assert str(caught.value).startswith(f"{came}family resnet instead of lenet. Expected")


def test_folders_without_a_model_and_adaptations_without_weights_are_refused(place, tmp_path):
    message = refusal(WeightsError, place, tmp_path / "no", weights=place / "first")
    assert message.startswith(f"{place / 'first'} is a folder without weights. Expected a file of weights, or a run")
    assert refusal(UsageError, place, tmp_path / "no", adapt=["head"]) == (
        "adapt=head without weights. Expected weights to adapt. Give a file or a run with --weights, or leave --adapt"
        " out."
    )
    message = refusal(UsageError, place, tmp_path / "no", weights=place / "source", adapt="tail")
    assert message == "adapt=tail. Expected head or input. Known are: head, input."


def test_what_cannot_be_right_whatever_the_data_are_is_refused_before_they_are_read(place, tmp_path, monkeypatch):
    def read(*arguments, **keywords):
        raise AssertionError("the data were read")

    monkeypatch.setattr("pixelwise.training.session.read_source", read)
    text = tmp_path / "notes.pth"
    text.write_text("not weights")
    for kind, arguments in (
        (UsageError, {"adapt": ["head"]}),
        (UsageError, {"adapt": ["tail"], "weights": place / "source"}),
        (UsageError, {"weights": 3}),
        (WeightsError, {"weights": tmp_path / "none.pth"}),
        (WeightsError, {"weights": text}),
        (WeightsError, {"weights": tmp_path}),
        (WeightsError, {"weights": place / "source", "spec": "plain20_cifar"}),
        (RecipeError, {"settings": {"freeze": "stage:99"}}),
    ):
        refusal(kind, place, tmp_path / "no", **arguments)
    with pytest.raises(RecipeError, match="mlp_784_300_10 has no stages"):
        train(place / "second", "mlp_784_300_10", settings={"rate_decay": "0.5"}, out=tmp_path / "no", quiet=True)
    with pytest.raises(AssertionError, match="the data were read"):  # where the network follows from the data
        train(place / "second", settings={"freeze": "stage:99"}, out=tmp_path / "no", quiet=True)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    with pytest.raises(RecipeError, match="freeze=stage:99: resnet20_cifar has 3 stages"):
        train(place / "second", settings={"freeze": "stage:99"}, out=tmp_path / "no", should_check=False, quiet=True)


def test_weights_are_proved_to_fit_without_another_network_being_drawn(place, monkeypatch):
    network = build_on_meta(catalogue.spec(NET).override(SMALL), 1, 5)
    monkeypatch.setattr(type(network.spec), "build", lambda *arguments: pytest.fail("a network was drawn"))
    before = torch.random.get_rng_state()
    record = plan_initial_weights(place / "source", ["head"], network)
    assert torch.equal(torch.random.get_rng_state(), before)
    file = place / "source" / "model" / "weights.safetensors"
    assert (record["given"], record["path"]) == (str(place / "source"), str(file))
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert record["pretraining"]["source"] == "the run source"


def test_weights_are_called_what_they_were_called_and_not_what_a_link_points_to(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.safetensors").symlink_to(place / "source" / "model" / "weights.safetensors")
    run = start(place, tmp_path / "run", weights="link.safetensors", settings={"epochs": "1"}, quiet=False)
    assert "\nWeights: link.safetensors; pictures" in capsys.readouterr().err
    assert run.config.init_weights["given"] == "link.safetensors"
    assert run.config.init_weights["path"] == str(tmp_path / "link.safetensors")


def test_a_request_for_other_weights_is_not_answered_with_a_run(place, tmp_path, monkeypatch):
    weights = tmp_path / "start.safetensors"
    shutil.copy(place / "source" / "model" / "weights.safetensors", weights)
    request = {"weights": weights, "settings": {"epochs": "1"}, "on_existing": "resume"}
    run = start(place, tmp_path / "run", **request)

    def message(**changes):
        with pytest.raises(RunError) as caught:
            start(place, run.path, **{**request, **changes})
        return str(caught.value)

    one = run.config.init_weights["sha256"]
    drawn = f"{run.path} was started with other settings: weights.sha256: {one} -> none. Expected"
    assert message(weights=None).startswith(drawn)
    assert "weights.adapt: none -> head" in message(adapt="head")
    shutil.copy(weights, tmp_path / "copy.safetensors")
    assert start(place, run.path, **{**request, "weights": tmp_path / "copy.safetensors"}).status == "finished"
    assert start(place, run.path, **{**request, "weights": str(weights)}).status == "finished"
    tensors = read_tensors(weights)[0]
    write_tensors(weights, {name: tensor + 1 for name, tensor in tensors.items()}, {})
    assert f"weights.sha256: {one} -> {hashlib.sha256(weights.read_bytes()).hexdigest()}. Expected" in message()
    weights.unlink()  # the run no longer needs them
    assert start(place, run.path, **request).status == "finished"
    with pytest.raises(WeightsError):
        start(place, run.path, **{**request, "weights": tmp_path / "never.safetensors"})
    content = read_json(run.path / "run.json")
    del content["init_weights"]["given"], content["init_weights"]["adapt"]  # as earlier versions wrote it
    write_json(run.path / "run.json", content)
    assert start(place, run.path, **{**request, "weights": tmp_path / "copy.safetensors"}).status == "finished"


def test_runs_from_before_a_field_came_are_still_the_same_runs():
    now = {"name": "quick", **Recipe().to_json()}
    then = {key: value for key, value in now.items() if key not in ("freeze", "rate_decay", "auxiliary_weight")}
    check_same({"recipe": then}, {"recipe": now}, Recipe())
    with pytest.raises(RunError, match=r"recipe\.freeze: none -> head"):
        check_same({"recipe": then}, {"recipe": {**now, "freeze": "head"}}, Recipe())

"""From one training to another, end to end, on the bundled clothes: five classes first, then five others."""

import os
import shutil
import signal

import cv2
import pytest
import torch

from foreign_names import as_akamaster
from pixelwise import catalogue
from pixelwise.data import samples
from pixelwise.errors import Interrupted, RunError, UsageError, WeightsError
from pixelwise.runs.folder import Run
from pixelwise.storage.arrays import read_tensors
from pixelwise.training import loop
from pixelwise.training.identity import check_same
from pixelwise.training.recipe import Recipe
from pixelwise.training.session import resume, train
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
    source = place / "source" / "model" / "weights.safetensors"
    assert f"Weights: {source}; pictures are normalised as for the run source (mean {mean[0]:.3f}; standard" in told
    assert "\n  Fresh weights for 5 classes: fc.\n" in told


def test_a_head_for_another_number_of_classes_is_drawn_only_on_request(place, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(place / "second", data)
    shutil.rmtree(data / "Shirt")
    message = refusal(WeightsError, place, tmp_path / "no", data=data, weights=place / "source")
    weights = place / "source" / "model" / "weights.safetensors"
    assert message == (
        f"{weights} holds weights for 5 classes. Expected 4, as the network has. Create {NET} with num_classes=5, or"
        ' ask for a fresh head (--adapt head, in Python adapt=["head"]).'
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
        "The first layer's filters were brought from 3 to 1 channels.",
    ]


def test_a_run_in_other_channels_gives_its_weights_but_not_its_mean(place, tmp_path):
    run = start(
        place, tmp_path / "run", data="coloured", weights=place / "source", adapt="input", settings={"epochs": "1"}
    )
    assert run.config.init_weights["pretraining"] is None
    assert len(set(run.config.preprocess["mean"])) == 3


def test_weights_of_another_network_are_refused_with_the_difference(place, tmp_path):
    source = place / "source"
    message = refusal(WeightsError, place, tmp_path / "no", weights=source, settings={"depths": "2,1,1"})
    assert message == (
        f"{source} holds another network, {NET}: depths=1,1,1 instead of 2,1,1. Expected weights of {NET} as it is"
        " to be trained. Train the network that the weights belong to (--set depths=1,1,1), or give other weights."
    )
    message = refusal(WeightsError, place, tmp_path / "no", weights=source, spec="plain20_cifar")
    assert message == (
        f"{source} holds another network, {NET}: shortcut=A instead of none. Expected weights of plain20_cifar as it is"
        f" to be trained. Train the network that the weights belong to (--net {NET}), or give other weights."
    )
    with pytest.raises(WeightsError) as caught:
        train(place / "second", "lenet5_relu", weights=source, out=tmp_path / "no", should_check=False, quiet=True)
    assert f"{source} holds another network, {NET}: family resnet instead of lenet. Expected" in str(caught.value)


def test_folders_without_a_model_and_adaptations_without_weights_are_refused(place, tmp_path):
    message = refusal(RunError, place, tmp_path / "no", weights=place / "first")
    assert message.startswith(f"{place / 'first'} holds no model. Expected a run, or a folder with weights.safetensors")
    assert refusal(UsageError, place, tmp_path / "no", adapt=["head"]) == (
        "adapt=head without weights. Expected weights to adapt. Give a file or a run with --weights, or leave --adapt"
        " out."
    )
    message = refusal(UsageError, place, tmp_path / "no", weights=place / "source", adapt="tail")
    assert message == "adapt=tail. Expected head or input. Known are: head, input."


def test_runs_from_before_a_field_came_are_still_the_same_runs():
    now = {"name": "quick", **Recipe().to_json()}
    then = {key: value for key, value in now.items() if key not in ("freeze", "rate_decay", "auxiliary_weight")}
    check_same({"recipe": then}, {"recipe": now}, Recipe())
    with pytest.raises(RunError, match=r"recipe\.freeze: none -> head"):
        check_same({"recipe": then}, {"recipe": {**now, "freeze": "head"}}, Recipe())

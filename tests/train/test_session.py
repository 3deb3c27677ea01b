"""Runs from end to end, and every refusal in its exact words."""

import dataclasses
import json
import logging
import threading

import cv2
import numpy as np
import pytest
import torch

import pixelwise as pw
from pixelwise import catalogue
from pixelwise.errors import (
    CheckpointError,
    DataError,
    DeviceError,
    Interrupted,
    OutputError,
    RecipeError,
    RunError,
    SpecError,
    UsageError,
    WeightsError,
)
from pixelwise.runs.folder import Run
from pixelwise.runs.journal import read_journal
from pixelwise.runs.lock import lock_run
from pixelwise.storage.arrays import write_tensors
from pixelwise.storage.atomic import read_json, write_json
from pixelwise.tasks import Classification
from pixelwise.training import loop
from pixelwise.training.progress import Lines
from pixelwise.training.session import resume, train
from pixelwise.training.source import DataOptions, index_source

SETTINGS = {"epochs": "2", "batch_size": "8", "hidden": "8,8", "schedule": "constant", "augment": "none"}


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def write_classes(root, names=("left", "right"), per_class=10, shape=(28, 28)):
    rng = np.random.default_rng(1)
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            image = rng.integers(0, 120, shape, dtype=np.uint8)
            image[:, label * shape[1] // 2 :][:, : shape[1] // 2] += 100
            cv2.imwrite(str(root / name / f"{number}.png"), image)
    return root


def write_masks(root, sizes=((48, 48),), count=8):
    rng = np.random.default_rng(2)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        height, width = sizes[number % len(sizes)]
        image = rng.integers(0, 90, (height, width), dtype=np.uint8)
        mask = np.zeros_like(image)
        image[8:20, 8:20] += 120
        mask[8:20, 8:20] = 1
        cv2.imwrite(str(root / "images" / f"{number}.png"), image)
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)
    return root


@pytest.fixture
def data(tmp_path):
    return write_classes(tmp_path / "sides")


def start(data, out, spec="mlp_784_300_10", **changes):
    arguments = {"settings": SETTINGS, "should_check": False, "quiet": True, **changes}
    return train(data, spec, out=out, **arguments)


@pytest.fixture
def stopped(data, tmp_path, monkeypatch):
    """A run that was interrupted in its second epoch."""
    with monkeypatch.context() as patch:
        calls = []

        def stop_later(job, network, val_set):
            calls.append(1)
            if len(calls) == 2:
                raise Interrupted(15)
            return 1.0, {"top1": 0.5}

        patch.setattr(loop, "validate", stop_later)
        with pytest.raises(Interrupted):
            start(data, tmp_path / "run", checkpoint_steps=1)
    assert Run.open(tmp_path / "run").status == "interrupted"
    return tmp_path / "run"


def refusal(kind, call, *arguments, **keywords):
    with pytest.raises(kind) as caught:
        call(*arguments, **keywords)
    return str(caught.value)


def test_a_run_from_end_to_end(data, tmp_path):
    run = start(data, tmp_path / "run")
    assert run.status == "finished"
    assert run.config.data["splits"] == {"train": 16, "val": 2, "test": 2}
    assert run.scores["split"] == "test"
    assert run.model.task.classes == ("left", "right")
    assert run.model.card["recipe"]["name"] == "quick"
    assert run.model.card["epoch"] <= 2
    assert len(run.manifest) == 20
    assert {event["event"] for event in run.journal} == {"start", "step", "epoch", "best", "end"}
    assert repr(run) == f"Run('{tmp_path}/run', finished)"
    before = (run.path / "run.json").stat().st_mtime_ns
    assert resume(run.path).status == "finished"
    assert (run.path / "run.json").stat().st_mtime_ns == before


def test_the_same_seed_gives_the_same_model_and_another_seed_another(data, tmp_path):
    first, second, other = (
        start(data, tmp_path / str(number), seed=seed).path / "model" / "weights.safetensors"
        for number, seed in enumerate((3, 3, 4))
    )
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_masks_of_unequal_size_and_a_default_network(tmp_path):
    data = write_masks(tmp_path / "cells", sizes=((48, 48), (40, 56)))
    settings = {"epochs": "1", "widths": "4,8"}
    run = train(data, settings=settings, should_check=False, quiet=True)
    assert run.path.name == "cells-default"
    assert run.config.spec["name"] == "unet16"
    assert run.config.recipe["crop"] == [40, 48]
    assert run.scores["metric"] == "mean_iou"
    again = train(data, settings=settings, should_check=False, quiet=True)
    assert again.path.name == "cells-default-2"


def test_a_valid_unet_trains_on_legal_crops(tmp_path):
    data = write_masks(tmp_path / "cells", sizes=((47, 47),))
    settings = {"epochs": "1", "widths": "4,8", "padding": "valid", "augment": "unet"}
    run = train(data, "unet", settings=settings, out=tmp_path / "run", should_check=False, quiet=True)
    network = catalogue.spec_from_json(run.config.spec).build(1, 1)
    network.check_size(*run.config.recipe["crop"])
    message = refusal(
        SpecError, train, data, "unet", settings={**settings, "crop": "47"}, out=tmp_path / "other", should_check=False
    )
    assert message.startswith("unet cannot take images of 47 x 47 pixels. Expected sides of ")
    assert not (tmp_path / "other").exists()


def test_pictures_of_another_size_are_brought_to_the_networks(tmp_path):
    data = write_classes(tmp_path / "wide", shape=(20, 40))
    run = start(data, tmp_path / "run")
    assert (run.config.preprocess["resize"], run.config.preprocess["size"]) == ("stretch", [28, 28])


def test_training_works_in_a_thread_where_no_signal_can_be_caught(data, tmp_path):
    done = []
    thread = threading.Thread(target=lambda: done.append(start(data, tmp_path / "run").status))
    thread.start()
    thread.join()
    assert done == ["finished"]


def test_weights_to_start_from(data, tmp_path):
    source = start(data, tmp_path / "first")
    weights = source.path / "model" / "weights.safetensors"
    run = start(data, tmp_path / "second", weights=weights)
    assert set(run.config.init_weights) == {"given", "path", "sha256", "adapt", "notes", "pretraining"}
    assert refusal(WeightsError, start, data, tmp_path / "third", weights=tmp_path / "no.safetensors")
    write_tensors(weights, {"x": torch.zeros(1)}, {})
    (run.path / "checkpoints").rename(run.path / "gone")
    run.set_status("interrupted")
    message = f"{weights} is not the file that the run was started with. Restore it, or train anew."
    assert refusal(WeightsError, resume, run.path) == message


def test_balanced_weights_are_inverse_to_the_counts(tmp_path):
    data = write_classes(tmp_path / "data", names=("a",), per_class=18)
    write_classes(data, names=("b",), per_class=6)
    manifest = index_source(data, DataOptions(fractions=(1.0, 0.0, 0.0)), seed=0)
    assert Classification.balanced_weights(manifest) == pytest.approx((24 / (2 * 18), 24 / (2 * 6)))
    run = start(data, tmp_path / "run", class_weights="balanced")
    assert len(run.config.task["class_weights"]) == 2


# Refusals before the first epoch


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (UsageError, {"spec": "mlp_784_300_1"}, "there is no network 'mlp_784_300_1'. Did you mean mlp_784_300_10"),
        (
            RecipeError,
            {"recipe": "quik"},
            "'quik' is not a recipe. Expected the name of a recipe. Did you mean quick?",
        ),
        (
            RecipeError,
            {"settings": {"epoch": "1"}},
            "neither the recipe nor mlp_784_300_10 has a field 'epoch'. Did you mean epochs?",
        ),
        (
            SpecError,
            {"spec": "unet16", "settings": {}},
            "unet16 is a network for segmentation, and the data hold classes, not masks. Expected a network for"
            " classification. `pixelwise nets` lists them.",
        ),
        (UsageError, {"settings": {**SETTINGS, "augment": "cats"}}, "Unknown augmentation 'cats'"),
        (DeviceError, {"device": "cuda"}, "--device cuda: no usable CUDA GPU is on this machine"),
        (UsageError, {"precision": "half"}, "precision 'half'. Expected auto, float32 or bfloat16. Correct the name."),
        (UsageError, {"workers": -1}, "workers=-1. Expected at least 0. Correct the number."),
        (UsageError, {"batch": 0}, "batch=0. Expected at least 1. Correct the number."),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_refusals_leave_nothing_behind(data, tmp_path, kind, arguments, message):
    assert refusal(kind, start, data, tmp_path / "run", **arguments).startswith(message)
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_trained_on(tmp_path):
    (tmp_path / "empty").mkdir()
    assert refusal(DataError, start, tmp_path / "empty", tmp_path / "run")
    one = write_classes(tmp_path / "one", names=("only",))
    assert "only" in refusal(DataError, start, one, tmp_path / "run")
    assert refusal(DataError, start, tmp_path / "missing", tmp_path / "run")
    mixed = write_classes(tmp_path / "mixed")
    cv2.imwrite(str(mixed / "left" / "colour.png"), np.zeros((28, 28, 3), np.uint8))
    assert start(mixed, tmp_path / "mixed-run").config.in_channels == 3
    assert not (tmp_path / "run").exists()


def test_the_check_comes_first_and_damaged_pictures_are_skipped_only_when_asked(data, tmp_path):
    (data / "left" / "broken.png").write_bytes((data / "left" / "0.png").read_bytes()[:40])
    message = refusal(DataError, start, data, tmp_path / "run", should_check=True)
    assert message.startswith(f"{data} has 1 error:\n  ")
    assert message.endswith(f"`pixelwise check {data}` lists everything.")
    assert not (tmp_path / "run").exists()
    run = start(data, tmp_path / "run", should_check=True, bad_images="skip")
    assert [path for path, _ in run.config.data["skipped"]] == ["left/broken.png"]
    assert run.config.data["num_samples"] == 20
    codes = {finding["code"]: finding for finding in run.config.data["findings"]}
    assert codes


def test_folders_that_cannot_take_a_run(data, tmp_path):
    run = start(data, tmp_path / "run")
    assert refusal(RunError, start, data, run.path) == (
        f"{run.path} already holds a run. Expected a new folder. `pixelwise resume {run.path}` goes on with it; or"
        " choose another folder."
    )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    assert refusal(RunError, start, data, tmp_path / "full") == (
        f"{tmp_path}/full is not empty. Expected a new or empty folder. Choose another folder."
    )
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("x")
    message = refusal(OutputError, start, data, tmp_path / "file" / "run")
    assert message.startswith(f"{tmp_path}/file/run could not be written: Not a directory")
    (tmp_path / "leftover").mkdir()
    (tmp_path / "leftover" / "lock").write_text("{}")
    assert start(data, tmp_path / "leftover").status == "finished"


# Resuming


def test_an_interrupted_run_goes_on(stopped, tmp_path, data):
    run = resume(stopped, quiet=True)
    assert run.status == "finished"
    kinds = [event["event"] for event in run.journal]
    assert kinds.count("epoch") == 2
    assert kinds.count("end") == 1


def test_another_process_at_work_is_respected(stopped):
    with lock_run(stopped):
        assert "is in use by process" in refusal(RunError, resume, stopped)


def test_changed_data_are_refused_with_the_difference(stopped, data):
    picture = data / "left" / "0.png"
    before = picture.read_bytes()
    cv2.imwrite(str(picture), np.full((28, 28), 7, np.uint8))
    cv2.imwrite(str(data / "left" / "new.png"), np.full((28, 28), 9, np.uint8))
    (data / "right" / "3.png").unlink()
    message = refusal(RunError, resume, stopped)
    assert message.startswith(f"The data in {data} are not those that the run was started with: ")
    assert "1 added (left/new.png)" in message
    assert "1 removed (right/3.png)" in message
    assert "left/0.png" in message
    assert message.endswith("Restore the data, give their new place with --data, or train a new run.")
    picture.write_bytes(before)


def test_data_that_were_moved_are_found_when_told(stopped, data, tmp_path):
    moved = data.rename(tmp_path / "elsewhere")
    assert refusal(DataError, resume, stopped)
    run = resume(stopped, data=moved, quiet=True)
    assert run.status == "finished"
    assert run.config.data["root"] == str(moved)


def test_changed_settings_are_refused_with_the_difference(stopped):
    message = refusal(RunError, resume, stopped, settings={"learning_rate": "0.5", "batch_size": "4"})
    assert message == (
        "The run was started with other settings: recipe.batch_size: 8 -> 4; recipe.learning_rate: 0.002 -> 0.5."
        " Expected changes only to workers, checkpoint_seconds, checkpoint_steps, patience, device, precision, and to"
        " epochs where schedule=constant or exponential. Undo the change, or train a new run."
    )
    content = read_json(stopped / "run.json")
    content["spec"]["columns"]["hidden"] = [9, 9]
    write_json(stopped / "run.json", content)
    assert "spec.columns.hidden: 8,8 -> 9,9" in refusal(RunError, resume, stopped)


def test_safe_settings_may_change(stopped):
    run = resume(stopped, settings={"patience": "5", "epochs": "3"}, workers=0, quiet=True)
    assert [event["epoch"] for event in run.journal if event["event"] == "epoch"] == [1, 2, 3]
    longer = resume(stopped, settings={"epochs": "4"}, quiet=True)
    assert [event["epoch"] for event in longer.journal if event["event"] == "epoch"] == [1, 2, 3, 4]


def test_a_damaged_newest_checkpoint_is_set_aside(stopped, caplog):
    newest = sorted((stopped / "checkpoints").iterdir())[-1]
    content = bytearray(newest.read_bytes())
    content[-3] ^= 1
    newest.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        run = resume(stopped, quiet=True)
    assert run.status == "finished"
    assert f"It was set aside as {newest.name}.damaged." in caplog.text
    assert newest.with_name(newest.name + ".damaged").read_bytes() == bytes(content)


def test_when_every_checkpoint_is_damaged_nothing_is_guessed(stopped):
    for path in (stopped / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert refusal(CheckpointError, resume, stopped) == (
        f"Every checkpoint in {stopped}/checkpoints is damaged. Expected at least one whole one. Train again from the"
        " start."
    )


def test_a_missing_gpu_means_the_cpu_and_a_warning(stopped, caplog):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    content = read_json(stopped / "run.json")
    write_json(stopped / "run.json", {**content, "device": "cuda:0"})
    with caplog.at_level(logging.WARNING):
        assert resume(stopped, quiet=True).config.device == "cpu"
    assert caplog.messages == ["The run goes on on cpu and not on cuda:0: its bits will not be those of one device."]
    content = read_json(stopped / "run.json")
    write_json(stopped / "run.json", {**content, "status": "interrupted"})
    assert refusal(DeviceError, resume, stopped, device="cuda")


def test_newer_formats_are_refused(stopped, tmp_path):
    content = read_json(stopped / "run.json")
    write_json(stopped / "run.json", {**content, "format": 2})
    assert refusal(RunError, resume, stopped) == (
        f"{stopped}/run.json has format 2. Expected format 1 or older. Update pixelwise: a newer version wrote"
        " this run."
    )


def test_what_is_not_a_run_is_refused(tmp_path):
    assert refusal(RunError, resume, tmp_path / "none") == (
        f"{tmp_path}/none is not a run: there is no such folder. Expected a folder that `pixelwise train` wrote."
        " Check the path."
    )
    assert "it has no run.json" in refusal(RunError, resume, tmp_path)
    (tmp_path / "run.json").write_text("[]")
    assert refusal(RunError, resume, tmp_path).startswith(f"{tmp_path}/run.json is damaged. Expected a JSON object")
    (tmp_path / "run.json").write_text("{}")
    assert "lacks name, created" in refusal(RunError, resume, tmp_path)


def test_the_same_command_resumes_when_it_may(stopped, data):
    run = start(data, stopped, on_existing="resume")
    assert run.status == "finished"
    message = refusal(RunError, start, data, stopped, on_existing="resume", seed=5)
    assert "seed: 0 -> 5" in message
    message = refusal(RunError, start, data, stopped, on_existing="resume", options=DataOptions(group_by="folder"))
    assert "data.group_by: none -> folder. Expected" in message
    moved = data.rename(data.with_name("moved"))
    message = refusal(RunError, start, moved, stopped, on_existing="resume")
    assert f"data.folder: {data} -> {moved}. Expected" in message
    assert resume(stopped, data=moved).status == "finished"


REQUEST_REFUSALS = [
    ({"name": "other"}, "name: run -> other"),
    ({"recipe": "unet"}, "recipe.name: quick -> unet"),
    ({"settings": {**SETTINGS, "hidden": "8,9"}}, "spec.columns.hidden: 8,8 -> 8,9"),
    ({"class_weights": (1.0, 3.0)}, "class_weights: none -> 1.0,3.0"),
    ({"class_weights": "balanced"}, "class_weights: none -> 1.0,1.0"),
    ({"batch": 4}, "recipe.batch_size: 8 -> 4"),
    ({"deterministic": True}, "deterministic: False -> True"),
    ({"settings": {**SETTINGS, "learning_rate": "0.5"}}, "recipe.learning_rate: 0.002 -> 0.5"),
    (
        {"settings": {key: text for key, text in SETTINGS.items() if key != "augment"}},
        "recipe.augment: none -> digits",
    ),
    (
        {"settings": {key: text for key, text in SETTINGS.items() if key != "batch_size"}},
        "recipe.batch_size: 8 -> 4",
    ),
]


@pytest.mark.parametrize(("changes", "difference"), REQUEST_REFUSALS, ids=lambda value: str(value)[:30])
def test_a_request_is_not_answered_with_the_run_of_another(data, tmp_path, changes, difference):
    out = tmp_path / "run"
    start(data, out)
    message = refusal(RunError, start, data, out, on_existing="resume", **changes)
    assert message == (
        f"{out} was started with other settings: {difference}. Expected the request that the run was started with."
        f" Repeat that; or go on with the run as it is: `pixelwise resume {out}`; or choose another folder."
    )


def test_another_precision_is_another_request(data, tmp_path):
    run = start(data, tmp_path / "run", precision="float32")
    assert start(data, run.path, on_existing="resume").status == "finished"
    content = read_json(run.path / "run.json")
    write_json(run.path / "run.json", {**content, "precision": "bfloat16"})
    message = refusal(RunError, start, data, run.path, on_existing="resume", precision="float32")
    assert "precision: bfloat16 -> float32. Expected" in message


def test_a_repeated_request_may_bring_other_workers_device_and_times_of_checkpoints(stopped, data):
    request = {"on_existing": "resume", "device": "cpu"}
    run = start(data, stopped, workers=1, checkpoint_seconds=7.0, checkpoint_steps=2, **request)
    assert (run.config.workers, run.config.checkpoint_seconds, run.config.checkpoint_steps) == (1, 7.0, 2)
    assert (run.config.device, run.status) == ("cpu", "finished")
    longer = start(data, stopped, settings={**SETTINGS, "epochs": "3"}, **request)
    assert [event["epoch"] for event in longer.journal if event["event"] == "epoch"] == [1, 2, 3]
    if not torch.cuda.is_available():
        refusal(DeviceError, start, data, stopped, on_existing="resume", device="cuda")


def test_a_batch_that_memory_divided_is_the_batch_that_was_asked_for(data, tmp_path, monkeypatch):
    settings = {key: text for key, text in SETTINGS.items() if key != "batch_size"}
    with monkeypatch.context() as patch:
        patch.setattr("pixelwise.training.start.suggest_batch_size", lambda *arguments, **keywords: 2)
        run = start(data, tmp_path / "run", settings=settings)
    assert (run.config.recipe["batch_size"], run.config.recipe["accumulate"]) == (2, 2)
    assert start(data, run.path, settings=settings, on_existing="resume").status == "finished"
    for accumulate, then in (("2", "2 -> 4"), ("3", "2 -> 4")):
        message = refusal(
            RunError, start, data, run.path, settings={**settings, "accumulate": accumulate}, on_existing="resume"
        )
        assert f"recipe.batch_size: {then}" in message


def test_a_run_of_the_default_network_is_found_again_by_its_name(data):
    arguments = {"settings": {"epochs": "1", "widths": "4,8"}, "should_check": False, "quiet": True}
    data = write_masks(data.parent / "cells")
    first = train(data, on_existing="resume", **arguments)
    assert train(data, on_existing="resume", **arguments).path == first.path
    message = refusal(RunError, train, data, on_existing="resume", **{**arguments, "settings": {"widths": "4,6"}})
    assert "spec.columns.widths: 4,8 -> 4,6" in message
    assert train(data, **arguments).path != first.path


def test_recipe_and_data_options_are_passed_from_python(data, tmp_path):
    recipe = pw.Recipe(epochs=1, batch_size=8, augment="none")
    options = pw.DataOptions(classes=("right", "left"), fractions=(0.6, 0.2, 0.2))
    run = pw.train(
        data, catalogue.spec("mlp_784_300_10"), recipe=recipe, options=options, out=tmp_path / "run", quiet=True
    )
    assert run.config.recipe["name"] == "own"
    assert run.manifest.classes == ("right", "left")
    assert run.config.data["splits"] == {"train": 12, "val": 4, "test": 4}
    assert pw.check(str(data)).num_samples == 20
    assert pw.report(str(run.path)).name == "report.html"
    assert pw.load(run.path).predict(data / "left" / "0.png").label in ("left", "right")


def test_a_line_that_cannot_be_written_does_not_end_a_training():
    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

    Lines(Full()).say("epoch 1/2")


def test_a_fault_is_recorded_in_the_run(data, tmp_path, monkeypatch):
    settings = {**SETTINGS, "learning_rate": "1e30", "optimiser": "sgd", "clip_norm": "none", "epochs": "9"}
    message = refusal(Exception, start, data, tmp_path / "run", settings=settings)
    run = Run.open(tmp_path / "run")
    assert run.status == "failed"
    last = read_journal(run.path)[-1]
    assert (last["event"], last["reason"]) == ("stop", message)


def test_a_killed_run_counts_as_interrupted(data, tmp_path):
    run = start(data, tmp_path / "run")
    run.update(dataclasses.replace(run.config, status="running"))
    assert run.status == "interrupted"
    with lock_run(run.path):
        assert run.status == "running"
    assert json.loads((run.path / "run.json").read_text())["status"] == "running"

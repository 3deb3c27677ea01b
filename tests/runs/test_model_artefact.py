"""A saved model comes back as it was, and what is cut short while it is saved harms nothing."""

import builtins
import hashlib
import importlib
import json
import pickle

import pytest
import torch

import pixelwise.runs.model as model_module
from pixelwise.errors import DeviceError, OutputError, SpecError, WeightsError
from pixelwise.runs.model import FORMAT, RECORD_FILE, WEIGHTS_FILE, find_model, load_model, save_model
from pixelwise.tasks import make_task
from small_models import classifier, preprocess, rewrite, segmenter


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "model"
    save_model(folder, segmenter())
    return folder


@pytest.mark.parametrize("make", [segmenter, classifier])
def test_round_trip_gives_the_same_logits(tmp_path, make):
    model = make()
    save_model(tmp_path / "model", model)
    before = torch.get_rng_state()
    loaded = load_model(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)
    assert not loaded.network.training
    assert loaded.spec == model.spec
    assert loaded.task == model.task
    assert loaded.preprocess == model.preprocess
    assert loaded.card == model.card
    x = torch.rand(2, 1, 28, 28)
    with torch.inference_mode():
        assert torch.equal(loaded.network(x), model.network.eval()(x))


def test_the_folder_holds_two_files_and_the_run_finds_it(saved):
    assert sorted(path.name for path in saved.iterdir()) == [RECORD_FILE, WEIGHTS_FILE]
    assert find_model(saved) == saved
    assert find_model(saved.parent) == saved
    record = json.loads((saved / RECORD_FILE).read_text())
    assert record["format"] == FORMAT
    assert record["sha256"] == hashlib.sha256((saved / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert record["card"]["licence"] == "CC0-1.0"
    assert set(record) == {
        "format", "sha256", "spec", "in_channels", "num_classes", "task", "preprocess", "card",
    }  # fmt: skip


def test_loading_never_unpickles_and_never_imports_what_a_file_names(saved, monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    load_model(saved)
    rewrite(saved, card={"class": "os.system", "module": "antigravity"})
    imported = []
    monkeypatch.setattr(importlib, "import_module", imported.append)
    real_import = builtins.__import__

    def watch(name, *arguments, **keywords):
        imported.append(name)
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", watch)
    load_model(saved)
    spec = json.loads((saved / RECORD_FILE).read_text())["spec"]
    rewrite(saved, spec=spec | {"family": "os.system"})
    with pytest.raises(SpecError, match=r"unknown family 'os\.system'"):
        load_model(saved)
    assert not {name for name in imported if name.split(".")[0] in ("os", "antigravity", "subprocess")}


def test_saving_checks_before_it_writes(tmp_path):
    model = segmenter()
    model.network.get_parameter("out.weight").data.fill_(float("nan"))
    with pytest.raises(WeightsError, match=r"The model to be saved: out\.weight holds NaN"):
        save_model(tmp_path / "model", model)
    model = segmenter()
    model.preprocess = preprocess(3)
    with pytest.raises(WeightsError, match="The model to be saved does not fit together"):
        save_model(tmp_path / "model", model)
    assert not list(tmp_path.rglob("*.*"))


class KilledError(BaseException):
    pass


def save_and_be_killed(monkeypatch, folder, model, survived):
    """Stop before the change to the folder that follows ``survived`` others; say whether that was too late."""
    changes, real_replace = iter(range(100)), model_module.Path.replace

    def replace(path, target):
        if next(changes) >= survived:
            raise KilledError
        return real_replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(model_module.Path, "replace", replace)
        patch.setattr(model_module.Path, "unlink", lambda path, missing_ok=False: None)  # the dead do not tidy up
        try:
            save_model(folder, model)
        except KilledError:
            return False
    return True


CHANGES = 4  # staged weights, announcement, weights, record


@pytest.mark.parametrize("first", range(CHANGES + 1))
@pytest.mark.parametrize("second", range(CHANGES + 1))
def test_killed_at_any_write_the_folder_holds_a_whole_model(tmp_path, monkeypatch, first, second):
    models = [segmenter(seed) for seed in range(3)]
    for number, model in enumerate(models):
        model.card = {"number": number}
    x = torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        answers = [model.network.eval()(x) for model in models]
    assert not torch.equal(answers[0], answers[1])
    folder = tmp_path / "model"
    save_model(folder, models[0])
    held = 0
    for number, survived in ((1, first), (2, second)):
        finished = save_and_be_killed(monkeypatch, folder, models[number], survived)
        assert finished == (survived == CHANGES)
        held = number if survived >= CHANGES - 1 else held
        loaded = load_model(folder)
        with torch.inference_mode():
            assert torch.equal(loaded.network(x), answers[held])
        assert loaded.card == {"number": held}
    save_model(folder, models[0])
    assert {path.name for path in folder.iterdir() if "tmp" not in path.name} == {RECORD_FILE, WEIGHTS_FILE}
    assert "next" not in json.loads((folder / RECORD_FILE).read_text())


def test_a_full_disk_leaves_the_model_that_was_there(saved, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"^The disk is full: "):
        save_model(saved, segmenter(3))
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert load_model(saved).card["licence"] == "CC0-1.0"


def test_a_damaged_record_does_not_keep_a_new_model_out(saved):
    (saved / RECORD_FILE).write_text("{")
    save_model(saved, segmenter(4))
    assert load_model(saved).spec.name == "unet16"


def test_rename_that_fails_is_an_output_error(saved, monkeypatch):
    real_replace = model_module.Path.replace

    def replace(path, target):
        if path.name.startswith(".weights"):
            raise PermissionError(1, "Operation not permitted")
        return real_replace(path, target)

    monkeypatch.setattr(model_module.Path, "replace", replace)
    with pytest.raises(OutputError, match="could not be written: Operation not permitted"):
        save_model(saved, segmenter(5))
    assert load_model(saved).task.classes == ("background", "cell")


def test_a_device_that_is_not_there(saved, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no usable CUDA GPU is on this machine"):
        load_model(saved, "cuda")


def test_class_names_survive_any_writing_system(tmp_path):
    model = segmenter()
    model.task = make_task("segmentation", ("背景", 'zelle "ß", 2\n'))
    save_model(tmp_path / "m", model)
    assert load_model(tmp_path / "m").task.classes == model.task.classes

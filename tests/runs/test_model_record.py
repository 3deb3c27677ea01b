"""Whatever is missing from a model folder or wrong in its record is refused with the reason."""

import json
import re

import pytest
import torch

import pixelwise.runs.model as model_module
from pixelwise.errors import DataError, PixelwiseError, RunError, WeightsError
from pixelwise.runs.model import FORMAT, RECORD_FILE, WEIGHTS_FILE, load_model, save_model
from pixelwise.tasks import make_task
from small_models import preprocess, rewrite, segmenter


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "model"
    save_model(folder, segmenter())
    return folder


def test_missing_files(saved, tmp_path):
    (saved / WEIGHTS_FILE).unlink()
    with pytest.raises(WeightsError) as caught:
        load_model(saved)
    assert str(caught.value) == (f"{saved / WEIGHTS_FILE} is missing. Expected a safetensors file. Check the path.")
    with pytest.raises(RunError) as caught:
        load_model(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"{tmp_path / 'nowhere'} is not there. Expected a run, or a folder with weights.safetensors and model.json. "
        "Check the path."
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"empty holds no model\. Expected a run, or a folder"):
        load_model(tmp_path / "empty")


def test_weights_without_their_record_are_refused(saved):
    (saved / RECORD_FILE).unlink()
    for path in (saved, saved / WEIGHTS_FILE):
        with pytest.raises(WeightsError) as caught:
            load_model(path)
        assert str(caught.value) == (
            f"{path} holds weights without their preprocessing. Expected model.json beside them, which says how "
            "pictures are scaled. Give the run or the model folder that they come from."
        )


@pytest.mark.parametrize("absent", [None, {}])
def test_a_record_without_preprocessing_is_refused(saved, absent):
    rewrite(saved, preprocess=absent)
    with pytest.raises(WeightsError) as caught:
        load_model(saved)
    assert str(caught.value) == (
        f'{saved / RECORD_FILE} holds no preprocessing. Expected "preprocess", which says how pictures are scaled. '
        "Weights are not used without it: take the complete model folder."
    )


def test_pickled_files_are_refused_with_the_way_out(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({}, path)
    with pytest.raises(WeightsError) as caught:
        load_model(path)
    assert str(caught.value) == (
        f"{path} is a pickled file, which can run any code when it is loaded. Expected a run or a folder with "
        'weights.safetensors and model.json. Published weights are read with pw.create(name, weights="FILE"), which '
        "loads numbers only."
    )


def test_another_file_and_a_run_without_a_model(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(RunError, match=r"notes\.txt is a file\. Expected a run, or a folder"):
        load_model(tmp_path / "notes.txt")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunError) as caught:
        load_model(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds no model yet: its training has not finished an epoch. Run: pixelwise resume {tmp_path}."
    )


def test_a_newer_format_is_refused(saved):
    rewrite(saved, format=FORMAT + 1)
    with pytest.raises(RunError) as caught:
        load_model(saved)
    assert str(caught.value) == (
        f"{saved / RECORD_FILE} has format 2. Expected format 1, which this version of pixelwise writes. "
        "Use the version of pixelwise that wrote it."
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\xff\xfe\xfd", "'utf-16-le' codec can't decode byte 0xfd in position 2: truncated data"),
        (b"[]", "it has no format number"),
        (b'{"format": "1"}', "it has no format number"),
        (b'{"format": true}', "it has no format number"),
        (b'{"format": 1, "card": NaN}', "NaN is not JSON"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_a_damaged_record_is_refused(saved, content, why):
    (saved / RECORD_FILE).write_bytes(content)
    with pytest.raises(RunError) as caught:
        load_model(saved)
    assert str(caught.value) == (
        f"{saved / RECORD_FILE} is damaged: {why}. Expected a file that pixelwise wrote. Restore it from a copy."
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sha256": "abc"}, r"sha256: String should match pattern"),
        ({"sha256": None}, r"sha256: Field required"),
        ({"in_channels": 0}, r"in_channels: Input should be greater than or equal to 1"),
        ({"in_channels": "1"}, r"in_channels: Input should be a valid integer"),
        ({"num_classes": 1.5}, r"num_classes: Input should be a valid integer"),
        ({"task": []}, r"task: Input should be a valid dictionary"),
        ({"unknown": 1}, r"unknown: Extra inputs are not permitted"),
    ],
)
def test_every_field_of_the_record_is_checked(saved, changes, why):
    rewrite(saved, **changes)
    with pytest.raises(RunError, match=rf"{re.escape(str(saved / RECORD_FILE))} is damaged: {why}"):
        load_model(saved)


def test_a_huge_record_is_refused_unread(saved, monkeypatch):
    monkeypatch.setattr(model_module, "RECORD_LIMIT_BYTES", 100)
    size = (saved / RECORD_FILE).stat().st_size
    with pytest.raises(RunError) as caught:
        load_model(saved)
    assert str(caught.value) == (
        f"{saved / RECORD_FILE} has {size} bytes. Expected at most 100. Restore it from a copy."
    )


def test_a_record_that_cannot_be_read_is_refused(saved, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(model_module.Path, "read_bytes", refuse)
    with pytest.raises(RunError, match=r"cannot be read: Permission denied\. Check the path and its rights\."):
        load_model(saved)


@pytest.mark.parametrize("part", ["spec", "task", "preprocess"])
@pytest.mark.parametrize("content", [{"a": 1}, {"columns": 3, "family": [], "name": None}, {"classes": None}])
def test_doctored_parts_give_typed_errors(saved, part, content):
    rewrite(saved, **{part: content})
    with pytest.raises(PixelwiseError):
        load_model(saved)


@pytest.mark.parametrize("part", ["spec", "task", "preprocess"])
def test_every_value_of_a_part_may_be_of_any_type(saved, part):
    whole = json.loads((saved / RECORD_FILE).read_text())[part]
    for key in whole:
        for value in (None, 3, -1.5, "text", [], {}, [[]], True, ["a", 1], 10**400):
            if type(value) is type(whole[key]):
                continue
            rewrite(saved, **{part: whole | {key: value}})
            try:
                load_model(saved)
            except PixelwiseError:
                continue  # typed; anything else fails the test


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"preprocess": preprocess(3).to_json()},
            "its preprocessing gives 3 channels, the network takes 1",
        ),
        (
            {"task": make_task("classification", ("a", "b"), binary="sigmoid").to_json()},
            "its task is for networks of classification, the network is for segmentation",
        ),
        (
            {"task": make_task("segmentation", ("a", "b", "c")).to_json()},
            "its task needs 3 outputs, the network has 1",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(saved, changes, message):
    rewrite(saved, **changes)
    with pytest.raises(WeightsError) as caught:
        load_model(saved)
    assert str(caught.value) == (
        f"{saved / RECORD_FILE} does not fit together: {message}. Take a complete model folder, unchanged."
    )


def test_a_single_class_is_refused(saved):
    task = json.loads((saved / RECORD_FILE).read_text())["task"]
    rewrite(saved, task=task | {"classes": ["only"]})
    with pytest.raises(DataError, match="There is only one class: only"):
        load_model(saved)

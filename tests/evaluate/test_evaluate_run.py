"""Evaluating runs and model folders: whose data, which split, and which scores are kept."""

import dataclasses
import errno

import numpy as np
import pytest
from labelled_folders import class_folders, make_run, mask_folder, write_picture

from pixelwise.data.manifest import build_manifest
from pixelwise.errors import DataError, OutputError, RunError, SpecError, UsageError
from pixelwise.evaluation import evaluate, evaluate_run
from pixelwise.runs.model import save_model
from small_models import classifier, preprocess, segmenter


def test_data_with_foreign_classes_is_refused(tmp_path):
    root = class_folders(tmp_path / "data", classes=("cat", "dogs", "owl"))
    with pytest.raises(DataError) as caught:
        evaluate(classifier(), root, build_manifest(root))
    assert caught.value.came == "The data has dogs, which the model does not know"
    save_model(tmp_path / "model", classifier())
    with pytest.raises(DataError, match="dogs"):
        evaluate_run(tmp_path / "model", root)


def test_advice_is_what_a_trained_model_can_follow(tmp_path):
    root = class_folders(tmp_path / "data")
    run = make_run(tmp_path / "run", classifier(), root, build_manifest(root))
    foreign = class_folders(tmp_path / "foreign", classes=("elk", "fox"))
    with pytest.raises(DataError) as caught:
        evaluate_run(run.path, foreign)
    assert str(caught.value) == (
        f"{foreign} holds the folders elk, fox, which are not among the classes. Expected folders named cat, dog, owl. "
        "Correct the data, or give a folder with data for the classes cat, dog, owl."
    )
    with pytest.raises(DataError, match="Did you mean"):
        evaluate_run(run.path, class_folders(tmp_path / "misspelt", classes=("cat", "dogs", "owl")))
    (foreign / "t.csv").write_text("path,text\nelk/0.png,ab\nfox/0.png,ba\n")
    (foreign / "fox").rename(foreign / "elk" / "fox")  # one folder only: the table is meant
    with pytest.raises(DataError, match="Expected a column 'label' for classification") as caught:
        evaluate_run(run.path, foreign)
    assert caught.value.do == "Correct the data, or give a folder with data for the classes cat, dog, owl"


def test_a_picture_of_a_size_that_the_trained_network_cannot_take_is_to_be_resized(tmp_path):
    model = classifier()
    model.preprocess = preprocess()
    root = class_folders(tmp_path / "data")
    run = make_run(tmp_path / "run", model, root, build_manifest(root))
    write_picture(tmp_path / "large" / "cat" / "0.png", 1, (30, 31))
    with pytest.raises(SpecError) as caught:
        evaluate_run(run.path, tmp_path / "large")
    assert str(caught.value) == (
        "lenet5_relu cannot take images of 30 x 31 pixels. Expected 28 x 28. Resize the pictures to the size that the "
        "model was trained for."
    )


def test_what_is_no_protocol_is_refused_before_a_model_is_loaded(tmp_path):
    with pytest.raises(UsageError, match=r"^protocol=None\. Expected a protocol as text"):
        evaluate_run(tmp_path / "none", protocol=None)


def test_a_class_file_in_another_order_is_matched_by_name(tmp_path):
    model = segmenter()
    manifests = {}
    for name, options in {
        "given": {},
        "swapped": {"names": "cell\nbackground\n", "swap": True},
        "unnamed": {"names": ""},
    }.items():
        manifests[name] = mask_folder(tmp_path / name, **options)
    trained = build_manifest(manifests["given"])
    run = make_run(tmp_path / "run", model, manifests["given"], trained.with_splits(np.full(4, 3, np.uint8)))
    expected = evaluate_run(run.path)
    assert expected.split == "test"
    assert expected.confusion.sum(1).tolist() == [one.n for one in expected.classes]
    for name in ("swapped", "unnamed"):
        found = evaluate_run(run.path, manifests[name])
        np.testing.assert_array_equal(found.confusion, expected.confusion)
        assert [one.name for one in found.classes] == ["background", "cell"]


def test_a_run_says_when_it_was_trained_on_what_it_is_scored_with(tmp_path):
    root, model = class_folders(tmp_path / "data"), classifier()
    manifest = build_manifest(root).with_splits(np.array([1, 3] * 9))
    run = make_run(tmp_path / "run", model, root, manifest)
    assert evaluate_run(run.path).notes == ()
    other = class_folders(tmp_path / "other", each=7)
    assert evaluate_run(run.path, other).notes == (
        "The model was trained on 9 of these 21 images: the scores flatter it.",
    )


def test_unreadable_images_are_refused_or_left_out_with_a_note(tmp_path):
    root = class_folders(tmp_path / "data")
    (root / "cat" / "broken.png").write_bytes(b"")
    save_model(tmp_path / "model", classifier())
    with pytest.raises(DataError, match=r"broken\.png"):
        evaluate_run(tmp_path / "model", root)
    scores = evaluate_run(tmp_path / "model", root, bad_images="skip")
    assert scores.num_images == 18
    (note,) = scores.notes
    assert note.startswith("Left out of the data folder: 1, the first being cat/broken.png (")


def test_a_moved_data_folder_and_a_bare_model_are_explained(tmp_path):
    root, model = class_folders(tmp_path / "data"), classifier()
    run = make_run(tmp_path / "run", model, root, build_manifest(root))
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError) as caught:
        evaluate_run(run.path)
    assert str(caught.value) == (
        f"The data folder of {run.path} is not there: {root}. Expected the folder that it was trained on, or another "
        f"one. Give the data folder: pixelwise evaluate {run.path} DATA."
    )
    assert evaluate_run(run.path, tmp_path / "elsewhere").num_images == 18
    with pytest.raises(UsageError) as caught:
        evaluate_run(run.path / "model")
    assert str(caught.value) == (
        f"{run.path / 'model'} is a model without its run, which does not know its data. Expected a run, or a data "
        f"folder as well. Give the data folder: pixelwise evaluate {run.path / 'model'} DATA."
    )
    assert evaluate_run(run.path / "model", tmp_path / "elsewhere").num_images == 18


def test_a_relative_data_folder_lies_beside_the_run(tmp_path):
    root = class_folders(tmp_path / "run" / "data")
    run = make_run(tmp_path / "run", classifier(), root, build_manifest(root))
    run.update(dataclasses.replace(run.config, data={"root": "data"}))
    assert evaluate_run(run.path).num_images == 18


def test_the_held_out_scores_of_a_run_are_kept_and_others_are_not(tmp_path):
    root, model = class_folders(tmp_path / "data"), classifier()
    manifest = build_manifest(root).with_splits(np.array([1, 2, 3] * 6))
    run = make_run(tmp_path / "run", model, root, manifest)
    other = class_folders(tmp_path / "other", first_seed=1000)
    for options in ({"split": "train"}, {"split": "all"}, {"data": other}):
        evaluate_run(run.path, **options)
        assert run.scores is None
    scores = evaluate_run(run.path)
    assert scores.num_images == 6
    assert run.scores == scores.to_json()
    (run.path / "scores.json").unlink()
    evaluate_run(run.path, split="test")
    assert run.scores == scores.to_json()


def test_the_same_files_in_another_place_keep_their_splits(tmp_path):
    root, model = class_folders(tmp_path / "data"), classifier()
    manifest = build_manifest(root).with_splits(np.array([1, 2, 3] * 6))
    run = make_run(tmp_path / "run", model, root, manifest)
    expected = evaluate_run(run.path).to_json()
    assert evaluate_run(run.path, root).to_json() == expected
    root.rename(tmp_path / "moved")
    assert evaluate_run(run.path, tmp_path / "moved").to_json() == expected
    write_picture(tmp_path / "moved" / "cat" / "0.png", 999)
    changed = evaluate_run(run.path, tmp_path / "moved")
    assert (changed.split, changed.num_images) == ("all", 18)
    assert changed.notes == ("The model was trained on 5 of these 18 images: the scores flatter it.",)


def test_a_full_disk_leaves_the_scores_that_were_there(tmp_path, monkeypatch):
    root = class_folders(tmp_path / "data")
    run = make_run(tmp_path / "run", classifier(), root, build_manifest(root))
    evaluate_run(run.path)
    before = (run.path / "scores.json").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError) as caught:
        evaluate_run(run.path, seed=1)
    assert str(caught.value) == (
        f"The disk is full: {run.path / 'scores.json'} could not be written. Free some space; what was there before is "
        "unharmed."
    )
    assert (run.path / "scores.json").read_bytes() == before
    assert not list(run.path.glob(".pixelwise-tmp*"))

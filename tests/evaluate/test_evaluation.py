"""Evaluating models on folders: against brute force, in the model's class order, at the pictures' own size."""

import dataclasses
import errno
import signal

import cv2
import numpy as np
import pytest

from pixelwise.data.manifest import build_manifest
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError, Interrupted, MaskError, OutputError, RunError, UsageError
from pixelwise.evaluate import Scores, evaluate, evaluate_run
from pixelwise.predict.predictor import Predictor
from pixelwise.runs.folder import Run, RunConfig
from pixelwise.runs.model import save_model
from small_models import classifier, preprocess, segmenter

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def write_picture(path, seed, size=(28, 28)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (5, 5), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))


def class_folders(root, classes=CLASSES, each=6, first_seed=0):
    for place, name in enumerate(classes):
        for index in range(each):
            write_picture(root / name / f"{index}.png", first_seed + 100 * place + index)
    return root


def mask_folder(root, count=4, size=(40, 56), names="background\ncell\n", swap=False):
    for index in range(count):
        write_picture(root / "images" / f"{index}.png", index, size)
        mask = np.zeros(size, np.uint8)
        mask[5 : 20 + index, 8:30] = 1
        mask[:, 50:] = 255
        if swap:
            mask = np.where(mask == 255, mask, 1 - mask)
        (root / "masks").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "masks" / f"{index}.png"), mask)
    if names:
        (root / "classes.txt").write_text(names)
    return root


def make_run(path, model, root, manifest):
    config = RunConfig(
        name="r", created="2030-01-01T00:00:00+00:00", status="finished", pixelwise="0", torch="2", python="3",
        machine={}, command=[], spec=model.spec.to_json(), in_channels=1, num_classes=model.task.num_outputs,
        task=model.task.to_json(), recipe={}, preprocess=model.preprocess.to_json(), seed=0, workers=0, device="cpu",
        threads=1, precision="float32", deterministic=False, checkpoint_seconds=1.0, checkpoint_steps=None,
        data={"root": str(root)}, init_weights=None,
    )  # fmt: skip
    run = Run.create(path, config, manifest)
    save_model(path / "model", model)
    return run


def named(scores):
    return {score.name: score for score in scores.scores}


def test_classification_equals_predictions_one_by_one(tmp_path):
    root, model = class_folders(tmp_path / "data"), classifier()
    manifest = build_manifest(root, task="classification")
    steps = []
    scores = evaluate(model, root, manifest, progress=lambda done, total: steps.append((done, total)))
    predictor, reader = Predictor(model), SampleReader(root, manifest)
    probabilities = np.stack([predictor.predict(reader.image(i)).probabilities for i in range(len(manifest))])
    truth = manifest.column("label")
    predicted = probabilities.argmax(1)
    assert named(scores)["top1"].value == pytest.approx((predicted == truth).mean())
    for t in range(3):
        for p in range(3):
            assert scores.confusion[t, p] == ((truth == t) & (predicted == p)).sum()
    assert (scores.split, scores.num_images, scores.metric) == ("all", 18, "top1")
    assert steps == [(done, 18) for done in range(1, 19)]
    for index, sample in enumerate(scores.samples):
        assert sample.path == manifest[index].path
        assert sample.frame == -1
        assert sample.truth == CLASSES[truth[index]]
        assert sample.prediction == CLASSES[predicted[index]]
        assert sample.score == pytest.approx(probabilities[index, truth[index]], abs=1e-5)
        assert sample.probability == pytest.approx(probabilities[index].max(), abs=1e-5)
    assert sum(one.n for one in scores.calibration) == 18
    assert not scores.notes
    scores.save(tmp_path / "scores.json")
    assert Scores.load(tmp_path / "scores.json").to_json() == scores.to_json()


def test_segmentation_is_scored_at_the_size_of_the_masks(tmp_path):
    root = mask_folder(tmp_path / "data")
    model = dataclasses.replace(segmenter(), preprocess=preprocess(resize="stretch", size=(16, 16)))
    manifest = build_manifest(root)
    scores = evaluate(model, root, manifest)
    predictor, reader = Predictor(model), SampleReader(root, manifest)
    truth = np.stack([reader.label_map(i) for i in range(4)])
    predicted = np.stack([predictor.predict(reader.image(i)).label_map for i in range(4)])
    assert truth.shape == (4, 40, 56)
    counted = truth != 255
    assert scores.confusion.sum() == counted.sum() == 4 * 40 * 50
    for c, one in enumerate(scores.classes):
        inter = ((truth == c) & (predicted == c)).sum()
        union = (((truth == c) | (predicted == c)) & counted).sum()
        assert one.values["iou"] == pytest.approx(inter / union)
        assert one.values["dice"] == pytest.approx(2 * inter / (union + inter))
        assert one.n == (truth == c).sum()
    assert named(scores)["pixel_accuracy"].value == pytest.approx((truth == predicted)[counted].mean())
    for index, sample in enumerate(scores.samples):
        unions = [((truth[index] == c) | (predicted[index] == c)) & counted[index] for c in (0, 1)]
        hits = [(truth[index] == c) & (predicted[index] == c) for c in (0, 1)]
        each = [hit.sum() / union.sum() for hit, union in zip(hits, unions, strict=True) if union.any()]
        assert sample.score == pytest.approx(np.mean(each), abs=1e-5)
    assert scores.to_json()["calibration"] is None


def test_a_valid_network_is_scored_on_the_whole_picture(tmp_path):
    root = mask_folder(tmp_path / "data", count=2)
    scores = evaluate(segmenter(padding="valid"), root, build_manifest(root))
    assert scores.confusion.sum() == 2 * 40 * 50


def test_pixels_that_the_model_does_not_see_are_not_counted(tmp_path):
    root = mask_folder(tmp_path / "data", size=(40, 80))
    model = dataclasses.replace(segmenter(), preprocess=preprocess(resize="crop", size=(16, 16)))
    scores = evaluate(model, root, build_manifest(root))
    # the central 40 x 40 of 40 x 80, columns 20 to 59, of which 50 and more are ignored
    assert scores.confusion.sum() == 4 * 40 * 30
    assert scores.notes == ("40.0 % of the labelled pixels lie outside the part that the model sees; not counted.",)


def test_the_split_is_test_or_else_validation(tmp_path):
    root, model = class_folders(tmp_path / "data", each=10), classifier()
    whole = build_manifest(root).with_splits(np.arange(30) % 3 + 1)
    expected = {"test": whole.indices("test"), "val": whole.indices("val"), "train": whole.indices("train")}
    assert evaluate(model, root, whole).split == "test"
    for split, indices in expected.items():
        found = evaluate(model, root, whole, split=split)
        assert [sample.path for sample in found.samples] == [whole[int(index)].path for index in indices]
    assert evaluate(model, root, whole, split="all").num_images == 30
    codes = np.where(whole.column("split") == 3, 2, whole.column("split"))
    assert evaluate(model, root, whole.with_splits(codes)).split == "val"
    with pytest.raises(UsageError) as caught:
        evaluate(model, root, whole, split="testing")
    assert str(caught.value) == "split 'testing'. expected test, val, train, all. Choose one."
    with pytest.raises(DataError) as caught:
        evaluate(model, root, whole.with_splits(np.ones(30, np.uint8)), split="test")
    assert str(caught.value) == (
        "The test split has no labelled image. expected at least one. Choose another split, or add labels."
    )


def test_the_classes_of_the_model_rule_and_not_the_order_of_folders(tmp_path):
    """The folders sort as ant, cat, dog; the model has another order, and one class more."""
    model = classifier(classes=("owl", "dog", "cat"))
    root = class_folders(tmp_path / "data", classes=("cat", "dog"))
    scores = evaluate(model, root, build_manifest(root))
    assert scores.confusion.sum(1).tolist() == [0, 6, 6]
    owl = scores.classes[0]
    assert (owl.name, owl.n, owl.values["recall"]) == ("owl", 0, None)
    assert all(sample.truth == sample.path.partition("/")[0] for sample in scores.samples)


def test_data_with_foreign_classes_is_refused(tmp_path):
    root = class_folders(tmp_path / "data", classes=("cat", "dogs", "owl"))
    with pytest.raises(DataError) as caught:
        evaluate(classifier(), root, build_manifest(root))
    assert caught.value.came == "The data has dogs, which the model does not know"
    save_model(tmp_path / "model", classifier())
    with pytest.raises(DataError, match="dogs"):
        evaluate_run(tmp_path / "model", root)


def test_data_of_another_task_is_refused(tmp_path):
    root = class_folders(tmp_path / "data")
    with pytest.raises(DataError) as caught:
        evaluate(segmenter(), root, build_manifest(root))
    assert str(caught.value) == (
        "The data is for classification. expected data for segmentation, which the model was trained for. Check the "
        "data folder, or use another model."
    )


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


def test_unlabelled_images_are_left_out_with_a_note(tmp_path):
    root = class_folders(tmp_path / "data")
    manifest = build_manifest(root)
    labels = manifest.column("label").copy()
    labels[:3] = -1
    manifest = dataclasses.replace(manifest, columns={**manifest.columns, "label": labels})
    scores = evaluate(classifier(), root, manifest)
    assert scores.num_images == 15
    assert scores.notes == ("3 of 18 images have no label and were left out.",)


def test_one_image_has_scores_without_intervals(tmp_path):
    root = mask_folder(tmp_path / "data", count=1)
    scores = evaluate(segmenter(), root, build_manifest(root))
    assert all(score.n == 1 and score.low is None and score.high is None for score in scores.scores)
    assert named(scores)["mean_iou"].value is not None


def test_masks_that_ignore_everything_have_no_score(tmp_path):
    root = mask_folder(tmp_path / "data", count=2)
    manifest = build_manifest(root)
    for index in range(2):
        cv2.imwrite(str(root / "masks" / f"{index}.png"), np.full((40, 56), 255, np.uint8))
    blank = build_manifest(root, classes=("background", "cell"), mask_kind="index")
    assert manifest.classes == blank.classes
    with pytest.raises(DataError) as caught:
        evaluate(segmenter(), root, blank)
    assert str(caught.value) == (
        "All pixels of all masks are ignored. expected labelled pixels. Check how the masks are read."
    )


def test_an_image_without_any_labelled_pixel_has_no_score_and_counts_in_no_interval(tmp_path):
    root = mask_folder(tmp_path / "data", count=3)
    cv2.imwrite(str(root / "masks" / "1.png"), np.full((40, 56), 255, np.uint8))
    scores = evaluate(segmenter(), root, build_manifest(root))
    assert [sample.score is None for sample in scores.samples] == [False, True, False]
    assert (scores.num_images, named(scores)["mean_iou"].n) == (3, 2)


def test_a_mask_of_another_size_is_named(tmp_path, monkeypatch):
    root = mask_folder(tmp_path / "data", count=2)
    manifest = build_manifest(root)
    read = SampleReader.label_map
    monkeypatch.setattr(SampleReader, "label_map", lambda self, index: read(self, index)[1:])
    with pytest.raises(MaskError) as caught:
        evaluate(segmenter(), root, manifest)
    assert str(caught.value) == (
        "masks/0.png has 39 x 56 pixels. expected 40 x 56, the size of images/0.png. Run pixelwise check on the data."
    )


def test_an_image_that_vanishes_ends_the_evaluation_with_its_name(tmp_path):
    root = class_folders(tmp_path / "data")
    manifest = build_manifest(root)
    (root / "dog" / "3.png").unlink()
    with pytest.raises(DataError, match=r"dog/3\.png cannot be read any more"):
        evaluate(classifier(), root, manifest)


def test_a_request_to_stop_is_honoured_at_the_next_image(tmp_path):
    root = class_folders(tmp_path / "data")
    asked = []

    def should_stop():
        asked.append(1)
        if len(asked) == 5:
            raise Interrupted(signal.SIGTERM)

    with pytest.raises(Interrupted):
        evaluate(classifier(), root, build_manifest(root), should_stop=should_stop)
    assert len(asked) == 5


def test_a_moved_data_folder_and_a_bare_model_are_explained(tmp_path):
    root, model = class_folders(tmp_path / "data"), classifier()
    run = make_run(tmp_path / "run", model, root, build_manifest(root))
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError) as caught:
        evaluate_run(run.path)
    assert str(caught.value) == (
        f"The data folder of {run.path} is not there: {root}. expected the folder that it was trained on, or another "
        f"one. Give the data folder: pixelwise evaluate {run.path} DATA."
    )
    assert evaluate_run(run.path, tmp_path / "elsewhere").num_images == 18
    with pytest.raises(UsageError) as caught:
        evaluate_run(run.path / "model")
    assert str(caught.value) == (
        f"{run.path / 'model'} is a model without its run, which does not know its data. expected a run, or a data "
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

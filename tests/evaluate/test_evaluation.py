"""Evaluating models on folders: against brute force, in the model's class order, at the pictures' own size."""

import dataclasses
import signal

import cv2
import numpy as np
import pytest
from labelled_folders import CLASSES, class_folders, mask_folder

from pixelwise.data.manifest import build_manifest
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError, Interrupted, MaskError, UsageError
from pixelwise.evaluation import Scores, evaluate
from pixelwise.predict.predictor import Predictor
from small_models import classifier, preprocess, segmenter


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
    assert str(caught.value) == "split 'testing'. Expected test, val, train, all. Choose one."
    with pytest.raises(DataError) as caught:
        evaluate(model, root, whole.with_splits(np.ones(30, np.uint8)), split="test")
    assert str(caught.value) == (
        "The test split has no labelled image. Expected at least one. Choose another split, or add labels."
    )


def test_the_classes_of_the_model_rule_and_not_the_order_of_folders(tmp_path):
    """The folders sort as cat, dog; the model has another order, and one class more."""
    model = classifier(classes=("owl", "dog", "cat"))
    root = class_folders(tmp_path / "data", classes=("cat", "dog"))
    scores = evaluate(model, root, build_manifest(root))
    assert scores.confusion.sum(1).tolist() == [0, 6, 6]
    owl = scores.classes[0]
    assert (owl.name, owl.n, owl.values["recall"]) == ("owl", 0, None)
    assert all(sample.truth == sample.path.partition("/")[0] for sample in scores.samples)


def test_data_of_another_task_is_refused(tmp_path):
    root = class_folders(tmp_path / "data")
    with pytest.raises(DataError) as caught:
        evaluate(segmenter(), root, build_manifest(root))
    assert str(caught.value) == (
        "The data is for classification. Expected data for segmentation, which the model was trained for. Check the "
        "data folder, or use another model."
    )


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
        "All pixels of all masks are ignored. Expected labelled pixels. Check how the masks are read."
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
        "masks/0.png has 39 x 56 pixels. Expected 40 x 56, the size of images/0.png. Run pixelwise check on the data."
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

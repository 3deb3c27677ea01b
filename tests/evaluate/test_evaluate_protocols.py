"""Scores under a protocol and of ensembles: what is recorded, what is kept, and whose data count."""

import json

import numpy as np
import pytest
from labelled_folders import class_folders, make_run, mask_folder

from pixelwise.data.manifest import build_manifest
from pixelwise.errors import RunError, UsageError
from pixelwise.evaluation import Scores, evaluate, evaluate_run
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import Protocol
from pixelwise.runs.model import save_model
from small_models import classifier, segmenter


def shares(scores):
    """Probability of the true class of every image."""
    return np.array([sample.score for sample in scores.samples])


def by_hand(root, scores, **options):
    predictor = Predictor(**options)
    found = [predictor.predict(root / sample.path).to_json()["probabilities"] for sample in scores.samples]
    return np.array([one[sample.truth] for one, sample in zip(found, scores.samples, strict=True)])


def test_an_evaluation_says_and_uses_its_protocol(tmp_path):
    root, model = class_folders(tmp_path / "data"), classifier()
    manifest = build_manifest(root)
    plain = evaluate(model, root, manifest)
    scores = evaluate(model, root, manifest, protocol=Protocol.parse("10-crop"))
    assert (plain.protocol, scores.protocol) == ("centre", "10-crop")
    assert np.allclose(
        shares(scores), by_hand(root, scores, model=model, protocol=Protocol.parse("10-crop")), atol=1e-5
    )
    assert not np.allclose(shares(scores), shares(plain), atol=1e-5)


def test_only_the_scores_of_the_run_itself_as_it_was_trained_are_kept(tmp_path):
    root = class_folders(tmp_path / "data")
    manifest = build_manifest(root).with_splits(np.array([1, 2, 3] * 6))
    one, two = (make_run(tmp_path / name, classifier(seed), root, manifest) for seed, name in enumerate(("one", "two")))
    crops = evaluate_run(one.path, protocol="10-crop")
    both = evaluate_run([one.path, str(two.path)], protocol=Protocol(flip=True))
    assert one.scores is None
    assert two.scores is None
    assert (crops.num_images, crops.split, crops.members) == (6, "test", ())
    assert both.members == (str(one.path), str(two.path))
    kept = evaluate_run([one.path], protocol="centre")
    assert one.scores == kept.to_json()
    assert (one.scores["protocol"], one.scores["members"]) == ("centre", [])
    both.save(tmp_path / "both.json")
    content = json.loads((tmp_path / "both.json").read_text())
    assert (content["protocol"], content["members"]) == ("flip", [str(one.path), str(two.path)])
    assert Scores.load(tmp_path / "both.json").to_json() == both.to_json()
    del content["protocol"], content["members"]  # as files were before
    assert Scores.from_json(content).protocol == "centre"


def test_an_ensemble_is_scored_on_the_data_and_in_the_class_order_of_its_first_run(tmp_path):
    root, elsewhere = class_folders(tmp_path / "data"), class_folders(tmp_path / "other", first_seed=1000)
    manifest = build_manifest(root).with_splits(np.array([1, 3] * 9))
    turned = build_manifest(elsewhere, classes=("owl", "dog", "cat"))
    first, second = classifier(1), classifier(2, classes=("owl", "dog", "cat"))
    one, two = make_run(tmp_path / "one", first, root, manifest), make_run(tmp_path / "two", second, elsewhere, turned)
    scores = evaluate_run([one.path, two.path])
    assert [entry.name for entry in scores.classes] == ["cat", "dog", "owl"]
    assert scores.num_images == 9
    assert np.allclose(shares(scores), by_hand(root, scores, model=first, ensemble=[second]), atol=1e-5)
    assert scores.to_json()["scores"] == evaluate_run([one.path, two.path], root).to_json()["scores"]
    other = evaluate_run([two.path, one.path])
    assert [entry.name for entry in other.classes] == ["owl", "dog", "cat"]
    assert other.num_images == 18


def test_images_that_any_member_was_trained_on_are_named(tmp_path):
    root = class_folders(tmp_path / "data")
    splits = {"one": np.array([1, 3] * 9), "two": np.array([3, 1, 1] * 6)}
    one, two = (
        make_run(tmp_path / name, classifier(), root, build_manifest(root).with_splits(marks))
        for name, marks in splits.items()
    )
    save_model(tmp_path / "bare", classifier(3))
    assert evaluate_run([one.path, tmp_path / "bare"]).notes == ()
    held_out = splits["one"] == 3
    known = int((held_out & (splits["two"] == 1)).sum())
    assert evaluate_run([one.path, two.path]).notes == (
        f"Models were trained on {known} of these 9 images: the scores flatter them.",
    )


def test_mirror_images_and_ensembles_of_segmentations(tmp_path):
    root = mask_folder(tmp_path / "data")
    manifest = build_manifest(root)
    one, two = (make_run(tmp_path / str(seed), segmenter(seed), root, manifest) for seed in (1, 2))
    flipped = evaluate_run(one.path, protocol="flip")
    assert flipped.protocol == "flip"
    assert evaluate_run([one.path, two.path], protocol="flip").confusion.sum() == flipped.confusion.sum() > 0
    with pytest.raises(UsageError, match="protocol 10-crop for segmentation"):
        evaluate_run(one.path, protocol="10-crop")


def test_what_cannot_be_averaged_is_refused(tmp_path):
    root, masks = class_folders(tmp_path / "data"), mask_folder(tmp_path / "masks")
    one = make_run(tmp_path / "one", classifier(), root, build_manifest(root))
    two = make_run(tmp_path / "two", segmenter(), masks, build_manifest(masks))
    for paths, error, message in (
        ([one.path, two.path], UsageError, r"two is for segmentation\. Expected classification, as .*one\."),
        ([one.path, one.path], UsageError, "stands twice"),
        ([one.path, root], RunError, "holds no model"),
        ([], UsageError, "No run is named"),
    ):
        with pytest.raises(error, match=message):
            evaluate_run(paths)
    with pytest.raises(UsageError, match="Did you mean 10-crop"):
        evaluate_run(one.path, protocol="10crop")

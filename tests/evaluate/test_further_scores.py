"""Scores on request: outlines and F-beta of label maps, through the whole evaluation."""

import math

import numpy as np
import pytest
from labelled_folders import class_folders, make_run, mask_folder

from pixelwise.data.manifest import build_manifest
from pixelwise.data.reading import SampleReader
from pixelwise.errors import UsageError
from pixelwise.evaluation import Scores, evaluate, evaluate_run
from pixelwise.evaluation.further import OUTLINES, Further
from pixelwise.evaluation.tally import tally_segmentation
from pixelwise.metrics import (
    ClassCounts,
    average_surface_distance,
    boundary_f,
    confusion_matrix,
    hausdorff,
    hausdorff_95,
)
from pixelwise.predict.predictor import Predictor
from small_models import classifier, segmenter

MEASURES = {
    "hausdorff": hausdorff,
    "hausdorff_95": hausdorff_95,
    "average_surface_distance": average_surface_distance,
    "boundary_f": boundary_f,
}


def never():
    pass


def test_outlines_are_means_over_the_pictures_that_show_the_class(tmp_path) -> None:
    root, model = mask_folder(tmp_path / "data"), segmenter()
    manifest = build_manifest(root)
    scores = evaluate(model, root, manifest, further=[*OUTLINES, "f2"])
    predictor, reader = Predictor(model), SampleReader(root, manifest)
    for name, measure in MEASURES.items():
        means = []
        for index, one in enumerate(scores.classes):
            each = []
            for place in range(4):
                truth, predicted = reader.label_map(place), predictor.predict(reader.image(place)).label_map
                each.append(measure((truth == index) & (truth != 255), (predicted == index) & (truth != 255)))
            each = [min(value, math.hypot(40, 56)) for value in each if not math.isnan(value)]
            assert one.values[name] == pytest.approx(np.mean(each))
            means.append(np.mean(each))
        assert scores[f"mean_{name}"].value == pytest.approx(np.mean(means))
        assert scores[f"mean_{name}"].unit == ("fraction" if name == "boundary_f" else "px")
    for one in scores.classes:
        precision, recall = one.values["precision"], one.values["pixel_accuracy"]
        assert one.values["f2"] == pytest.approx(5 * precision * recall / (4 * precision + recall))
    by_name = {name: (value, interval) for name, value, interval, _ in scores.rows()}
    assert by_name["mean_hausdorff"][0] == f"{scores['mean_hausdorff'].value:.2f} px"
    low, high = scores["mean_hausdorff_95"].low, scores["mean_hausdorff_95"].high
    assert by_name["mean_hausdorff_95"][1] == f"{low:.2f} to {high:.2f} px"
    headers, rows = scores.class_rows()
    assert rows[1][headers.index("hausdorff")].endswith(" px")
    assert rows[1][headers.index("boundary_f")].endswith(" %")
    assert Scores.from_json(scores.to_json()).to_json() == scores.to_json()


def tallied(pairs, names, num_classes=3):
    further = Further.of(names)
    counts = ClassCounts.from_confusion(np.stack([confusion_matrix(t, p, num_classes, ignore=255) for t, p in pairs]))
    rows = np.stack([further.row(t, p, num_classes) for t, p in pairs])
    classes = [f"class {index}" for index in range(num_classes)]
    return tally_segmentation(counts, classes, seed=0, should_stop=never, further=further, outlines=rows)


def test_missed_and_invented_classes_cost_the_diagonal_and_absent_ones_nothing() -> None:
    nothing, something = np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.uint8)
    something[1, 1] = 1
    tally = tallied([(something, nothing), (nothing, something), (something, something)], ["hausdorff", "boundary_f"])
    assert tally.classes[1].values["hausdorff"] == pytest.approx((5 + 5 + 0) / 3)
    assert tally.classes[1].values["boundary_f"] == pytest.approx(1 / 3)
    assert tally.classes[2].values["hausdorff"] is None
    overall = {score.name: score for score in tally.scores}["mean_hausdorff"]
    assert overall.value == pytest.approx((tally.classes[0].values["hausdorff"] + 10 / 3) / 2)
    assert 0 <= overall.low < overall.value < overall.high <= 5


def test_intervals_are_those_of_the_pictures(tmp_path) -> None:
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.integers(0, 2, (2, 6, 6)).astype(np.uint8)) for _ in range(12)]
    tally = tallied(pairs, ["average_surface_distance"], num_classes=2)
    values = np.array([[average_surface_distance(t == c, p == c) for c in (0, 1)] for t, p in pairs])
    draws = np.random.default_rng(0).integers(12, size=(1000, 12))
    bounds = np.percentile(values[draws].mean((1, 2)), [2.5, 97.5])
    overall = {score.name: score for score in tally.scores}["mean_average_surface_distance"]
    assert (overall.low, overall.high) == pytest.approx(tuple(bounds))


def test_volumes_are_measured_in_their_unit() -> None:
    truth, prediction = np.zeros((2, 3, 4, 4), np.uint8)
    truth[1, 1, 1] = prediction[2, 1, 1] = 1
    further, spacing = Further(("hausdorff",), unit="mm"), (3.0, 1.0, 1.0)
    np.testing.assert_allclose(further.row(truth, prediction, 2, spacing=spacing)[:, 0, 1], [3, 1])
    missed = further.row(truth, 0 * truth, 2, spacing=spacing)
    np.testing.assert_allclose(missed[0, 0, 1], math.sqrt(9**2 + 4**2 + 4**2))
    assert further.units() == {"mean_hausdorff": "mm"}


def test_a_run_keeps_what_was_asked_for(tmp_path) -> None:
    root = mask_folder(tmp_path / "data")
    run = make_run(tmp_path / "run", segmenter(), root, build_manifest(root))
    found = evaluate_run(run.path, further=["hausdorff_95", "f0.5"])
    assert Scores.load(run.path / "scores.json").to_json() == found.to_json()
    assert {"mean_hausdorff_95", "mean_f0.5"} <= {score.name for score in found.scores}


@pytest.mark.parametrize("name", ["hausdorf", "f", "f0", "f-1", "mean_iou"])
def test_unknown_scores_are_refused(name) -> None:
    with pytest.raises(UsageError) as caught:
        Further.of(["f1", name])
    assert str(caught.value) == (
        f"--scores {name}. Expected hausdorff, hausdorff_95, average_surface_distance, boundary_f, or F-beta such as "
        "f2 or f0.5. Name scores with commas between them."
    )


def test_classifications_have_no_outlines(tmp_path) -> None:
    root = class_folders(tmp_path / "data", each=1)
    with pytest.raises(UsageError) as caught:
        evaluate(classifier(), root, build_manifest(root), further=["boundary_f"])
    assert str(caught.value) == (
        "--scores boundary_f for classification. Expected no further scores, or a model for segmentation or volumes. "
        "Leave --scores out."
    )

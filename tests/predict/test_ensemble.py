"""An ensemble is the mean of its models' probabilities, matched by the names of the classes."""

import itertools

import numpy as np
import pytest
import torch

from pixelwise.errors import ImageError, UsageError
from pixelwise.predict.ensemble import distinct_runs
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import Protocol
from pixelwise.runs.model import save_model
from small_models import classifier, preprocess, segmenter

RNG = np.random.default_rng(5)


def picture(height, width, channels=1):
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def sharp(seed, **options):
    """A classifier with opinions of its own."""
    model = classifier(seed, **options)
    with torch.no_grad():
        list(model.network.parameters())[-2].mul_(20)
    return model


@pytest.mark.parametrize("make", [sharp, segmenter])
def test_an_ensemble_of_one_is_the_model(make, tmp_path):
    save_model(tmp_path / "a", make(3))
    image = picture(30, 34)
    one = Predictor.load([tmp_path / "a"]).probabilities(image)
    assert np.array_equal(one, Predictor.load(tmp_path / "a").probabilities(image))


def test_the_mean_of_three_in_any_order():
    models = [sharp(seed) for seed in (1, 2, 3)]
    image = picture(40, 30)
    alone = [Predictor(model).probabilities(image).astype(np.float64) for model in models]
    assert np.ptp(alone, axis=0).max() > 0.1
    for first, *others in itertools.permutations(models):
        found = Predictor(first, ensemble=others).predict(image)
        assert np.array_equal(found.probabilities, np.mean(alone, axis=0).astype(np.float32))


def test_classes_are_matched_by_name_and_stand_in_the_order_of_the_first():
    first, second = sharp(1, classes=("cat", "dog", "owl")), sharp(2, classes=("owl", "cat", "dog"))
    image = picture(28, 28)
    one, other = (Predictor(model).predict(image).to_json()["probabilities"] for model in (first, second))
    for model, further in ((first, second), (second, first)):
        found = Predictor(model, ensemble=[further]).predict(image)
        assert found.classes == model.task.classes
        for name, probability in found.to_json()["probabilities"].items():
            assert probability == pytest.approx((one[name] + other[name]) / 2, abs=1e-6)


def test_each_model_keeps_its_preprocessing_and_says_what_it_did():
    grey, colour = sharp(1), sharp(2, channels=3)
    colour.preprocess = preprocess(3, resize="crop", size=(28, 28), mean=(0.1, 0.2, 0.3))
    image = picture(50, 60, 3)
    alone = [Predictor(model).predict(image) for model in (grey, colour)]
    together = Predictor(grey, ensemble=[colour]).predict(image)
    assert np.allclose(together.probabilities, (alone[0].probabilities + alone[1].probabilities) / 2, atol=1e-6)
    assert together.notes == ("converted from 3 to 1 channels",)


def test_protocols_and_ensembles_go_together_and_a_picture_is_read_once():
    models = [sharp(seed) for seed in (1, 2)]
    protocol = Protocol.parse("10-crop")
    image = picture(45, 33)

    class Counted:
        name, reads, cells = "counted", 0, None

        def read(self):
            self.reads += 1
            return image

    sources = [Counted() for _ in range(5)]
    predictor = Predictor(models[0], batch_size=7, protocol=protocol, ensemble=models[1:])
    answers = list(predictor.attempt_many(sources))
    alone = [Predictor(model, protocol=protocol).probabilities(image) for model in models]
    assert len(answers) == 5
    for answer in answers:
        assert np.allclose(answer.probabilities, (alone[0] + alone[1]) / 2, atol=1e-6)
    assert [source.reads for source in sources] == [1] * 5


def test_segmentations_are_averaged_where_each_model_sees():
    classes = ("sky", "road", "car")
    whole = segmenter(1, classes)
    cut = segmenter(2, ("car", "sky", "road"))
    cut.preprocess = preprocess(resize="crop", size=(24, 24))
    image = picture(40, 64)
    one, other = (Predictor(model).probabilities(image) for model in (whole, cut))
    other = other[[1, 2, 0]]
    together = Predictor(whole, ensemble=[cut]).predict(image, probabilities=True)
    seen = other.sum(0) > 0.999
    unseen = other.sum(0) == 0
    assert seen.any()
    assert unseen.any()
    assert np.allclose(together.probabilities[:, seen], (one[:, seen] + other[:, seen]) / 2, atol=1e-5)
    assert np.allclose(together.probabilities[:, unseen], one[:, unseen], atol=1e-5)
    assert np.allclose(together.probabilities.sum(0), 1, atol=1e-5)
    assert np.array_equal(together.label_map, together.probabilities.argmax(0))
    narrow = Predictor(cut, ensemble=[cut]).predict(image)
    assert np.array_equal(narrow.label_map == 255, other.sum(0) < 0.5)


def test_one_model_that_fails_fails_the_picture():
    broken = sharp(2)
    with torch.no_grad():
        list(broken.network.parameters())[-1].fill_(float("nan"))
    with pytest.raises(ImageError, match="NaN or infinity"):
        Predictor(sharp(1), ensemble=[broken]).predict(picture(28, 28))


def test_models_that_do_not_agree_are_refused():
    with pytest.raises(UsageError) as caught:
        Predictor(classifier(), ensemble=[classifier(), segmenter()])
    assert str(caught.value) == (
        "Model 3 of the ensemble is for segmentation. Expected classification, as the first. Average models of one "
        "task."
    )
    with pytest.raises(UsageError) as caught:
        Predictor(classifier(), ensemble=[classifier(classes=("cat", "dog", "emu"))])
    assert str(caught.value) == (
        "Model 2 of the ensemble has other classes than the first: only one of them has emu, owl. Expected the same "
        "classes, in any order. Average models that were trained for the same classes."
    )
    many = tuple(f"c{number:02}" for number in range(12))
    with pytest.raises(UsageError, match=r"only one of them has c00, .*c07 and 7 more\. Expected"):
        Predictor(classifier(), ensemble=[classifier(classes=many)])


def test_models_from_folders_that_do_not_agree_are_named(tmp_path):
    for name, model in (("a", classifier()), ("b", segmenter()), ("c", classifier(classes=("cat", "dog", "emu")))):
        save_model(tmp_path / name, model)
    with pytest.raises(UsageError) as caught:
        Predictor.load([tmp_path / "a", tmp_path / "b"])
    assert str(caught.value) == (
        f"{tmp_path}/b is for segmentation. Expected classification, as {tmp_path}/a. Average models of one task."
    )
    with pytest.raises(UsageError) as caught:
        Predictor.load([tmp_path / "a", tmp_path / "c"])
    assert str(caught.value) == (
        f"{tmp_path}/c has other classes than {tmp_path}/a: only one of them has emu, owl. Expected the same classes, "
        "in any order. Average models that were trained for the same classes."
    )


def test_runs_are_named_once(tmp_path):
    assert distinct_runs("a") == distinct_runs(["a"])
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for twice in (["a", "b", "a"], [tmp_path / "a", tmp_path / "link"]):
        with pytest.raises(UsageError, match=r"stands twice\. Expected different runs\. Name each run once"):
            distinct_runs(twice)
    with pytest.raises(UsageError, match=r"No run is named\. Expected one or more"):
        Predictor.load([])
    for given, shown in ((None, "None"), (3, "3"), (["a", None], "None")):
        with pytest.raises(UsageError) as caught:
            Predictor.load(given)
        assert str(caught.value) == (
            f"{shown} is no run. Expected the path of a run or of a model folder. Name the run."
        )

"""What a predictor says under a protocol is the mean of what the network says to the views."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import pixelwise.predict.stream as stream_module
from pixelwise import catalogue
from pixelwise.data.resample import resize_image
from pixelwise.errors import ImageError, SpecError, UsageError
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import Protocol
from pixelwise.runs.model import Model, save_model
from pixelwise.tasks import make_task
from small_models import classifier, preprocess, segmenter

RNG = np.random.default_rng(11)
CLASSES = ("cat", "dog", "owl")


def picture(height, width, channels=1):
    coarse = RNG.integers(0, 256, (6, 8, channels), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def residual(seed=0, classes=CLASSES, size=(32, 32), channels=1):
    """A ResNet of two stages, whose logits are the mean over the last map."""
    torch.manual_seed(seed)
    spec = catalogue.spec("resnet20_cifar").replace(depths=(1, 1), widths=(4, 8))
    task = make_task("classification", classes)
    network = spec.build(channels, task.num_outputs)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    with torch.no_grad():
        network.fc.weight.mul_(8)  # answers that differ from view to view, around even chances
        network.fc.bias.sub_(network.eval()(torch.randn(8, channels, 32, 32)).mean(0))
    return Model(network, spec, task, preprocess(channels, resize="stretch", size=size))


def under(model, text, batch_size=16):
    return Predictor(model, batch_size=batch_size, protocol=Protocol.parse(text))


def says(model, pixels, *, call=None):
    """The network's answer to an (H, W, C) picture of raw values, by hand."""
    p = model.preprocess
    scaled = (pixels.astype(np.float64) / 255 - np.array(p.mean)) / np.array(p.std)
    model.network.eval()
    with torch.inference_mode():
        return (call or model.network)(torch.from_numpy(scaled).float().permute(2, 0, 1)[None])[0]


@pytest.mark.parametrize("make", [classifier, residual])
def test_ten_crops_are_the_mean_of_ten_softmax_outputs(make):
    model = make()
    side = model.preprocess.size[0]
    image = picture(50, 70)
    square = round(side * 8 / 7)
    whole = resize_image(image, square, round(side * 8 / 7 * 70 / 50))
    middle, rest = (whole.shape[1] - square) // 2, square - side
    places = [(0, middle), (0, middle + rest), (rest, middle), (rest, middle + rest)]
    places.append((rest // 2, (whole.shape[1] - side) // 2))
    crops = [whole[top : top + side, left : left + side] for top, left in places]
    outputs = [torch.softmax(says(model, view), 0) for crop in crops for view in (crop, crop[:, ::-1].copy())]
    expected = torch.stack(outputs).mean(0).numpy()
    prediction = under(model, "10-crop").predict(image)
    assert np.allclose(prediction.probabilities, expected, atol=1e-5)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert not np.allclose(prediction.probabilities, Predictor(model).predict(image).probabilities, atol=1e-4)
    scores = [says(model, view) for crop in crops for view in (crop, crop[:, ::-1].copy())]
    averaged = under(model, "10-crop+logits").predict(image).probabilities
    assert np.allclose(averaged, torch.softmax(torch.stack(scores).mean(0), 0).numpy(), atol=1e-5)


@pytest.mark.parametrize("text", ["flip", "10-crop", "144-crop", "150-crop", "dense:40,48+flip", "flip+logits"])
def test_with_mirror_images_a_picture_and_its_mirror_image_have_the_same_answer(text):
    model = residual(size=(28, 28))
    image = picture(60, 90)  # resized to even widths, so that the centre is the centre from both sides
    straight, mirrored = (under(model, text).predict(one).probabilities for one in (image, image[:, ::-1]))
    assert np.allclose(straight, mirrored, atol=1e-4)
    plain = [Predictor(model).predict(one).probabilities for one in (image, image[:, ::-1])]
    assert not np.allclose(*plain, atol=1e-3)


def test_dense_answers_are_means_over_places_then_softmax_then_means_over_sizes_and_mirror_images():
    model = residual()
    image = picture(50, 70)
    outputs = []
    for short in (32, 48):
        whole = resize_image(image, short, round(short * 70 / 50))
        for view in (whole, whole[:, ::-1].copy()):
            scores = says(model, view, call=model.network.dense_logits)
            assert scores.shape == (3, short // 2, -(-whole.shape[1] // 2))
            assert torch.allclose(scores.mean((1, 2)), says(model, view), atol=1e-5)  # global mean: forward itself
            outputs.append(torch.softmax(scores.mean((1, 2)), 0))
    expected = torch.stack(outputs).mean(0).numpy()
    assert np.allclose(under(model, "dense:32,48+flip").predict(image).probabilities, expected, atol=1e-5)


def test_a_place_of_a_dense_answer_is_what_the_network_says_to_a_window_around_it():
    """Places whose field of view lies inside the window and the picture alike: no padding is seen from there."""
    model = residual()
    image = picture(64, 96)
    whole = says(model, image, call=model.network.dense_logits)  # one place for 2 x 2 pixels
    for top in range(0, 33, 8):
        for left in range(0, 65, 16):
            window = image[top : top + 32, left : left + 32]
            inside = says(model, window, call=model.network.dense_logits)[:, 6:10, 6:10]
            there = whole[:, top // 2 + 6 : top // 2 + 10, left // 2 + 6 : left // 2 + 10]
            assert torch.allclose(inside, there, atol=1e-4)


class Windows(nn.Module):
    """A network with a full connection over 6 x 6 pixels, which can be slid; the double of VGG's form."""

    auxiliary_heads = ()
    stages = (SimpleNamespace(stride=1),)

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.kernel = nn.Conv2d(1, 3, 6)

    def check_size(self, height, width):
        if (height, width) != (6, 6):
            raise SpecError(f"not {height} x {width}")

    def forward(self, x):
        return self.kernel(x)[:, :, 0, 0]

    def dense_logits(self, x):
        return self.kernel(x)


def test_a_full_connection_that_is_slid_gives_the_mean_over_all_windows():
    stand_in = classifier()
    model = Model(Windows(), stand_in.spec, stand_in.task, preprocess(resize="stretch", size=(6, 6)))
    image = picture(9, 12)
    windows = [image[top : top + 6, left : left + 6] for top in range(4) for left in range(7)]
    expected = torch.softmax(torch.stack([says(model, one) for one in windows]).mean(0), 0).numpy()
    assert np.allclose(under(model, "dense:9").predict(image).probabilities, expected, atol=1e-5)
    each = torch.stack([torch.softmax(says(model, one), 0) for one in windows]).mean(0).numpy()
    assert not np.allclose(each, expected, atol=1e-4)  # the softmax comes last


def test_a_network_that_cannot_be_slid_says_so():
    torch.manual_seed(0)
    spec = catalogue.spec("mlp_784_300_10")
    task = make_task("classification", CLASSES)
    model = Model(spec.build(1, 3), spec, task, preprocess(resize="stretch", size=(28, 28)))
    with pytest.raises(SpecError, match="cannot be slid over a picture"):
        under(model, "dense").predict(picture(40, 40))
    many = list(under(model, "centre+dense").attempt_many([Given(picture(40, 40)), Given(picture(9, 9))]))
    assert [type(one) for one in many] == [SpecError, SpecError]


class Given:
    """A source that counts how often it is read."""

    cells = None

    def __init__(self, image, name="given"):
        self.image, self.name, self.reads = image, name, 0

    def read(self):
        self.reads += 1
        if isinstance(self.image, Exception):
            raise self.image
        return self.image


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_batches_of_views_do_not_change_answers_and_stay_small(batch_size, monkeypatch):
    model = residual(size=(28, 28))
    images = [picture(*size) for size in [(40, 40), (30, 50), (28, 28), (64, 20)]]
    expected = [under(model, "10-crop+dense:32").predict(image).probabilities for image in images]
    sizes = []
    model.network.conv1.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    sources = [*map(Given, images[:2]), Given(ImageError("gone")), *map(Given, images[2:])]
    predictor = under(model, "10-crop+dense:32", batch_size)
    answers = list(predictor.attempt_many(sources))
    assert str(answers.pop(2)) == "gone."
    for answer, probabilities in zip(answers, expected, strict=True):
        assert np.allclose(answer.probabilities, probabilities, atol=1e-5)
    assert max(sizes) <= batch_size
    assert [source.reads for source in sources] == [1] * 5
    monkeypatch.setattr(stream_module, "BATCH_PIXELS", 2 * 28 * 28)
    sizes.clear()
    list(under(model, "10-crop", 100).predict_many(images))
    assert max(sizes) == 2


def test_the_answers_of_a_picture_come_as_soon_as_its_views_are_done():
    read = []

    def sources():
        for number in range(6):
            read.append(number)
            yield Given(picture(28, 28))

    stream = under(classifier(), "10-crop", batch_size=10).attempt_many(sources())
    for number in range(6):
        next(stream)
        assert read == list(range(number + 1))
    assert list(stream) == []


def test_a_view_that_the_network_cannot_take_fails_its_picture_alone():
    model = classifier()
    model.preprocess = preprocess()  # nothing is resized: small pictures stay too small
    tiny, fair = Given(picture(3, 3)), Given(picture(28, 28))
    answers = list(under(model, "10-crop", 4).attempt_many([fair, tiny, fair]))
    assert [type(answer) for answer in answers] == [type(answers[0]), SpecError, type(answers[0])]
    assert np.array_equal(answers[0].probabilities, answers[2].probabilities)


def test_pictures_too_small_for_a_network_of_any_size_are_told_so():
    spec, task = (
        catalogue.spec("resnet20_cifar").replace(depths=(1, 1, 1), widths=(4, 4, 4)),
        make_task("classification", ("a", "b")),
    )
    predictor = Predictor(Model(spec.build(1, 2), spec, task, preprocess()))
    with pytest.raises(
        SpecError, match=r"cannot take images of 3 x 3 pixels\. Expected at least 4 x 4\. Enlarge the images"
    ):
        predictor.predict(picture(3, 3))


def test_a_protocol_that_fits_no_picture_is_refused_when_the_model_is_loaded(tmp_path):
    with pytest.raises(UsageError, match=r"protocol corners:20: the picture, resized to 20 x 20\. Expected at least"):
        under(classifier(), "corners:20")
    save_model(tmp_path / "model", segmenter())
    with pytest.raises(UsageError, match="Leave corners out"):
        Predictor.load(tmp_path / "model", protocol="10-crop")
    with pytest.raises(UsageError, match="Did you mean centre"):
        Predictor.load(tmp_path / "model", protocol="center")
    assert Predictor.load(tmp_path / "model", protocol="flip").protocol == Protocol(flip=True)
    assert Predictor.load(tmp_path / "model", protocol=Protocol(flip=True)).protocol.flip


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("resize", ["none", "crop", "stretch"])
def test_mirror_images_of_a_segmentation_are_mirrored_back(padding, resize):
    model = segmenter(padding=padding, classes=("sky", "road", "car"))
    model.preprocess = preprocess(resize=resize, size=None if resize == "none" else (32, 40))
    image = picture(36, 45)
    straight, mirrored = (
        Predictor(model).predict(one, probabilities=True).probabilities for one in (image, image[:, ::-1].copy())
    )
    flipped = under(model, "flip").predict(image, probabilities=True)
    assert np.allclose(flipped.probabilities, (straight + mirrored[:, :, ::-1]) / 2, atol=1e-5)
    assert not np.allclose(flipped.probabilities, straight, atol=1e-3)
    seen = flipped.probabilities.sum(0) > 0.5
    assert np.array_equal(flipped.label_map[seen], flipped.probabilities.argmax(0)[seen])
    assert np.all(flipped.label_map[~seen] == 255)
    again = under(model, "flip").predict(image[:, ::-1].copy(), probabilities=True)
    if resize != "crop":  # an odd rest of a crop is not the same from both sides
        assert np.allclose(again.probabilities[:, :, ::-1], flipped.probabilities, atol=1e-5)


def test_logits_are_of_one_pass(tmp_path):
    image = picture(28, 28)
    for predictor in (under(classifier(), "flip"), Predictor(classifier(), ensemble=[classifier(1)])):
        with pytest.raises(UsageError, match="Load one run without a protocol, or ask for probabilities"):
            predictor.logits(image)


def test_where_memory_runs_out_dense_views_fail_with_a_reason():
    model = residual()
    dense = model.network.dense_logits

    def limited(x):
        if x.shape[-1] > 60:
            raise RuntimeError("DefaultCPUAllocator: not enough memory")
        return dense(x)

    model.network.dense_logits = limited
    assert under(model, "dense:50").predict(picture(20, 20)).label in CLASSES
    with pytest.raises(ImageError, match="not enough memory to predict 80 x 80 pixels at once"):
        under(model, "dense:50,80").predict(picture(20, 20))


def test_a_colour_photograph_of_another_shape_goes_through_every_protocol():
    model = residual(channels=3)
    image = cv2.resize(picture(12, 9, 3), (75, 100), interpolation=cv2.INTER_CUBIC)
    for text in ("centre", "flip", "10-crop", "144-crop", "150-crop", "dense", "multi-scale", "grid+dense:32,40+flip"):
        prediction = under(model, text).predict(image)
        assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert prediction.notes == ()

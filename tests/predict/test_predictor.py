"""What a predictor says is what the network says, for every size, batch and kind of picture."""

import numpy as np
import pytest
import torch
from PIL import Image

import pixelwise.predict.stream as stream_module
from pixelwise.data.writing import write_png, write_tiff
from pixelwise.errors import DeviceError, ImageError, SpecError, UsageError, WeightsError
from pixelwise.predict.prediction import ClassPrediction, MaskPrediction
from pixelwise.predict.predictor import Predictor
from pixelwise.runs.model import save_model
from small_models import classifier, preprocess, segmenter

RNG = np.random.default_rng(7)


def picture(height, width, channels=1, dtype=np.uint8, high=256):
    return RNG.integers(0, high, (height, width, channels)).astype(dtype)


def by_hand(model, image):
    """The network's logits for an (H, W, C) image, written out from the definition of the preprocessing."""
    p = model.preprocess
    scaled = (image.astype(np.float64) - p.low) / (p.high - p.low)
    x = torch.from_numpy((scaled - np.array(p.mean)) / np.array(p.std)).float().permute(2, 0, 1)[None]
    with torch.inference_mode():
        return model.network.eval()(x)[0]


def test_classification_equals_the_forward_pass_by_hand():
    model = classifier()
    image = picture(28, 28)
    predictor = Predictor(model)
    logits = by_hand(model, image)
    assert torch.allclose(predictor.logits(image), logits, atol=1e-5)
    prediction = predictor.predict(image)
    assert isinstance(prediction, ClassPrediction)
    expected = torch.softmax(logits, 0).numpy()
    assert np.allclose(prediction.probabilities, expected, atol=1e-6)
    assert np.array_equal(predictor.probabilities(image), prediction.probabilities)
    assert prediction.index == expected.argmax()
    assert prediction.label == model.task.classes[expected.argmax()]
    assert prediction.probability == pytest.approx(expected.max(), abs=1e-6)
    assert [name for name, _ in prediction.top5] == [model.task.classes[i] for i in np.argsort(-expected)]
    assert str(prediction).startswith(f"{prediction.label} {prediction.probability:.1%}, ")
    assert prediction.notes == ()


@pytest.mark.parametrize(
    ("classes", "form"), [(("background", "cell"), "sigmoid"), (("sky", "road", "car"), "softmax")]
)
@pytest.mark.parametrize("size", [(16, 16), (21, 35), (1, 1)])
def test_segmentation_equals_the_forward_pass_by_hand(classes, form, size):
    model = segmenter(classes=classes, channels=3)
    image = picture(*size, 3)
    predictor = Predictor(model)
    filled = [(0, side) for side in (np.array(model.network.filled_size(*size)) - size).tolist()]
    logits = by_hand(model, np.pad(image, (*filled, (0, 0)), mode="reflect"))[:, : size[0], : size[1]]
    assert torch.allclose(predictor.logits(image), logits, atol=1e-4)
    prediction = predictor.predict(image, probabilities=True)
    assert isinstance(prediction, MaskPrediction)
    if form == "sigmoid":
        one = torch.sigmoid(logits)
        expected = torch.cat([1 - one, one]).numpy()
    else:
        expected = torch.softmax(logits, 0).numpy()
    assert np.allclose(prediction.probabilities, expected, atol=1e-5)
    sure = np.sort(expected, axis=0)
    sure = sure[-1] - sure[-2] > 1e-4
    assert np.array_equal(prediction.label_map[sure], expected.argmax(0)[sure])
    assert prediction.label_map.dtype == np.uint8
    assert prediction.label_map.shape == size
    assert predictor.predict(image).probabilities is None
    assert sum(prediction.areas_px.values()) == size[0] * size[1]
    assert prediction.fractions[classes[0]] == pytest.approx((prediction.label_map == 0).mean())


def test_the_network_is_in_evaluation_mode_and_its_statistics_stay():
    model = segmenter(dropout="each", dropout_rate=0.9)
    model.network.train()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    predictor = Predictor(model)
    image = picture(32, 32)
    assert torch.equal(predictor.logits(image), predictor.logits(image))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())
    assert not predictor.logits(image).requires_grad


@pytest.mark.parametrize("make", [lambda: segmenter(channels=1), lambda: segmenter(padding="valid"), classifier])
def test_batches_and_order_do_not_change_the_answers(make, monkeypatch):
    sizes = [(24, 24), (24, 24), (17, 40), (24, 24), (9, 9), (17, 40), (24, 24)]
    images = [picture(*size) for size in sizes]
    single = [Predictor(make(), batch_size=1).predict(image, probabilities=True) for image in images]
    for batch_size in (1, 2, 3, 100):
        many = list(Predictor(make(), batch_size=batch_size).predict_many(images, probabilities=True))
        assert len(many) == len(images)
        for one, other in zip(single, many, strict=True):
            assert np.allclose(one.probabilities, other.probabilities, atol=1e-6)
    monkeypatch.setattr(stream_module, "BATCH_PIXELS", 24 * 24 + 1)
    many = list(Predictor(make(), batch_size=100).predict_many(images, probabilities=True))
    for one, other in zip(single, many, strict=True):
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-6)


def test_pictures_of_one_size_share_batches_and_no_more_than_a_batch_is_read_ahead():
    model = segmenter()
    shapes, read = [], []
    model.network.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))

    def images():
        for number in range(8):
            read.append(number)
            yield picture(8, 8 if number % 2 else 12)

    stream = Predictor(model, batch_size=4).predict_many(images())
    next(stream)
    assert read == [0, 1, 2, 3]
    assert shapes == [(2, 1, 8, 12), (2, 1, 8, 8)]
    assert len(list(stream)) == 7


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (40, 41), (64, 33), (97, 101)])
@pytest.mark.parametrize("widths", [(4, 8), (2, 4, 4, 8)])
def test_the_valid_unet_covers_every_size(size, widths):
    model = segmenter(padding="valid", widths=widths)
    prediction = Predictor(model).predict(picture(*size), probabilities=True)
    assert prediction.label_map.shape == size
    assert prediction.probabilities.shape == (2, *size)
    assert np.allclose(prediction.probabilities.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("widths", [(4, 8), (2, 4, 4, 8)])
def test_where_the_valid_unet_sees_only_the_picture_its_answer_is_that_of_a_direct_pass(widths):
    model = segmenter(padding="valid", widths=widths)
    network = model.network
    height, width = network.input_size_for(20, 33)
    image = picture(height, width)
    direct = by_hand(model, image)
    rows, columns = direct.shape[1:]
    top, left = (height - rows) // 2, (width - columns) // 2
    whole = Predictor(model).logits(image)
    assert whole.shape[1:] == (height, width)
    assert torch.allclose(whole[:, top : top + rows, left : left + columns], direct, atol=1e-4)
    assert not torch.allclose(whole[:, :rows, :columns], direct, atol=1e-2)


def test_the_border_of_the_valid_unet_is_a_mirror():
    model = segmenter(padding="valid")
    image = picture(60, 60)
    mirrored = np.pad(image, ((32, 32), (32, 32), (0, 0)), mode="reflect")  # a multiple of the stride
    predictor = Predictor(model)
    inside = predictor.logits(mirrored)[:, 32:-32, 32:-32]
    assert torch.allclose(predictor.logits(image), inside, atol=1e-4)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(50, 70), (10, 90), (20, 20)])
def test_resize_policies_are_undone_on_probabilities(resize, padding, size):
    model = segmenter(padding=padding)
    model.preprocess = preprocess(resize=resize, size=(32, 40))
    predictor = Predictor(model)
    image = picture(*size)
    assert predictor.logits(image).shape == (1, 32, 40)
    prediction = predictor.predict(image, probabilities=True)
    assert prediction.label_map.shape == size
    resized = model.preprocess.spatial(image)
    plain = segmenter(padding=padding)
    small = Predictor(plain).probabilities(resized)
    expected = model.preprocess.restore_size(small, *size)
    assert np.allclose(prediction.probabilities, expected, atol=1e-5)
    seen = prediction.probabilities.sum(0) > 0.5
    assert np.all(prediction.label_map[~seen] == 255)
    assert np.all(prediction.label_map[seen] == prediction.probabilities.argmax(0)[seen])
    if resize == "crop" and size != (32, 40):
        assert 0 < (~seen).sum() < seen.size
        assert "no class" in str(prediction)
    else:
        assert seen.all()
        assert "no class" not in str(prediction)


def test_a_network_that_copies_gives_the_picture_back_through_stretching():
    """Bright and dark halves stay where they are when the picture is squeezed and widened again."""
    model = segmenter()
    model.preprocess = preprocess(resize="stretch", size=(16, 16))

    model.network.forward = lambda x: 100 * x
    predictor = Predictor(model)
    image = np.zeros((40, 64, 1), np.uint8)
    image[:, 20:] = 255
    label_map = predictor.predict(image).label_map
    assert np.all(label_map[:, :18] == 0)
    assert np.all(label_map[:, 22:] == 1)


def test_16_bit_and_float_pictures_keep_their_values(tmp_path):
    model = segmenter()
    model.preprocess = preprocess(low=100.0, high=4000.0)
    image = picture(20, 30, dtype=np.uint16, high=4096)
    write_png(tmp_path / "a.png", image)
    write_tiff(tmp_path / "a.tif", image.astype(np.float32))
    predictor = Predictor(model)
    expected = by_hand(model, image)
    for given in (image, image[:, :, 0], image.astype(np.float64), tmp_path / "a.png", str(tmp_path / "a.tif")):
        assert torch.allclose(predictor.logits(given), expected, atol=1e-4)


def test_an_exif_picture_is_predicted_as_it_is_shown(tmp_path):
    image = picture(20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    Image.fromarray(image[:, :, 0]).save(tmp_path / "turned.png", exif=exif)
    predictor = Predictor(segmenter())
    prediction = predictor.predict(tmp_path / "turned.png")
    shown = np.ascontiguousarray(np.rot90(image, -1))
    assert prediction.label_map.shape == (30, 20)
    assert np.array_equal(prediction.label_map, predictor.predict(shown).label_map)


def test_pages_are_chosen_by_number(tmp_path):
    pages = [picture(16, 20)[:, :, 0] for _ in range(3)]
    Image.fromarray(pages[0]).save(
        tmp_path / "stack.tif", save_all=True, append_images=[Image.fromarray(page) for page in pages[1:]]
    )
    predictor = Predictor(segmenter())
    with pytest.raises(ImageError, match=r"stack\.tif holds 3 frames\. Expected one picture"):
        predictor.predict(tmp_path / "stack.tif")
    for number, page in enumerate(pages):
        expected = predictor.predict(page)
        assert np.array_equal(predictor.predict(tmp_path / "stack.tif", frame=number).label_map, expected.label_map)
    assert torch.equal(predictor.logits(tmp_path / "stack.tif", frame=1), predictor.logits(pages[1]))
    one = predictor.probabilities(tmp_path / "stack.tif", frame=2)
    assert np.array_equal(one, predictor.probabilities(pages[2]))


def test_the_first_bad_picture_stops_a_list(tmp_path):
    stream = Predictor(segmenter(), batch_size=1).predict_many([picture(8, 8), tmp_path / "none.png"])
    assert next(stream).label_map.shape == (8, 8)
    with pytest.raises(ImageError, match=r"none\.png does not exist"):
        next(stream)


def test_a_picture_that_is_too_small_for_the_network_says_so():
    model = classifier()
    model.preprocess = preprocess()
    with pytest.raises(SpecError, match="lenet5_relu"):
        Predictor(model).predict(picture(3, 3))


def test_an_answer_that_is_not_finite_is_not_believed():
    model = segmenter()
    with torch.no_grad():
        model.network.out.bias.fill_(float("nan"))
    with pytest.raises(ImageError) as caught:
        Predictor(model).predict(picture(8, 8))
    assert str(caught.value) == (
        "The array: the network's answer holds NaN or infinity. Expected finite numbers. "
        "Look at the picture's values, and at the model's scores."
    )


def memory_for(network, pixels):
    """Make a network that runs out of memory above so many pixels in one batch."""
    forward = network.forward

    def limited(x):
        if x.shape[0] * x.shape[2] * x.shape[3] > pixels:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory")
        return forward(x)

    network.forward = limited


def test_where_memory_runs_out_batches_are_halved_and_only_what_never_fits_fails():
    model = segmenter()
    images = [picture(16, 16) for _ in range(5)]
    expected = [Predictor(model).predict(image).label_map for image in images]
    memory_for(model.network, 2 * 16 * 16)
    many = list(Predictor(model).predict_many(images))
    assert all(np.array_equal(one.label_map, label_map) for one, label_map in zip(many, expected, strict=True))
    with pytest.raises(ImageError) as caught:
        Predictor(model).predict(picture(30, 30))
    assert str(caught.value) == (
        "The array: there is not enough memory to predict 30 x 30 pixels at once. "
        "Say how much memory there is for it (memory), or cut the picture into smaller ones."
    )


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_every_kind_of_missing_memory_is_known(error):
    model = segmenter()

    def fail(x):
        raise error

    model.network.forward = fail
    with pytest.raises(ImageError, match="not enough memory"):
        Predictor(model).predict(picture(8, 8))


def test_other_faults_of_the_network_are_not_hidden():
    model = segmenter()

    def fail(x):
        raise RuntimeError("a fault in the program")

    model.network.forward = fail
    with pytest.raises(RuntimeError, match="a fault in the program"):
        Predictor(model).predict(picture(8, 8))


def test_loading_by_path_and_bad_arguments(tmp_path, monkeypatch):
    model = segmenter()
    save_model(tmp_path / "run" / "model", model)
    image = picture(12, 14)
    predictor = Predictor.load(tmp_path / "run", batch_size=2)
    assert predictor.batch_size == 2
    assert predictor.classes == ("background", "cell")
    assert torch.equal(predictor.logits(image), Predictor(model).logits(image))
    with pytest.raises(UsageError, match=r"batch_size=0\. Expected at least 1"):
        Predictor(model, batch_size=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError):
        Predictor(model, "cuda")
    (tmp_path / "run" / "model" / "model.json").unlink()
    with pytest.raises(WeightsError, match="without their preprocessing"):
        Predictor.load(tmp_path / "run" / "model")

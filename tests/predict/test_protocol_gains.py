"""On real pictures and published weights, mirror images, sizes and a second network make answers better."""

import numpy as np
import pytest

from pixelwise import catalogue
from pixelwise.data.preprocess import Preprocess
from pixelwise.predict.predictor import Predictor
from pixelwise.predict.protocols import Protocol
from pixelwise.runs.model import Model
from pixelwise.tasks import make_task

COUNT = 2000


@pytest.mark.slow
def test_mirror_images_and_a_second_network_help_the_published_cifar_networks(data_folder):
    batch = data_folder / "cifar10" / "cifar-10-batches-bin" / "test_batch.bin"
    found = {
        depth: sorted((data_folder / "weights" / "resnet_cifar10").glob(f"resnet{depth}-*.th")) for depth in (20, 56)
    }
    if not batch.is_file() or not all(found.values()):
        pytest.skip(f"{data_folder} lacks weights/resnet_cifar10/resnet20-*.th, resnet56-*.th or {batch.name}")
    rows = np.fromfile(batch, np.uint8).reshape(-1, 3073)[:COUNT]
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    preprocess = Preprocess(channels=3, low=0, high=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

    def model(depth):
        name = f"resnet{depth}_cifar"
        network = catalogue.create(name, in_channels=3, num_classes=10, weights=found[depth][0])
        return Model(network, catalogue.spec(name), make_task("classification", tuple("abcdefghij")), preprocess)

    def top1(text, *models):
        first, *others = models
        predictor = Predictor(first, batch_size=64, protocol=Protocol.parse(text), ensemble=others)
        predicted = np.array([one.index for one in predictor.predict_many(list(images))])
        return float((predicted == rows[:, 0]).mean())

    plain = top1("centre", model(20))
    assert plain == pytest.approx(0.9165, abs=0.0006)
    assert top1("flip", model(20)) >= plain + 0.005
    assert top1("dense:32,36+flip", model(20)) > plain
    assert top1("centre", model(20), model(56)) >= max(plain, top1("centre", model(56))) + 0.001

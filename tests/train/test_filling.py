"""Nothing that a network computes of a picture goes unsupervised, and prediction shows it what training did.

A network that fills pictures up to its stride learns nothing about its own filling. On a picture that needs none, the
places beside the padding of its convolutions would then say anything: a strip of objects along the edges.
"""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pixelwise import catalogue
from pixelwise.data.dataset import Dataset
from pixelwise.data.label_planes import CLASS, OBJECT, WEIGHT
from pixelwise.data.manifest import build_manifest
from pixelwise.data.masks import IGNORE
from pixelwise.data.preprocess import Preprocess
from pixelwise.predict.placement import place
from pixelwise.training.recipe import Recipe
from pixelwise.training.sample_sets import make_sample_sets
from pixelwise.training.settle import build_on_meta, settle_recipe, sizes
from pixelwise.training.settle_volumes import validated_windows

GREY = Preprocess(channels=1, low=0, high=255, mean=(0.5,), std=(0.25,))
SIZE = (21, 19)
FILLING = {
    "unet16": {"widths": (4, 8, 16)},
    "enet": {},
    "unet_resnet18": {},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pictures of 21 x 19 pixels with two touching objects, one of them cut by the lower edge."""
    root = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros(SIZE, np.uint16)
            mask[8:14, 4:9], mask[14:, 5:12] = 1, 2
            cv2.imwrite(str(root / "masks" / split / f"{number}.png"), mask)
            cv2.imwrite(str(root / "images" / split / f"{number}.png"), rng.integers(0, 256, SIZE, dtype=np.uint8))
    (root / "classes.txt").write_text("background\ncell\n")
    return root


def sets(data, network, task, **fields):
    manifest = build_manifest(data, task=task, mask_kind="instance", use_cache=False)
    network = build_on_meta(network.spec, 1, 3)
    recipe = settle_recipe(Recipe(**{"augment": "cells", **fields}), manifest, network, is_batch_open=True)
    found = sizes(recipe, manifest, network)
    made = make_sample_sets(
        manifest, data, GREY, recipe, network=network, found=found, seed=0, is_weighed=task == "instances"
    )
    return found, *made


@pytest.mark.parametrize("name", FILLING)
def test_networks_say_how_far_they_fill_pictures_up(name):
    torch.manual_seed(0)
    network = catalogue.spec(name).replace(**FILLING[name]).build(3, 2).eval()
    x = torch.randn(1, 3, 45, 38)
    height, width = network.filled_size(45, 38)
    assert (height, width) != (45, 38)
    assert network.filled_size(height, width) == (height, width)
    with torch.inference_mode():
        filled = network(F.pad(x, (0, width - 38, 0, height - 45)))[..., :45, :38]
        torch.testing.assert_close(network(x), filled, rtol=1e-4, atol=1e-5)
        less = height - network.fills_to + 1  # the next multiple is needed, not one before it
        assert network.filled_size(less, width)[0] == height


def test_networks_without_padding_fill_nothing():
    assert catalogue.spec("unet").build(1, 2).filled_size(45, 38) == (45, 38)
    assert catalogue.spec("lenet5").build(1, 2).fills_to == 1


@pytest.mark.parametrize("task", ["segmentation", "instances"])
@pytest.mark.parametrize("fields", [{}, {"crop": (14, 14)}, {"augment": "none"}], ids=str)
def test_every_output_of_the_training_pictures_is_supervised(data, task, fields):
    network = catalogue.spec("unet16").replace(widths=(4, 8, 16)).build(1, 3)
    found, trained, _ = sets(data, network, task, **fields)
    assert found.train == ((16, 16) if "crop" in fields else (24, 20))
    images, targets, _ = trained.arrays(np.arange(3), 0)
    computed = []
    network.out.register_forward_hook(lambda _module, _arguments, output: computed.append(output.shape[2:]))
    network(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    assert computed == [images.shape[1:3]] == [targets.shape[-2:]]
    classes = targets[:, CLASS] if task == "instances" else targets
    assert (classes != IGNORE).all()
    if task == "instances":
        assert (targets[:, WEIGHT] > 0).all()
        assert set(np.unique(targets[:, OBJECT])) == {0, 1, 2}


def test_what_is_filled_up_is_the_mirror_image_in_picture_and_labels_alike(data):
    network = catalogue.spec("unet16").replace(widths=(4, 8, 16)).build(1, 3)
    _, trained, _ = sets(data, network, "segmentation", augment="none")
    image, labels = trained.sample(0, 0)
    whole, own = trained.stored(0)
    above, left = (24 - 21) // 2, (20 - 19) // 2
    around = ((above, 3 - above), (left, 1 - left))
    np.testing.assert_array_equal(image, np.pad(whole, (*around, (0, 0)), mode="reflect"))
    np.testing.assert_array_equal(labels, np.pad(own, around, mode="reflect"))


@pytest.mark.parametrize("task", ["segmentation", "instances"])
def test_validation_sees_what_prediction_does_and_counts_the_picture_alone(data, task):
    network = catalogue.spec("unet16").replace(widths=(4, 8, 16)).build(1, 3)
    _, _, held_out = sets(data, network, task)
    images, targets, _ = held_out.arrays(np.arange(2), 0)
    whole, own = held_out.stored(0)
    np.testing.assert_array_equal(images[0], place(network, *SIZE).surround(whole))
    classes = targets[:, CLASS] if task == "instances" else targets
    assert (classes[:, :21, :19] != IGNORE).all()
    assert (classes == IGNORE).sum() == 2 * (24 * 20 - 21 * 19)
    if task == "instances":
        np.testing.assert_array_equal(targets[0, :, :21, :19], own.transpose(2, 0, 1))
        assert targets[0, OBJECT, 21:].any()  # the object at the edge goes on: no rim along it
        assert (targets[:, WEIGHT][classes == IGNORE] == 0).all()


def test_predictions_are_those_of_the_picture_with_its_mirror_image():
    network = catalogue.spec("unet16").replace(widths=(4, 8, 16)).build(1, 2)
    placement = place(network, 21, 19)
    assert (placement.before, placement.after, placement.start) == ((0, 0), (3, 1), (0, 0))
    assert place(network, 24, 20).after == (0, 0)
    volumes = catalogue.spec("unet3d16").replace(widths=(4, 8)).build(1, 2)
    assert place(volumes, 5, 6, 7).after == (1, 0, 1)


def test_patches_of_volumes_are_filled_up_before_the_network_does_it():
    network = catalogue.spec("unet3d16").replace(widths=(4, 8)).build(1, 2)
    assert network.filled_size(7, 8, 9) == (8, 8, 10)
    manifest = SimpleNamespace(sizes=lambda: np.array([[7, 8, 9], [4, 5, 200]]))
    starts, found = validated_windows(manifest, np.arange(2), None, network)
    assert found.tolist() == [[8, 8, 10], [4, 6, 128]]
    assert starts.tolist() == [[0, 0, 0], [0, 0, 36]]  # what is filled up lies behind


def test_whether_anything_is_filled_up_is_asked_once(data, monkeypatch):
    """And not of every sample for every batch."""
    network = catalogue.spec("unet16").replace(widths=(4, 8, 16)).build(1, 3)
    _, _, held_out = sets(data, network, "segmentation")
    asked, whole = [], Dataset._stored_sizes
    monkeypatch.setattr(Dataset, "_stored_sizes", lambda self: asked.append(1) or whole(self))
    for _ in range(3):
        assert held_out.arrays(np.arange(2), 0)[0].shape == (2, 24, 20, 1)
    assert len(asked) <= 1

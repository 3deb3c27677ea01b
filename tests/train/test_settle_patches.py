"""How many crops of each picture, and whether they can be aimed: settled before a run, or refused."""

import dataclasses

import cv2
import numpy as np
import pytest

from pixelwise import catalogue
from pixelwise.data.manifest import build_manifest
from pixelwise.errors import RecipeError
from pixelwise.training import settle_patches as module
from pixelwise.training.recipe import Recipe
from pixelwise.training.settle import build_on_meta, settle_recipe, sizes
from pixelwise.training.settle_patches import MOST_PATCHES, settle_patches


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for k in range(count):
            for kind, most in (("images", 256), ("masks", 2)):
                path = root / split / kind / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), rng.integers(0, most, (60, 80)).astype(np.uint8))
    return build_manifest(root, use_cache=False)


def test_patches_are_one_unless_pictures_are_large(manifest, monkeypatch):
    recipe = Recipe(crop=(20, 24))
    assert settle_patches(recipe, manifest).patches == 1
    assert settle_patches(dataclasses.replace(recipe, patches=5), manifest).patches == 5
    monkeypatch.setattr(module, "LARGE_PIXELS", 4000)
    assert settle_patches(recipe, manifest).patches == 10  # 60 * 80 / (20 * 24)
    assert settle_patches(dataclasses.replace(recipe, crop=(2, 2)), manifest).patches == MOST_PATCHES
    assert settle_patches(dataclasses.replace(recipe, crop=None), manifest).patches == 1


def test_patches_count_as_samples_of_an_epoch(manifest):
    network = build_on_meta(catalogue.spec("unet16").replace(widths=(4, 8)), 1, 1)
    one, eight = (
        settle_recipe(Recipe(crop=(16, 16), patches=count), manifest, network, is_batch_open=True) for count in (1, 8)
    )
    assert (one.batch_size, eight.batch_size) == (1, 4)  # so that an epoch has 12 steps
    assert one.epochs == 167
    assert eight.epochs == 84


def test_large_pictures_are_validated_in_crops(manifest, monkeypatch):
    network = build_on_meta(catalogue.spec("unet16").replace(widths=(4, 8)), 1, 1)
    recipe = Recipe(crop=(16, 24), resize="none", patches=2)
    assert sizes(recipe, manifest, network).val_crop is None
    monkeypatch.setattr(module, "LARGE_PIXELS", 4000)
    assert sizes(recipe, manifest, network).val_crop == (16, 24)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            Recipe(patches=4),
            "recipe: patches=4 for whole pictures. Expected crops that can lie here or there. Add for example --set "
            "crop=256, or leave patches out.",
        ),
        (
            Recipe(foreground=0.5),
            "recipe: foreground=0.5 for whole pictures. Expected crops that can lie here or there. Add for example "
            "--set crop=256, or leave foreground out.",
        ),
        (
            Recipe(foreground=0.5, crop=(9, 9), augment="photographs"),
            "recipe: foreground=0.5 with augment=photographs. Expected crops of one size, and this augmentation draws "
            "windows by their area. Choose another augmentation, such as cells, or leave foreground out.",
        ),
    ],
)
def test_crops_that_cannot_be_placed_are_refused(manifest, recipe, message):
    with pytest.raises(RecipeError) as caught:
        settle_patches(recipe, manifest)
    assert str(caught.value) == message


def test_pictures_without_masks_have_no_foreground(tmp_path):
    for name in "abab":
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"{len(list(folder.iterdir()))}.png"), np.full((9, 9), ord(name), np.uint8))
    with pytest.raises(RecipeError) as caught:
        settle_patches(Recipe(crop=(4, 4), foreground=0.5), build_manifest(tmp_path, use_cache=False))
    assert str(caught.value) == (
        "recipe: foreground=0.5 for classification. Expected masks, which say where the foreground is. Leave "
        "foreground out."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"foreground": "1.5"}, "recipe: foreground=1.5. Expected a probability from 0 to 1. Correct the value."),
        ({"patches": "0"}, "recipe: patches=0. Expected at least 1. Correct the value."),
    ],
)
def test_values_out_of_range(settings, message):
    with pytest.raises(RecipeError) as caught:
        Recipe().override(settings)
    assert str(caught.value) == message

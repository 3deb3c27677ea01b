"""What a recipe leaves open, settled from the data; and the early refusals."""

import cv2
import numpy as np
import pytest
import torch

from pixelwise import catalogue
from pixelwise.analysis import training_memory
from pixelwise.data.colour import are_coloured
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError, RecipeError, SpecError, TrainingError
from pixelwise.networks.classification.nin import NINSpec
from pixelwise.training import start
from pixelwise.training.device import settle_precision
from pixelwise.training.recipe import Recipe
from pixelwise.training.settle import (
    build_on_meta,
    is_wide,
    largest_batch,
    settle_channels,
    settle_recipe,
    sizes,
    split_counts,
    val_batch_size,
)
from pixelwise.training.settle_batch import fewest_together
from pixelwise.training.source import DataOptions, index_source
from pixelwise.training.start import choose_spec, default_network, fit_to_memory


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pictures(root, sizes, channels=1):
    rng = np.random.default_rng(0)
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number, (height, width) in enumerate(sizes):
            shape = (height, width) if channels == 1 else (height, width, channels)
            cv2.imwrite(str(root / label / f"{number}.png"), rng.integers(0, 256, shape, dtype=np.uint8))
    return index_source(root, DataOptions(), seed=0)


def cells(root, sizes):
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, (height, width) in enumerate(sizes):
        cv2.imwrite(str(root / "images" / f"{number}.png"), rng.integers(0, 256, (height, width), dtype=np.uint8))
        mask = np.zeros((height, width), np.uint8)
        mask[: height // 2] = 1
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)
    return index_source(root, DataOptions(), seed=0)


def coloured(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def grey_as_rgb(seed):
    grey = np.random.default_rng(seed).integers(0, 240, (32, 32, 1), dtype=np.uint8)
    return grey + np.array([0, 5, 10], np.uint8)  # not quite equal, as of a lossy file


def settle(manifest, name, is_batch_open=True, **fields):
    network = build_on_meta(catalogue.spec(name), 1, 2)
    recipe = settle_recipe(Recipe(**fields), manifest, network, is_batch_open=is_batch_open)
    return recipe, sizes(recipe, manifest, network)


@pytest.mark.parametrize(
    ("count", "by_pixel", "volumes", "others"), [(7, 1, 1, 1), (24, 4, 6, 6), (60, 4, 15, 15), (90, 5, 22, 22)]
)
def test_networks_for_pixels_get_more_steps_from_few_pictures(count, by_pixel, volumes, others):
    names = {"unet16": by_pixel, "unet3d16": volumes, "lenet5_relu": others}
    assert {name: largest_batch(count, catalogue.spec(name)) for name in names} == names


def test_small_data_get_more_epochs_and_smaller_batches(tmp_path):
    manifest = pictures(tmp_path / "d", [(28, 28)] * 20)
    assert split_counts(manifest) == {"train": 32, "val": 4, "test": 4}
    recipe, _ = settle(manifest, "lenet5_relu", batch_size=64)
    assert (recipe.batch_size, recipe.epochs, recipe.augment) == (8, 250, "digits")
    recipe, _ = settle(manifest, "lenet5_relu", is_batch_open=False, batch_size=64, epochs=3)
    assert (recipe.batch_size, recipe.epochs) == (32, 3)


@pytest.mark.parametrize(
    ("name", "picture", "size"),
    [
        ("lenet5_relu", (28, 28), None),
        ("lenet5_relu", (40, 30), (28, 28)),
        ("resnet18", (64, 96), None),
        ("resnet18", (900, 800), (224, 224)),
        ("resnet20_cifar", (900, 800), (32, 32)),
    ],
)
def test_classified_pictures_keep_their_size_or_take_the_networks(tmp_path, name, picture, size):
    manifest = pictures(tmp_path / "d", [picture] * 5)
    recipe, found = settle(manifest, name)
    assert (recipe.size, recipe.resize) == (size, "none" if size is None else "stretch")
    assert found.train == (size or picture)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        (catalogue.spec("inception_v3_aux").replace(dropout=0.3), (299, 299)),
        (catalogue.spec("nin_cifar").replace(image_size=(20, 24), head="full"), (20, 24)),
        (catalogue.spec("nin_cifar").replace(strides=(4, 4, 4)), (224, 224)),
        (NINSpec(name="mine", strides=(4, 4, 4)), (224, 224)),
    ],
    ids=["of its row", "of its own", "of its row too small", "of no row"],
)
def test_changed_networks_take_the_size_of_their_row_while_it_is_legal(tmp_path, spec, size):
    network = build_on_meta(spec, 1, 2)
    recipe = settle_recipe(Recipe(), pictures(tmp_path / "d", [(28, 28)] * 5), network, is_batch_open=True)
    assert (recipe.resize, recipe.size) == ("stretch", size)


def test_unequal_pictures_are_resized_unless_that_is_forbidden(tmp_path):
    manifest = pictures(tmp_path / "d", [(64, 64), (64, 80)] * 3)
    recipe, found = settle(manifest, "resnet18")
    assert (recipe.size, recipe.augment, found.picture) == ((224, 224), "objects", (224, 224))
    recipe, _ = settle(manifest, "resnet18", size=(48, 48), resize="pad")
    assert (recipe.size, recipe.resize) == ((48, 48), "pad")
    with pytest.raises(SpecError) as caught:
        settle(manifest, "resnet18", resize="none")
    assert str(caught.value) == (
        "The pictures differ in size, and neither size nor crop is given. Expected one size for all pictures of a"
        " batch."
        " Use --set size=224 to resize them or --set crop=224 to cut pieces out of them."
    )
    recipe, found = settle(manifest, "resnet18", resize="none", crop=(32, 32))
    assert found.train == (32, 32)


@pytest.mark.parametrize(
    ("pictures", "augment"),
    [
        ([coloured(n) for n in range(6)], "scenes"),
        ([grey_as_rgb(n) for n in range(6)], "cells"),
        ([grey_as_rgb(n)[..., 0] for n in range(6)], "cells"),
        ([coloured(0), *(grey_as_rgb(n) for n in range(5))], "cells"),
    ],
)
def test_only_photographs_in_colour_keep_their_up_and_down(tmp_path, pictures, augment):
    """Six grey pictures of which one carries colours are still grey; street scenes were turned upside down."""
    for folder in ("images", "masks"):
        (tmp_path / "d" / folder / "train").mkdir(parents=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / "d" / "images" / "train" / f"{number}.png"), picture)
        mask = np.zeros(picture.shape[:2], np.uint8)
        mask[:8] = 1
        cv2.imwrite(str(tmp_path / "d" / "masks" / "train" / f"{number}.png"), mask)
    manifest = index_source(tmp_path / "d", DataOptions(), seed=0)
    reader, indices = SampleReader(tmp_path / "d", manifest), np.arange(6)
    recipe = settle_recipe(
        Recipe(), manifest, build_on_meta(catalogue.spec("unet16"), 3, 2), is_batch_open=True,
        shows_colours=lambda: are_coloured(reader, indices),
    )  # fmt: skip
    assert recipe.augment == augment


def test_masks_are_cropped_and_never_resized_unless_asked(tmp_path):
    equal = cells(tmp_path / "equal", [(96, 64)] * 6)
    recipe, found = settle(equal, "unet16")
    assert (recipe.crop, recipe.resize, recipe.augment) == (None, "none", "cells")
    assert (found.train, found.val_crop, val_batch_size(recipe, found)) == ((96, 64), None, 2)
    recipe, _ = settle(equal, "unet16", size=(32, 32))
    assert recipe.resize == "stretch"
    unequal = cells(tmp_path / "unequal", [(300, 200), (280, 400)] * 3)
    recipe, found = settle(unequal, "unet16")
    assert recipe.crop == (256, 200)
    assert val_batch_size(recipe, found) == 1
    large = cells(tmp_path / "large", [(600, 500)] * 6)
    assert settle(large, "unet16")[0].crop == (256, 256)


def test_a_valid_unet_gets_a_crop_whose_output_covers_the_default(tmp_path):
    manifest = cells(tmp_path / "d", [(300, 280)] * 6)
    recipe, found = settle(manifest, "unet")
    network = build_on_meta(catalogue.spec("unet"), 1, 2)
    assert recipe.crop == network.input_size_for(256, 256)
    assert found.val_crop == recipe.crop
    with pytest.raises(SpecError, match="unet cannot take images of 200 x 200 pixels"):
        settle(manifest, "unet", crop=(200, 200))


def test_a_picture_too_small_for_the_network_is_refused(tmp_path):
    manifest = pictures(tmp_path / "d", [(28, 28)] * 5)
    with pytest.raises(SpecError, match="lenet5_relu cannot take images of 20 x 20 pixels"):
        settle(manifest, "lenet5_relu", crop=(20, 20))


def test_channels(tmp_path):
    grey = pictures(tmp_path / "grey", [(28, 28)] * 5)
    assert settle_channels(grey) == 1
    colour = pictures(tmp_path / "colour", [(28, 28)] * 5, channels=3)
    assert settle_channels(colour) == 3

    class Mixed:
        def column(self, name):
            return np.array([1, 4, 4])

    with pytest.raises(DataError) as caught:
        settle_channels(Mixed())
    assert str(caught.value) == (
        "The pictures have 1 and 4 channels. Expected one number of channels, or grey (1) and colour (3) mixed."
        " Convert the odd ones; `pixelwise check` lists them."
    )


def test_default_networks(tmp_path):
    assert default_network(cells(tmp_path / "a", [(64, 64)] * 4)) == "unet16"
    assert default_network(pictures(tmp_path / "b", [(64, 64)] * 4)) == "resnet20_cifar"
    assert default_network(pictures(tmp_path / "c", [(64, 65)] * 4)) == "resnet18"


def test_settings_go_to_the_recipe_or_to_the_network():
    spec, recipe = choose_spec("unet", Recipe(), {"padding": "same", "epochs": "3", "widths": "8,16"})
    assert (spec.padding, spec.widths, recipe.epochs) == ("same", (8, 16), 3)
    with pytest.raises(RecipeError) as caught:
        choose_spec("unet", Recipe(), {"paddin": "same"})
    assert str(caught.value) == "neither the recipe nor unet has a field 'paddin'. Did you mean padding or spacing?"


def test_a_batch_that_does_not_fit_is_taken_in_parts(monkeypatch):
    network = build_on_meta(catalogue.spec("lenet5_relu"), 1, 10)
    recipe = Recipe(batch_size=32, accumulate=2)
    asked = []

    def suggest(network, size, free, *, optimiser):
        asked.append(optimiser)
        return 10

    monkeypatch.setattr("pixelwise.training.start.suggest_batch_size", suggest)
    for name in ("rmsprop", "nesterov"):
        fit_to_memory(Recipe(optimiser=name), network, (28, 28), torch.device("cpu"))
    assert asked == ["rmsprop", "nesterov"]
    parts = fit_to_memory(recipe, network, (28, 28), torch.device("cpu"))
    assert (parts.batch_size, parts.accumulate) == (8, 8)
    monkeypatch.setattr("pixelwise.training.start.suggest_batch_size", lambda *arguments, **keywords: 99)
    assert fit_to_memory(recipe, network, (28, 28), torch.device("cpu")) is recipe


def test_bfloat16_is_chosen_where_it_pays(tmp_path, monkeypatch):
    flags = {"value": frozenset({"amx_bf16"})}
    monkeypatch.setattr("pixelwise.training.device.cpu_flags", lambda: flags["value"])
    cpu = torch.device("cpu")
    assert settle_precision("auto", cpu, is_wide=True) == "bfloat16"
    assert settle_precision("auto", cpu, is_wide=False) == "float32"
    assert settle_precision("float32", cpu, is_wide=True) == "float32"
    flags["value"] = frozenset({"avx512_bf16"})
    assert settle_precision("auto", cpu, is_wide=True) == "float32"
    digits, maps = pictures(tmp_path / "d", [(28, 28)] * 5), cells(tmp_path / "c", [(64, 64)] * 6)
    assert not is_wide(build_on_meta(catalogue.spec("lenet5_relu"), 1, 10), settle(digits, "lenet5_relu")[1])
    assert is_wide(build_on_meta(catalogue.spec("unet16"), 1, 2), settle(maps, "unet16")[1])


@pytest.mark.parametrize(
    "setting", [{"normalise": "picture"}, {"normalise": "picture", "clip": "1,99"}, {"spacing": "1,1,1"}]
)
def test_what_only_volumes_have(tmp_path, setting):
    manifest = pictures(tmp_path / "d", [(32, 32)] * 6)
    with pytest.raises(RecipeError, match="normalise=picture, clip or spacing for pictures"):
        settle_recipe(
            Recipe().override(setting), manifest, build_on_meta(catalogue.spec("lenet5_relu"), 1, 2), is_batch_open=True
        )


@pytest.mark.parametrize(("name", "least"), [("tv_deeplabv3_resnet50", 2), ("unet16", 1), ("fcn_resnet50", 1)])
def test_networks_that_pool_the_whole_picture_get_two_of_them(tmp_path, name, least):
    manifest = cells(tmp_path / "cells", [(64, 64)] * 6)  # four to train on: a quarter of them is one
    assert settle(manifest, name)[0].batch_size == least
    network = build_on_meta(catalogue.spec(name), 1, 2)
    assert fewest_together(network, (64, 64)) == least


def test_a_batch_of_one_that_cannot_be_trained_on_is_refused(tmp_path):
    manifest = cells(tmp_path / "cells", [(64, 64)] * 6)
    with pytest.raises(RecipeError, match=r"^tv_deeplabv3_resnet50 with a batch of one picture\..* Use --batch 2, or"):
        settle(manifest, "tv_deeplabv3_resnet50", is_batch_open=False, batch_size=1)


def test_dividing_a_batch_for_memory_leaves_two_pictures(monkeypatch):
    for name, batch, expected in (("tv_deeplabv3_resnet50", 8, (2, 4)), ("unet16", 8, (1, 8))):
        network = build_on_meta(catalogue.spec(name), 1, 2)
        one = training_memory(network, (expected[0], 1, 64, 64), optimiser="adamw")
        monkeypatch.setattr(start, "free_memory_bytes", lambda _, one=one: one)  # hardly enough
        recipe = fit_to_memory(Recipe(batch_size=batch), network, (64, 64), torch.device("cpu"))
        assert (recipe.batch_size, recipe.accumulate) == expected


def test_what_cannot_fit_into_memory_is_refused_before_it_is_tried(monkeypatch):
    monkeypatch.setattr(start, "free_memory_bytes", lambda _: 8 * 2**30)
    network = build_on_meta(catalogue.spec("unet3d16"), 1, 2)
    with pytest.raises(TrainingError) as caught:
        fit_to_memory(Recipe(batch_size=1), network, (512, 512, 512), torch.device("cpu"))
    assert str(caught.value) == (
        "Out of memory with a batch of 1 patch of 512x512x512 voxels, which takes 120.1 GB or more. Train on smaller "
        "crops (--set crop=256,256,256) or a narrower network."
    )


def test_what_the_kernel_would_kill_is_refused(monkeypatch):
    """A computer promises more memory than it has: what a GPU is let try took all of it, and was killed."""
    network, cpu, gpu = build_on_meta(catalogue.spec("unet16"), 1, 2), torch.device("cpu"), torch.device("cuda")

    def fit(share, count, device=cpu, **options):
        needed = training_memory(network, (count, 1, 64, 64), optimiser="adamw")
        monkeypatch.setattr(start, "free_memory_bytes", lambda _: int(share * needed))
        return fit_to_memory(
            Recipe(batch_size=count, **options.pop("fields", {})), network, (64, 64), device, **options
        )

    for options in ({"count": 1}, {"count": 4, "is_batch_open": False}):
        with pytest.raises(TrainingError, match=rf"^Out of memory with a batch of {options['count']} picture"):
            fit(0.9, **options)
        with pytest.raises(TrainingError):
            fit(0.6, **options, precision="bfloat16")
        for share, enough in ((0.9, {"precision": "bfloat16"}), (0.6, {"device": gpu})):
            assert fit(share, **options, **enough).batch_size == options["count"]
        assert fit(1.01, **options).batch_size == options["count"]
    assert fit(0.1, 4, is_batch_open=False, fields={"freeze": "head"}).batch_size == 4  # its maps are not kept

"""The U-Net paper's kit, all at once: network, optimiser, tile, deformation and weight map."""

import cv2
import numpy as np

from pixelwise import catalogue
from pixelwise.training.recipes import RECIPES
from pixelwise.training.session import train


def test_the_recipe_is_that_of_section_3() -> None:
    recipe = RECIPES["unet"]()
    assert (recipe.optimiser, recipe.momentum, recipe.batch_size, recipe.augment) == ("sgd", 0.99, 1, "unet")
    assert RECIPES["unet_cells"]().separate == "weights"
    spec = catalogue.spec("unet")
    assert (spec.padding, spec.dropout, spec.normalisation) == ("valid", "paper", "none")


def test_touching_cells_are_trained_with_the_weight_map(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "cells" / folder).mkdir(parents=True)
    for number in range(6):
        numbered = np.zeros((36, 36), np.uint8)
        numbered[4:16, 4:16], numbered[4:16, 18:30], numbered[20:32, 8:20] = 1, 2, 3
        picture = (rng.integers(0, 60, numbered.shape) + 150 * (numbered > 0)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "cells" / "images" / f"{number}.png"), picture)
        cv2.imwrite(str(tmp_path / "cells" / "masks" / f"{number}.png"), numbered)
    spec = catalogue.spec("unet").replace(widths=(4, 8))
    run = train(
        tmp_path / "cells", spec, recipe="unet_cells", task="instances", settings={"epochs": "1"}, out=tmp_path / "run",
        quiet=True, should_check=False,
    )  # fmt: skip
    assert run.config.task["separation"] == "weights"
    assert run.config.recipe["momentum"] == 0.99
    (epoch,) = [event for event in run.journal if event["event"] == "epoch"]
    assert np.isfinite(epoch["train_loss"])

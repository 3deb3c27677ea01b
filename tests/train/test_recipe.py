"""Recipes: the papers' numbers, overrides and the exact words of refusals."""

import dataclasses

import pytest

from pixelwise.errors import RecipeError
from pixelwise.training.recipe import Recipe
from pixelwise.training.recipes import RECIPES, make_recipe


def test_a_recipe_stays_small():
    assert len(dataclasses.fields(Recipe)) <= 36


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_round_trips_through_json(name):
    recipe = make_recipe(name)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.override({key: _text(value) for key, value in recipe.to_json().items()}) == recipe


def _text(value):
    if value is None:
        return "none"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "()"
    return str(value)


def test_the_papers_numbers():
    cifar, imagenet, unet, lenet = (make_recipe(n) for n in ("resnet_cifar", "resnet_imagenet", "unet", "lenet"))
    assert (cifar.batch_size, cifar.learning_rate, cifar.momentum, cifar.weight_decay) == (128, 0.1, 0.9, 1e-4)
    assert cifar.epochs * (50_000 // 128 + 1) == pytest.approx(64_000, rel=0.003)
    assert imagenet.batch_size * imagenet.accumulate == 256
    assert (unet.momentum, unet.batch_size, unet.optimiser) == (0.99, 1, "sgd")
    assert [lenet.learning_rate * f * 0.02 for f in lenet.factors] == pytest.approx([5e-4, 2e-4, 1e-4, 5e-5, 1e-5])
    assert [m * lenet.epochs for m in lenet.milestones] == pytest.approx([0, 2, 5, 8, 12])


def test_alexnets_and_vggs_numbers():
    alexnet, owt, vgg = (make_recipe(name) for name in ("alexnet", "alexnet_owt", "vgg"))
    for recipe in (alexnet, owt, vgg):
        assert (recipe.optimiser, recipe.learning_rate, recipe.momentum) == ("sgd", 0.01, 0.9)
        assert recipe.weight_decay == 5e-4
    assert (alexnet.batch_size * alexnet.accumulate, alexnet.epochs) == (128, 90)
    assert (vgg.batch_size * vgg.accumulate, vgg.size) == (256, (224, 224))
    assert vgg.epochs * 1_281_167 / 256 == pytest.approx(370_000, rel=0.01)
    assert alexnet.factors == vgg.factors == (0.1, 0.01, 0.001)
    assert [450_000 * at for at in alexnet.milestones] == pytest.approx([100_000, 200_000, 300_000])
    assert owt.milestones == (0.25, 0.5, 0.75)
    assert [factor**3 for factor in owt.factors] == pytest.approx([1 / 250, 1 / 250**2, 1 / 250**3])


def test_fcns_and_deeplabs_numbers():
    fcn, heavy, deeplab = (make_recipe(name) for name in ("fcn", "fcn_heavy", "deeplabv3"))
    assert (fcn.batch_size * fcn.accumulate, fcn.momentum, fcn.learning_rate) == (20, 0.9, 1e-4)
    assert (heavy.batch_size, heavy.momentum, heavy.weight_decay) == (1, 0.99, 5e-4)
    assert heavy.epochs * 8_498 == pytest.approx(100_000, rel=0.02)
    rates = [make_recipe(name).learning_rate for name in ("fcn_heavy", "fcn_heavy_16s", "fcn_heavy_8s")]
    assert [rate / rates[0] for rate in rates] == pytest.approx([1, 1e-2, 1e-4])
    assert rates[0] / (500 * 375) == pytest.approx(1e-10)
    assert (deeplab.batch_size * deeplab.accumulate, deeplab.crop, deeplab.schedule) == (16, (513, 513), "polynomial")
    assert deeplab.epochs * 10_582 / 16 == pytest.approx(30_000, rel=0.02)
    assert (deeplab.learning_rate, make_recipe("deeplabv3_os8").learning_rate) == (0.007, 0.001)


def test_resnet110_warms_up_at_a_tenth():
    recipe = make_recipe("resnet110_cifar")
    assert recipe.factors[0] * recipe.learning_rate == pytest.approx(0.01)
    assert recipe.milestones[1] * 64_000 == pytest.approx(400)


def test_override_reads_the_command_lines_text():
    recipe = Recipe().override({
        "epochs": "7", "learning_rate": "3e-4", "size": "96", "crop": "64,32", "augment": "none", "resize": "pad",
        "clip_norm": "none", "schedule": "step", "milestones": "0.5,0.75", "factors": "0.1,0.01",
    })  # fmt: skip
    assert (recipe.epochs, recipe.learning_rate, recipe.size, recipe.crop) == (7, 3e-4, (96,), (64, 32))
    assert (recipe.with_sides(2).size, recipe.with_sides(2).crop) == ((96, 96), (64, 32))
    assert (recipe.augment, recipe.resize, recipe.clip_norm) == ("none", "pad", None)
    assert (recipe.milestones, recipe.factors) == ((0.5, 0.75), (0.1, 0.01))


def test_settings_of_transfer_and_of_the_inception_papers_are_read():
    recipe = Recipe().override({
        "optimiser": "rmsprop", "epsilon": "1", "squared_decay": "0.9", "schedule": "exponential", "decay_epochs": "2",
        "decay_factor": "0.94", "auxiliary_weight": "0.4", "freeze": "stage:2", "unfreeze_epochs": "3",
        "rate_decay": "0.5",
    })  # fmt: skip
    assert (recipe.optimiser, recipe.epsilon, recipe.decay_epochs, recipe.decay_factor) == ("rmsprop", 1.0, 2.0, 0.94)
    assert (recipe.freeze, recipe.unfreeze_epochs, recipe.rate_decay) == ("stage:2", 3, 0.5)
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epohcs": "3"}, "recipe has no field 'epohcs'. Did you mean epochs or post?"),
        ({"epochs": "many"}, "recipe: epochs=many. Expected a whole number or none. Correct the value."),
        ({"epochs": "0"}, "recipe: epochs=0. Expected at least 1. Correct the value."),
        ({"batch_size": "1.5"}, "recipe: batch_size=1.5. Expected a whole number. Correct the value."),
        (
            {"optimiser": "adam"},
            "recipe: optimiser=adam. Expected one of sgd, nesterov, adamw, rmsprop. Correct the value.",
        ),
        ({"learning_rate": "-1"}, "recipe: learning_rate=-1.0. Expected more than 0. Correct the value."),
        ({"learning_rate": "nan"}, "recipe: learning_rate=nan. Expected more than 0. Correct the value."),
        ({"momentum": "1"}, "recipe: momentum=1.0. Expected from 0 up to but not including 1. Correct the value."),
        (
            {"schedule": "step"},
            "recipe: schedule=step without milestones. Expected milestones, such as milestones=0.5,0.75 and "
            "factors=0.1,0.01, for schedule=step and for no other. Add them.",
        ),
        (
            {"milestones": "0.5", "factors": "0.1"},
            "recipe: schedule=cosine with milestones. Expected milestones, such as milestones=0.5,0.75 and "
            "factors=0.1,0.01, for schedule=step and for no other. Leave milestones and factors out.",
        ),
        (
            {"schedule": "step", "milestones": "0.5,0.2", "factors": "1,1"},
            "recipe: milestones=0.5,0.2. Expected rising fractions of the run, from 0 up to but not including 1."
            " Correct the value.",
        ),
        (
            {"schedule": "one_cycle", "warmup_steps": "5"},
            "recipe: warmup_steps=5. Expected 0: one_cycle warms up. Correct the value.",
        ),
        (
            {"epsilon": "1"},
            "recipe: epsilon=1.0. Expected 1e-08, the default, as only optimiser=rmsprop heeds it. Correct the value.",
        ),
        (
            {"squared_decay": "0.99"},
            "recipe: squared_decay=0.99. Expected 0.9, the default, as only optimiser=rmsprop heeds it."
            " Correct the value.",
        ),
        ({"optimiser": "rmsprop", "epsilon": "0"}, "recipe: epsilon=0.0. Expected more than 0. Correct the value."),
        (
            {"optimiser": "rmsprop", "squared_decay": "1"},
            "recipe: squared_decay=1.0. Expected from 0 up to but not including 1. Correct the value.",
        ),
        (
            {"schedule": "exponential", "decay_epochs": "2"},
            "recipe: decay_factor=none. Expected given for schedule=exponential, and for no other. Correct the value.",
        ),
        (
            {"decay_epochs": "2"},
            "recipe: decay_epochs=2.0. Expected given for schedule=exponential, and for no other. Correct the value.",
        ),
        (
            {"schedule": "exponential", "decay_epochs": "0", "decay_factor": "0.9"},
            "recipe: decay_epochs=0.0. Expected more than 0. Correct the value.",
        ),
        (
            {"schedule": "exponential", "decay_epochs": "2", "decay_factor": "1"},
            "recipe: decay_factor=1.0. Expected between 0 and 1. Correct the value.",
        ),
        ({"auxiliary_weight": "inf"}, "recipe: auxiliary_weight=inf. Expected 0 or more. Correct the value."),
        ({"freeze": "all"}, "recipe: freeze=all. Expected none, head, or stage:N with N from 1 on. Correct the value."),
        (
            {"freeze": "stage:0"},
            "recipe: freeze=stage:0. Expected none, head, or stage:N with N from 1 on. Correct the value.",
        ),
        (
            {"unfreeze_epochs": "2"},
            "recipe: unfreeze_epochs=2 where nothing is frozen. Expected freeze=head or freeze=stage:N with it. Add"
            " --freeze head (in Python settings={'freeze': 'head'}), or leave unfreeze_epochs out.",
        ),
        (
            {"unfreeze_epochs": "0", "freeze": "head"},
            "recipe: unfreeze_epochs=0. Expected at least 1. Correct the value.",
        ),
        ({"rate_decay": "1.5"}, "recipe: rate_decay=1.5. Expected more than 0 and at most 1. Correct the value."),
        ({"size": "0,5"}, "recipe: size=0,5. Expected at least 1 pixel. Correct the value."),
        ({"size": "64", "resize": "none"}, "recipe: size=64. Expected none where resize=none. Correct the value."),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(RecipeError) as caught:
        Recipe().override(settings)
    assert str(caught.value) == message


def test_an_unknown_recipe_names_its_neighbours():
    with pytest.raises(RecipeError) as caught:
        make_recipe("resnet_cifer")
    message = (
        "'resnet_cifer' is not a recipe. Expected the name of a recipe. Did you mean resnet_cifar or resnet110_cifar"
    )
    assert str(caught.value).startswith(message)
    with pytest.raises(RecipeError, match=r"'foo' is not a recipe\. .* They are .*resnet_cifar.*unet"):
        make_recipe("foo")


def test_an_unknown_field_in_a_file_is_refused():
    with pytest.raises(RecipeError, match="recipe has no field 'lr'"):
        Recipe.from_json({"lr": 0.1})

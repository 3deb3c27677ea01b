"""What an augmentation draws: streams, distributions, places of crops, faults."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.data.augment import AUGMENTATIONS, Augment
from pixelwise.data.draws import Draws, Slot, epoch_order, sample_generator
from pixelwise.data.geometry import draw_window
from pixelwise.errors import DataError, MaskError, RecipeError, UsageError


def test_streams_are_pure_functions_of_seed_epoch_and_index():
    keys = [(seed, epoch, index) for seed in (0, 1, 2**64 - 1) for epoch in (0, 1, 7) for index in (0, 1, 2, 1_300_000)]
    first = {key: sample_generator(*key).random(4).tobytes() for key in keys}
    again = {key: sample_generator(*key).random(4).tobytes() for key in reversed(keys)}
    assert first == again
    assert len(set(first.values())) == len(keys)


def test_streams_do_not_run_into_each_other():
    """The counter's low half is free: 2**128 blocks before one sample's stream meets the next epoch's."""
    long = set(sample_generator(3, 0, 0).integers(0, 2**63, 50_000).tolist())
    other = set(sample_generator(3, 0, 1).integers(0, 2**63, 50_000).tolist())
    assert not long & other


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(UsageError) as caught:
        sample_generator(seed, 0, 0)
    assert str(caught.value) == (f"seed={seed}. Expected a whole number from 0 to 2**64 - 1. Choose another seed.")


def test_epoch_order_is_a_permutation_that_depends_on_seed_and_epoch_alone():
    orders = [epoch_order(100, seed=seed, epoch=epoch, shuffle=True) for seed in (0, 1) for epoch in (0, 1)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(100))
    assert len({order.tobytes() for order in orders}) == 4
    np.testing.assert_array_equal(orders[0], epoch_order(100, seed=0, epoch=0, shuffle=True))
    np.testing.assert_array_equal(epoch_order(5, seed=0, epoch=3, shuffle=False), np.arange(5))


def test_changing_one_magnitude_leaves_the_other_draws_alone():
    mild = Augment(flip_horizontal=0.5, rotate_degrees=10, shift_px=5, brightness=0.2, gamma=1.5)
    strong = Augment(flip_horizontal=0.5, rotate_degrees=10, shift_px=5, brightness=0.4, gamma=1.5, blur_px=2.0)
    for index in range(20):
        warp, tone = mild.draw(40, 40, sample_generator(0, 0, index))
        warp2, tone2 = strong.draw(40, 40, sample_generator(0, 0, index))
        assert (warp.matrix, warp.origin) == (warp2.matrix, warp2.origin)
        assert tone2.gamma == tone.gamma
        assert tone2.brightness == pytest.approx(2 * tone.brightness)


def test_elastic_displacements_have_the_declared_deviation():
    """At the nodes 10 px; between them what the bicubic weights make of independent Gaussians."""
    augment = Augment(elastic_px=10)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(1500):
        warp, _ = augment.draw(101, 81, rng)
        rows, columns = warp.positions()
        found.append(
            [(rows[i, j] - i, columns[i, j] - j) for i in (0, 50, 100) for j in (0, 40, 80)]
            + [(rows[25, 20] - 25, columns[25, 20] - 20)]
        )
    deviations = np.array(found).reshape(-1, 10, 2)
    np.testing.assert_allclose(deviations[:, :9].std(), 10, rtol=0.02)
    np.testing.assert_allclose(deviations[:, :9].std(axis=0), 10, rtol=0.08)
    np.testing.assert_allclose(deviations.mean(axis=0), 0, atol=1.1)
    half = np.array([7, 10, -1]) / 16  # Keys' weights -1/16, 9/16, 9/16, -1/16 with the first node continued linearly
    np.testing.assert_allclose(deviations[:, 9].std(axis=0), 10 * (half**2).sum(), rtol=0.08)
    assert abs(np.corrcoef(deviations[:, 4].T)[0, 1]) < 0.1


def test_elastic_lattice_spans_512_pixels_of_a_larger_picture():
    frames = [Augment(elastic_px=10).draw(2000, 300, np.random.default_rng(s), (256, 256))[0].frame for s in range(50)]
    for top, left, height, width in frames:
        assert (height, width) == (512, 300)
        assert -256 <= top <= 0
        assert -44 <= left <= 0
    assert len({frame[0] for frame in frames}) > 20


def test_crops_cover_the_picture_evenly_and_the_context_reaches_beyond_it():
    image = np.arange(20, dtype=np.uint8)[:, None, None].repeat(20, axis=1)
    starts = [Augment().apply(image, None, np.random.default_rng(s), (16, 20))[0][0, 0, 0] for s in range(300)]
    assert np.bincount(starts, minlength=5).min() > 30
    assert max(starts) == 4
    shown = set()
    for s in range(300):
        warp, _ = Augment().draw(20, 20, np.random.default_rng(s), (16, 20), context=(5, 5))
        shown.add(int(warp.origin[0]) + 5)  # first row that the network's output shows
    assert shown == set(range(15))  # 6 rows of output, from the first row to the last


def test_a_crop_larger_than_the_picture_shows_its_mirror_image_around_it():
    image = np.random.default_rng(0).integers(0, 255, (5, 6, 2)).astype(np.uint8)
    found, _ = Augment().apply(image, None, np.random.default_rng(0), (9, 10))
    np.testing.assert_array_equal(found, np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect"))


def test_quarter_turns_keep_the_size_of_an_oblong_picture():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    turns = {Augment(quarter_turns=True).apply(image, None, np.random.default_rng(s))[0].tobytes() for s in range(40)}
    assert turns == {image.tobytes(), image[::-1, ::-1].tobytes()}
    crops = {Augment(quarter_turns=True).draw(3, 4, np.random.default_rng(s), (3, 3))[0].matrix for s in range(60)}
    assert len(crops) == 4


def test_random_resized_crops_have_the_declared_area_and_aspect():
    rng = np.random.default_rng(0)
    windows = np.array(
        [
            draw_window((300, 400), (0.1, 0.4), (0.75, 4 / 3), rng.random((10, 2)).tolist(), Draws.from_generator(rng))
            for _ in range(2000)
        ]
    )
    top, left, height, width = windows.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 300).all()
    assert (left + width <= 400).all()
    share, aspect = height * width / 120_000, width / height
    assert 0.095 < share.min() < 0.12
    assert 0.38 < share.max() < 0.405
    assert abs(share.mean() - 0.25) < 0.01
    assert 0.73 < aspect.min() < 0.78
    assert 1.28 < aspect.max() < 1.36
    assert abs(np.log(aspect).mean()) < 0.01


def test_random_resized_crop_falls_back_to_the_largest_allowed_centre():
    draws = Draws([0.5] * len(Slot))
    assert draw_window((10, 1000), (1.0, 1.0), (0.75, 4 / 3), [[0.5, 0.5]], draws) == (0, 493, 10, 13)
    assert draw_window((1000, 12), (1.0, 1.0), (0.75, 4 / 3), [[0.5, 0.5]], draws) == (492, 0, 16, 12)


def test_random_resized_crop_shows_the_window_that_it_drew():
    """Every colour of a gradient lies where the drawn window puts it."""
    y, x = np.mgrid[0:200, 0:260].astype(np.float32)
    image = np.stack([y, x], axis=-1)
    warp, _ = Augment(area=(0.2, 0.9), flip_horizontal=1.0).draw(200, 260, np.random.default_rng(4), (64, 64))
    found, _ = warp.apply(image, None)
    rows, columns = warp.positions()
    np.testing.assert_allclose(found[1:-1, 1:-1, 0], rows[1:-1, 1:-1], atol=0.1)
    np.testing.assert_allclose(found[1:-1, 1:-1, 1], columns[1:-1, 1:-1], atol=0.1)
    assert found[0, 0, 1] > found[0, -1, 1]


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(AUGMENTATIONS)),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
)
def test_every_named_augmentation_keeps_type_and_size_and_repeats_itself(name, seed, dtype):
    rng = np.random.default_rng(seed)
    image = (rng.random((32, 40, 3)) * (1 if dtype == "float32" else np.iinfo(dtype).max)).astype(dtype)
    labels = rng.integers(0, 3, (32, 40)).astype(np.uint8)
    before = image.copy()
    found, found_labels = Augment.named(name).apply(image, labels, sample_generator(seed, 0, 0), (24, 28))
    again, again_labels = Augment.named(name).apply(image, labels, sample_generator(seed, 0, 0), (24, 28))
    assert (found.shape, found.dtype) == ((24, 28, 3), image.dtype)
    assert set(np.unique(found_labels)) <= {0, 1, 2, 255}
    np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(found_labels, again_labels)
    np.testing.assert_array_equal(image, before)


def test_none_changes_nothing():
    image = np.random.default_rng(0).integers(0, 255, (7, 5, 3)).astype(np.uint8)
    assert Augment.named("none").changes_nothing
    np.testing.assert_array_equal(Augment.named("none").apply(image, None, np.random.default_rng(0))[0], image)
    assert not any(AUGMENTATIONS[name].changes_nothing for name in AUGMENTATIONS if name != "none")


def test_cifar_recipe_is_a_crop_of_the_picture_padded_with_its_mean():
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    padded[:4] = padded[-4:] = padded[:, :4] = padded[:, -4:] = (125, 122, 113)
    legal = {
        np.ascontiguousarray(crop).tobytes()
        for top in range(9) for left in range(9)
        for crop in (padded[top : top + 32, left : left + 32], padded[top : top + 32, left : left + 32][:, ::-1])
    }  # fmt: skip
    cifar = Augment.named("cifar")
    seen = {cifar.apply(image, None, sample_generator(0, 0, i), fill=(125, 122, 113))[0].tobytes() for i in range(300)}
    assert seen <= legal
    assert len(seen) > 100


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        Augment.named("cell")
    assert str(caught.value) == (
        "Unknown augmentation 'cell'. Expected the name of an augmentation. Did you mean cells?"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flip_horizontal": 1.5}, "flip_horizontal=1.5. Expected a probability from 0 to 1"),
        ({"contrast": 1.0}, "contrast=1.0. Expected at least 0 and less than 1"),
        ({"shift_px": -1}, "shift_px=-1. Expected a number that is not negative"),
        ({"elastic_px": float("nan")}, "elastic_px=nan. Expected a number that is not negative"),
        ({"rotate_degrees": 200}, "rotate_degrees=200. Expected 0 to 180"),
        ({"shear_degrees": 80}, "shear_degrees=80. Expected at least 0 and less than 60"),
        ({"elastic_nodes": 1}, "elastic_nodes=1. Expected at least 2"),
        ({"gamma": 0.5}, "gamma=0.5. Expected at least 1"),
        ({"scale": (2.0, 1.0)}, "scale=(2.0, 1.0). Expected two positive numbers, the smaller one first"),
        ({"area": (0.0, 1.0)}, "area=(0.0, 1.0). Expected two shares of 0 to 1, smaller first"),
        ({"border": "wrap"}, "border=wrap. Expected mirror or fill"),
    ],
)
def test_impossible_magnitudes_are_refused(fields, message):
    with pytest.raises(RecipeError) as caught:
        Augment(**fields)
    assert str(caught.value) == f"Augmentation: {message}. Correct the value."


def test_images_and_label_maps_of_another_form_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError) as caught:
        Augment().apply(np.zeros((4, 4)), None, rng)
    assert str(caught.value) == (
        "An image of shape (4, 4) and type float64. Expected (height, width, channels) of uint8, uint16 or float32. "
        "Read it with pixelwise.data.images.read_image."
    )
    with pytest.raises(MaskError) as caught:
        Augment().apply(np.zeros((4, 4, 1), np.uint8), np.zeros((4, 5), np.uint8), rng)
    assert str(caught.value) == (
        "A label map of 4 x 5 pixels for an image of 4 x 4. Expected the same size. Correct the pair."
    )

"""Division into splits: a partition, the same every time, stratified, and never parting what belongs together."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pixelwise.data.columns import TextColumn
from pixelwise.data.manifest import Manifest
from pixelwise.data.masks import MaskReading
from pixelwise.data.split import split_manifest
from pixelwise.errors import DataError, UsageError

TRAIN, VAL, TEST = 1, 2, 3


def manifest_of(
    labels: list[int],
    *,
    contents: list[int] | None = None,
    groups: list[str] | None = None,
    splits: list[int] | None = None,
    paths: list[str] | None = None,
    presence: NDArray[np.uint8] | None = None,
    frames: list[int] | None = None,
    layout: str = "class-folders",
) -> Manifest:
    """A manifest of samples without files; equal ``contents`` are exact duplicates."""
    n = len(labels)
    hashes = np.zeros((n, 32), np.uint8)
    hashes[:, :8] = np.array(contents if contents is not None else range(n), np.int64)[:, None].view(np.uint8)
    zeros = dict.fromkeys(
        ("mask_frame", "height", "width", "channels", "size_bytes", "mtime_ns"), np.zeros(n, np.int64)
    )
    columns: dict[str, Any] = {
        **zeros,
        "mask_size_bytes": np.zeros(n, np.int64),
        "mask_mtime_ns": np.zeros(n, np.int64),
        "dtype": np.zeros(n, np.uint8),
        "label": np.array(labels, np.int32),
        "split": np.array(splits or [0] * n, np.uint8),
        "frame": np.array(frames or [-1] * n, np.int32),
        "sha256": hashes,
        "mask_sha256": np.zeros((n, 32), np.uint8),
        "presence": np.zeros((n, 0), np.uint8) if presence is None else np.packbits(presence, 1, bitorder="little"),
    }
    num_classes = max(labels) + 1 if presence is None else presence.shape[1]
    return Manifest(
        layout=layout,
        task="classification" if presence is None else "segmentation",
        classes=tuple(f"c{k}" for k in range(num_classes)),
        mask_reading=None if presence is None else MaskReading("index", num_classes),
        skipped=(),
        notes=(),
        paths=TextColumn.of(paths or [f"c{label}/{place}.png" for place, label in enumerate(labels)]),
        masks=TextColumn.of([""] * n),
        groups=TextColumn.of(groups or [""] * n),
        annotations=TextColumn.of([""] * n),
        metadata_names=(),
        metadata=TextColumn.of([""] * n),
        columns=columns,
    )


def codes_of(manifest: Manifest, **options: Any) -> NDArray[np.uint8]:
    return split_manifest(manifest, **options).column("split")


labels_of = st.lists(st.integers(3, 40), min_size=1, max_size=8).map(
    lambda counts: [label for label, count in enumerate(counts) for _ in range(count)]
)
fractions_of = st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.7, 0.3, 0.0), (0.5, 0.25, 0.25), (1.0, 0.0, 0.0)])


@given(labels=labels_of, fractions=fractions_of, seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_single_images_are_stratified_within_one_image(
    labels: list[int], fractions: tuple[float, float, float], seed: int
) -> None:
    codes = codes_of(manifest_of(labels), fractions=fractions, seed=seed)
    assert set(codes.tolist()) <= {TRAIN, VAL, TEST}  # a partition: each sample once, none left
    moved = 0
    for label in set(labels):
        of_class = codes[np.array(labels) == label]
        assert (of_class == TRAIN).any()
        for code, fraction in zip((TRAIN, VAL, TEST), fractions, strict=True):
            excess = abs(int((of_class == code).sum()) - fraction * len(of_class))
            moved += excess >= 1
            assert excess < 2  # an otherwise empty split takes one image more
    assert moved <= 2 * sum(fraction > 0 for fraction in fractions[1:])
    for code, fraction in zip((TRAIN, VAL, TEST), fractions, strict=True):
        assert ((codes == code).any()) == (fraction > 0)
        assert abs(int((codes == code).sum()) - fraction * len(labels)) <= 3


def test_totals_agree_even_where_every_class_is_tiny() -> None:
    """A hundred classes of three images: rounding each by itself would leave validation and test empty."""
    codes = codes_of(manifest_of([label for label in range(100) for _ in range(3)]))
    assert np.bincount(codes).tolist() == [0, 240, 30, 30]


@given(labels=labels_of, seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_gives_the_same_division(labels: list[int], seed: int) -> None:
    manifest = manifest_of(labels)
    assert np.array_equal(codes_of(manifest, seed=seed), codes_of(manifest, seed=seed))


def test_another_seed_gives_another_division_and_the_order_of_rows_does_not_matter() -> None:
    labels = [0] * 50 + [1] * 50
    manifest = manifest_of(labels)
    assert not np.array_equal(codes_of(manifest, seed=0), codes_of(manifest, seed=1))
    order = np.random.default_rng(0).permutation(100)
    shuffled = manifest_of([labels[k] for k in order], paths=[manifest.paths[k] for k in order.tolist()])
    assert np.array_equal(codes_of(shuffled), codes_of(manifest)[order])


@given(data=st.data(), seed=st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_groups_and_duplicates_stay_whole(data: st.DataObject, seed: int) -> None:
    n = data.draw(st.integers(30, 120))
    labels = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    groups = data.draw(st.lists(st.sampled_from(["", *(f"g{k}" for k in range(15))]), min_size=n, max_size=n))
    contents = data.draw(st.lists(st.integers(0, 4 * n), min_size=n, max_size=n))
    manifest = manifest_of(labels, groups=groups, contents=contents)
    try:
        codes = codes_of(manifest, seed=seed)
    except DataError as error:
        impossible = error.came
        assert "cannot be divided" in impossible
        return
    assert set(codes.tolist()) == {TRAIN, VAL, TEST}
    for group in set(groups) - {""}:
        assert len({code for code, own in zip(codes.tolist(), groups, strict=True) if own == group}) == 1
    for content in set(contents):
        assert len({code for code, own in zip(codes.tolist(), contents, strict=True) if own == content}) == 1
    for label in set(labels):
        assert (codes[np.array(labels) == label] == TRAIN).any()


def test_groups_of_equal_size_meet_the_fractions() -> None:
    labels = [patient % 2 for patient in range(50) for _ in range(4)]
    groups = [f"patient{k}" for k in range(50) for _ in range(4)]
    codes = codes_of(manifest_of(labels, groups=groups))
    assert np.bincount(codes).tolist() == [0, 160, 20, 20]
    for code in (VAL, TEST):
        of_class = np.array(labels)[codes == code]
        assert 4 <= of_class.sum() <= 16  # both classes in both held-out splits


def test_segmentation_is_stratified_by_the_classes_that_masks_show() -> None:
    """Twelve of 120 images show the rare class: each held-out split gets one or two, not none or six."""
    presence = np.ones((120, 3), np.uint8)
    presence[:, 2] = np.arange(120) % 10 == 0
    for seed in range(5):
        codes = codes_of(manifest_of([-1] * 120, presence=presence, paths=[f"{k}.png" for k in range(120)]), seed=seed)
        assert np.bincount(codes).tolist() == [0, 96, 12, 12]
        assert [int(presence[codes == code, 2].sum()) for code in (VAL, TEST)] in ([1, 1], [1, 2], [2, 1])


def test_given_splits_are_kept() -> None:
    splits = [TRAIN] * 20 + [VAL] * 5 + [TEST] * 5
    manifest = manifest_of([0, 1] * 15, splits=splits)
    assert split_manifest(manifest) is manifest


@given(seed=st.integers(0, 20), test=st.integers(4, 20))
@settings(max_examples=25, deadline=None)
def test_a_missing_validation_split_is_cut_from_train_only(seed: int, test: int) -> None:
    splits = np.array([TRAIN] * 80 + [TEST] * test)
    codes = codes_of(manifest_of([0, 1] * 40 + [0] * test, splits=splits.tolist()), seed=seed)
    assert (codes[splits == TEST] == TEST).all()
    assert set(codes[splits == TRAIN].tolist()) == {TRAIN, VAL}
    assert 8 <= int((codes == VAL).sum()) <= 10  # 1/9 of 80


def test_undecided_rows_go_to_train_and_to_the_splits_that_nobody_gave() -> None:
    splits = [TEST] * 20 + [0] * 90
    codes = codes_of(manifest_of([0, 1] * 55, splits=splits))
    assert np.bincount(codes).tolist() == [0, 80, 10, 20]


def test_an_undecided_duplicate_of_a_test_image_joins_the_test_split() -> None:
    contents = [*range(40), 0, 1]
    splits = [TEST] * 4 + [0] * 38
    codes = codes_of(manifest_of([0, 1] * 21, contents=contents, splits=splits))
    assert codes[-2:].tolist() == [TEST, TEST]


def test_a_training_duplicate_of_a_test_image_is_not_cut_into_validation() -> None:
    contents = [*range(20), *range(20)]
    manifest = manifest_of([0, 1] * 20, contents=contents, splits=[TRAIN] * 20 + [TEST] * 20)
    divided = split_manifest(manifest)
    assert np.array_equal(divided.column("split"), manifest.column("split"))
    assert divided.notes[-1].endswith("but each sample belongs to one of a given split.")


def stack_of(num_slices: int, *, stacks: int = 1, contents: list[int] | None = None) -> Manifest:
    n = num_slices * stacks
    return manifest_of(
        [-1] * n,
        presence=np.ones((n, 2), np.uint8),
        paths=[f"{stack}.tif" for stack in range(stacks) for _ in range(num_slices)],
        frames=[frame for _ in range(stacks) for frame in range(num_slices)],
        contents=contents,
        layout="stack",
    )


def test_slices_of_a_stack_are_cut_into_contiguous_blocks() -> None:
    divided = split_manifest(stack_of(30), seed=3)
    assert divided.column("split").tolist() == [TRAIN] * 24 + [VAL] * 3 + [TEST] * 3
    assert divided.notes[-1] == (
        "Divided with seed 3 into 80 % train, 10 % val, 10 % test, in contiguous blocks of slices."
    )
    assert "contiguous blocks" in divided.describe()
    two = codes_of(stack_of(10, stacks=2))
    assert two.tolist() == 2 * ([TRAIN] * 8 + [VAL] + [TEST])


def test_equal_slices_share_a_split_even_across_blocks() -> None:
    contents = [*range(29), 5]  # the last slice equals one of the training block
    codes = codes_of(stack_of(30, contents=contents))
    assert codes[29] == codes[5] == TRAIN


def test_many_stacks_are_divided_as_wholes() -> None:
    manifest = stack_of(5, stacks=20)
    codes = codes_of(manifest).reshape(20, 5)
    assert (codes == codes[:, :1]).all()
    assert np.bincount(codes[:, 0]).tolist() == [0, 16, 2, 2]
    by_file = codes_of(stack_of(5, stacks=4), group_by="file").reshape(4, 5)
    assert (by_file == by_file[:, :1]).all()


@pytest.mark.parametrize(
    ("group_by", "parts"),
    [("folder", "patient"), ("folder:2", "patient"), ("folder:1", "class")],
)
def test_grouping_by_folder_keeps_a_patient_together_under_every_class(group_by: str, parts: str) -> None:
    paths = [f"c{k % 2}/patient{k // 4:02d}/{k}.png" for k in range(80)]
    manifest = manifest_of([k % 2 for k in range(80)], paths=paths)
    if parts == "class":
        with pytest.raises(DataError, match="in 2 inseparable groups cannot be divided"):
            split_manifest(manifest, group_by=group_by)
        return
    codes = codes_of(manifest, group_by=group_by).reshape(20, 4)
    assert (codes == codes[:, :1]).all()


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (
            [0, 1],
            {},
            "2 images cannot be divided into train, val, test with every class in train. Expected at least one for "
            "each split besides one of each class for train. Add images, group less coarsely, or give a split the "
            "fraction 0.",
        ),
        (
            [0] * 6,
            {"group_by": "folder"},
            "6 images in 1 inseparable group cannot be divided into train, val, test with every class in train. "
            "Expected at least one for each split besides one of each class for train. Add images, group less "
            "coarsely, or give a split the fraction 0.",
        ),
        (
            [0] * 6,
            {"group_by": "column"},
            "No sample has a group when grouped by column. Expected a group for at least some. Fill the column "
            "'group' of the table, or use file, folder or folder:N.",
        ),
        (
            [0] * 6,
            {"group_by": "folder:7"},
            "No sample has a group when grouped by folder:7. Expected a group for at least some. Use column, file, "
            "folder or folder:N.",
        ),
        (
            [0] * 6,
            {"group_by": "patient"},
            "Samples cannot be grouped by 'patient'. Expected column, file, folder or folder:N.",
        ),
        (
            [0] * 6,
            {"fractions": (0.5, 0.1, 0.1)},
            "The fractions 0.5, 0.1, 0.1 cannot divide a data set. Expected three numbers for train, val and test, "
            "together 1, train above 0. For instance 0.8, 0.1, 0.1.",
        ),
    ],
)
def test_faults(labels: list[int], options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, UsageError), match=f"^{re.escape(message)}$"):
        split_manifest(manifest_of(labels), **options)


def test_notes_say_how_it_was_divided() -> None:
    manifest = manifest_of([0, 1] * 20, contents=[*range(38), 0, 1])
    assert split_manifest(manifest, fractions=(0.75, 0.25, 0)).notes == (
        "Divided with seed 0 into 75 % train, 25 % val, stratified by class, 2 exact duplicates kept with their "
        "originals.",
    )
    single = manifest_of([0, 1] * 20, contents=[*range(39), 1])
    assert split_manifest(single).notes[0].endswith("stratified by class, 1 exact duplicate kept with its original.")
    grouped = manifest_of([0, 1] * 20, groups=[f"g{k // 2}" for k in range(40)])
    assert split_manifest(grouped).notes[0].endswith("stratified by class, grouped by column.")
    cut = split_manifest(manifest_of([0, 1] * 20, splits=[TRAIN] * 40))
    assert cut.notes == (
        "Validation images were cut from the training images with seed 0: 88.89 % train, 11.11 % val, stratified by "
        "class.",
    )
    assert replace(cut, notes=()).digest() == cut.digest()  # notes are for people


def test_a_hundred_thousand_images_are_divided_in_seconds() -> None:
    labels = np.repeat(np.arange(1000), 100).tolist()
    codes = codes_of(manifest_of(labels))
    assert np.bincount(codes).tolist() == [0, 80_000, 10_000, 10_000]


def test_the_last_of_a_class_goes_to_train() -> None:
    """Three groups, one of which alone shows class 2: wherever it would fall, it is needed for training."""
    labels = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 0]
    groups = [f"g{k // 2}" for k in range(12)]
    for seed in range(20):
        codes = codes_of(manifest_of(labels, groups=groups), seed=seed, fractions=(0.2, 0.4, 0.4))
        assert codes[10] == TRAIN


def test_a_class_that_only_a_held_out_group_shows_is_moved_to_train() -> None:
    """The large group fills train; the small ones hold what else there is to learn."""
    labels = [0] * 50 + [1, 1] + [2, 2] + [0] * 6
    groups = ["large"] * 50 + ["one"] * 2 + ["two"] * 2 + ["a"] * 2 + ["b"] * 2 + ["c"] * 2
    codes = codes_of(manifest_of(labels, groups=groups), fractions=(0.5, 0.25, 0.25))
    assert set(codes[50:54].tolist()) == {TRAIN}
    assert set(codes.tolist()) == {TRAIN, VAL, TEST}


def test_a_short_stack_gives_each_split_a_slice() -> None:
    assert codes_of(stack_of(3)).tolist() == [TRAIN, VAL, TEST]
    assert codes_of(stack_of(5)).tolist() == [TRAIN, TRAIN, TRAIN, VAL, TEST]
    with pytest.raises(DataError, match=r"^2 images cannot be divided"):
        codes_of(stack_of(2))


def test_masks_that_show_nothing_are_divided_too() -> None:
    presence = np.zeros((20, 2), np.uint8)
    presence[:10] = 1
    codes = codes_of(manifest_of([-1] * 20, presence=presence, paths=[f"{k}.png" for k in range(20)]))
    assert np.bincount(codes).tolist() == [0, 16, 2, 2]

"""Patches, whole volumes and their surroundings; the same for any number of workers."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from volume_folders import nifti_folder

from pixelwise import catalogue
from pixelwise.data.loading import load_batches
from pixelwise.data.manifest import build_manifest
from pixelwise.data.masks import IGNORE
from pixelwise.data.preprocess import Preprocess
from pixelwise.data.reading import SampleReader
from pixelwise.data.volumes.augment import VolumeAugment
from pixelwise.data.volumes.dataset import VolumeDataset, sizes_at
from pixelwise.data.volumes.measuring import measure_volumes
from pixelwise.errors import DataError
from pixelwise.predict.placement import place
from pixelwise.tasks.crop import crop_to_logits
from pixelwise.training.settle_volumes import validated_windows

SIZES = [(10, 12, 14), (12, 12, 10), (9, 12, 14), (10, 12, 14)]
FRAME = Preprocess(channels=1, low=-3, high=3, mean=(0.5,), std=(1 / 6,), statistics="picture")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return nifti_folder(tmp_path_factory.mktemp("volumes"), SIZES)


@pytest.fixture(scope="module")
def manifest(folder):
    return build_manifest(folder, use_cache=False)


def make(folder, manifest, *, preprocess=FRAME, augment=None, sizes=(8, 16, 12), **options):
    return VolumeDataset(manifest, folder, np.arange(4), preprocess, augment=augment, sizes=sizes, seed=7, **options)


def test_the_centre_is_cut_out_and_surroundings_are_not_counted(folder, manifest):
    data = make(folder, manifest)
    volume, labels = data.sample(0, 0)
    stored, truth = data.stored(0)
    assert volume.shape == (8, 16, 12, 1)
    assert np.array_equal(volume[:, 2:14], stored[1:9, :, 1:13])
    assert np.array_equal(volume[:, 1], stored[1:9, 1, 1:13])  # the mirror image, without the outermost row
    assert np.array_equal(labels[:, 2:14], truth[1:9, :, 1:13])
    assert (labels[:, :2] == IGNORE).all()
    assert (labels[:, 14:] == IGNORE).all()
    assert np.array_equal(make(folder, manifest, sizes=np.array(SIZES)).sample(0, 0)[0], stored)


@pytest.mark.parametrize("columns", [{"widths": (4, 8, 16)}, {"widths": (4, 8, 16), "padding": "valid"}], ids=str)
def test_validation_sees_what_prediction_does_and_counts_the_volume_alone(folder, manifest, columns):
    network = catalogue.spec("unet3d16").replace(**columns).build(1, 2)
    starts, sizes = validated_windows(manifest, np.arange(4), None, network)
    data = make(folder, manifest, sizes=sizes, starts=starts)
    for position, size in enumerate(SIZES):
        volume, labels = data.sample(position, 0)
        placement = place(network, *size)
        assert any(placement.after)
        np.testing.assert_array_equal(volume, placement.surround(data.stored(position)[0]))
        own = tuple(slice(first, first + side) for first, side in zip(placement.before, size, strict=True))
        np.testing.assert_array_equal(labels[own], data.stored(position)[1])
        assert (labels != IGNORE).sum() == np.prod(size)
        seen = crop_to_logits(torch.from_numpy(labels)[None], torch.zeros(1, 2, *network.output_size(*labels.shape)))
        answered = tuple(slice(first, first + side) for first, side in zip(placement.start, size, strict=True))
        np.testing.assert_array_equal(seen[0][answered], data.stored(position)[1])


@pytest.mark.parametrize("cache", ["memory", "none", "auto"])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_workers_or_cache(folder, manifest, cache, workers):
    def batches(**options):
        data = make(folder, manifest, augment=VolumeAugment.named("volumes"), cache=options.pop("cache"))
        return list(load_batches(data, batch_size=3, epoch=2, shuffle=True, **options))

    plain, other = batches(cache="none"), batches(cache=cache, workers=workers)
    assert [batch.images.shape for batch in plain] == [(3, 1, 8, 16, 12), (1, 1, 8, 16, 12)]
    for one, two in zip(plain, other, strict=True):
        assert np.array_equal(one.images.numpy(), two.images.numpy())
        assert np.array_equal(one.targets.numpy(), two.targets.numpy())
        assert np.array_equal(one.indices, two.indices)
    tail = batches(cache=cache, start_batch=1)
    assert np.array_equal(tail[0].images.numpy(), plain[1].images.numpy())


def test_volumes_are_levelled_and_brought_to_one_spacing(folder, manifest):
    data = make(folder, manifest, sizes=np.array(SIZES))
    stored = data.stored(1)[0]
    assert stored.mean() == pytest.approx(0, abs=1e-5)
    assert stored.std() == pytest.approx(1, abs=1e-5)
    cubes = Preprocess(channels=1, low=-3, high=3, mean=(0.5,), std=(1 / 6,), spacing=(1.0, 1.0, 2.0))
    finer = make(folder, manifest, preprocess=cubes)
    assert finer.stored(0)[0].shape == (20, 12, 7, 1)
    assert finer.stored(0)[1].shape == (20, 12, 7)
    assert sizes_at(manifest, np.arange(4), (1.0, 1.0, 2.0)).tolist()[0] == [20, 12, 7]
    unknown = manifest.columns | {"spacing": np.zeros((4, 3), np.float32)}
    with pytest.raises(DataError, match=r"does not say how far apart its voxels are\. Expected a spacing in mm"):
        sizes_at(dataclasses.replace(manifest, columns=unknown), np.arange(4), (1.0, 1.0, 1.0))


def test_volumes_of_unequal_size_share_no_batch(folder, manifest):
    with pytest.raises(DataError, match=r"Volumes of different size in one batch\. Expected one size"):
        make(folder, manifest, sizes=np.array(SIZES)).arrays(np.array([0, 1]), 0)


def test_measured_values_undo_themselves(folder, manifest):
    reader = SampleReader(folder, manifest)
    own = measure_volumes(reader, np.arange(4), channels=1, statistics="picture")
    levelled = own.levelled(reader.image(2))
    batch = torch.from_numpy(levelled)[None].movedim(-1, 1)
    assert torch.allclose(own.normalise(batch), batch, atol=1e-4)
    whole = measure_volumes(reader, np.arange(4), channels=1, statistics="data_set")
    everything = np.concatenate([reader.image(index).ravel() for index in range(4)])
    assert whole.raw_mean[0] == pytest.approx(everything.mean(), rel=1e-5)
    assert whole.std[0] * (whole.high - whole.low) == pytest.approx(everything.std(), rel=1e-5)
    normalised = whole.normalise(torch.from_numpy(reader.image(1))[None].movedim(-1, 1))
    assert normalised.shape == (1, 1, 12, 12, 10)
    assert normalised[0, 0, 3, 4, 5] == pytest.approx(
        (reader.image(1)[3, 4, 5, 0] - everything.mean()) / everything.std(), rel=1e-4
    )

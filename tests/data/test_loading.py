"""Batches: the same stream for any number of workers, ranks, resumes and caches."""

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pixelwise.data import dataset as dataset_module
from pixelwise.data import sample_cache, workers
from pixelwise.data.augment import Augment
from pixelwise.data.dataset import Dataset
from pixelwise.data.draws import epoch_order, sample_generator
from pixelwise.data.loading import batch_positions, count_batches, load_batches
from pixelwise.data.manifest import build_manifest
from pixelwise.data.preprocess import Preprocess
from pixelwise.errors import DataError, MaskError, TrainingError, UsageError

PLAIN = Preprocess(channels=3, low=0.0, high=255.0, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))
TO_16 = Preprocess(
    channels=3, low=0.0, high=255.0, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2), resize="stretch", size=(16, 12)
)


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """30 pictures of 3 classes, all 20 x 18."""
    root = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(0)
    for k in range(30):
        write(root / "abc"[k % 3] / f"{k:02}.png", rng.integers(0, 256, (20, 18, 3)).astype(np.uint8))
    return root, build_manifest(root, use_cache=False)


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """Eight pictures of different size whose red channel is 100 times the label map."""
    root = tmp_path_factory.mktemp("masks")
    rng = np.random.default_rng(0)
    for k in range(8):
        labels = np.kron(rng.integers(0, 2, (4, 5 + k % 2)), np.ones((8, 8))).astype(np.uint8)
        image = rng.integers(0, 256, (*labels.shape, 3)).astype(np.uint8)
        image[..., 2] = labels * 100  # OpenCV writes BGR
        write(root / "images" / f"{k}.png", image)
        write(root / "masks" / f"{k}.png", labels)
    return root, build_manifest(root, use_cache=False)


def make(data, preprocess=PLAIN, *, augment="objects", crop=None, seed=5, cache="none", indices=None, **more):
    root, manifest = data
    indices = np.arange(len(manifest)) if indices is None else indices
    chosen = Augment.named(augment) if isinstance(augment, str) else augment
    return Dataset(manifest, root, indices, preprocess, augment=chosen, crop=crop, seed=seed, cache=cache, **more)


def stream(dataset, **options):
    settings = {"batch_size": 4, "epoch": 1, "shuffle": True, **options}
    return list(load_batches(dataset, **settings))


def assert_equal(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.indices, b.indices)
        torch.testing.assert_close(a.images, b.images, rtol=0, atol=0)
        torch.testing.assert_close(a.targets, b.targets, rtol=0, atol=0)


def test_batches_are_raw_channels_last_pictures_with_their_labels(classes):
    batches = stream(make(classes, augment=None))
    assert [len(batch.indices) for batch in batches] == [4] * 7 + [2]
    for batch in batches:
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape[1:] == (3, 20, 18)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.targets.dtype == torch.int64
        for image, label, index in zip(batch.images, batch.targets, batch.indices, strict=True):
            path = classes[0] / classes[1][int(index)].path
            np.testing.assert_array_equal(image.permute(1, 2, 0), cv2.imread(str(path))[..., ::-1])
            assert classes[1].classes[label] == path.parent.name
    order = np.concatenate([batch.indices for batch in batches])
    np.testing.assert_array_equal(order, epoch_order(30, seed=5, epoch=1, shuffle=True))


@pytest.mark.parametrize("augment", ["none", "objects", "cells", "imagenet", None])
def test_the_cache_changes_nothing(classes, augment):
    plain = make(classes, TO_16, augment=augment)
    cached = make(classes, TO_16, augment=augment, cache="memory")
    assert (plain.cached, cached.cached) == (False, True)
    for epoch in (0, 1):
        assert_equal(stream(plain, epoch=epoch), stream(cached, epoch=epoch))
    image, _ = cached.stored(3)
    assert image.shape == ((20, 18, 3) if augment == "imagenet" else (16, 12, 3))


def test_cached_files_are_read_once(classes, tmp_path, monkeypatch):
    data = make(classes, cache="memory")
    asked = []
    read = data._reader.image
    monkeypatch.setattr(data._reader, "image", lambda index: asked.append(index) or read(index))
    stream(data), stream(data, epoch=2)
    assert sorted(asked) == list(range(30))


@pytest.mark.parametrize("workers_", [1, 2])
@pytest.mark.parametrize("cache", ["none", "memory"])
def test_workers_give_the_same_stream(classes, workers_, cache):
    augment = Augment(flip_horizontal=0.5, rotate_degrees=20, noise=0.1)
    alone = stream(make(classes, augment=augment))
    data = make(classes, augment=augment, cache=cache)
    assert_equal(alone, stream(data, workers=workers_))
    assert_equal(alone, stream(data, workers=workers_))  # with what the first workers left in the cache
    assert_equal(alone, stream(data))


def test_workers_share_what_they_decode(classes):
    data = make(classes, cache="memory")
    stream(data, workers=2)
    assert data._cache is not None
    assert data._cache._filled.all()


@pytest.mark.parametrize("workers_", [0, 2])
@pytest.mark.parametrize("start", [0, 3, 7, 8])
def test_a_resumed_epoch_goes_on_with_the_same_batches(classes, workers_, start):
    data = make(classes, augment="cells")
    whole = stream(data)
    rest = stream(make(classes, augment="cells"), start_batch=start, workers=workers_)
    assert len(rest) == 8 - start
    if rest:
        assert_equal(whole[start:], rest)


def test_epochs_and_seeds_differ(classes):
    first = stream(make(classes))[0]
    assert not np.array_equal(first.indices, stream(make(classes), epoch=2)[0].indices)
    assert not np.array_equal(first.indices, stream(make(classes, seed=6))[0].indices)


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_share_one_global_order(classes, world_size, drop_last):
    data = make(classes)
    options = {"batch_size": 12 // world_size, "world_size": world_size, "drop_last": drop_last}
    ranks = [stream(data, rank=rank, **options) for rank in range(world_size)]
    assert {len(rank) for rank in ranks} == {
        count_batches(30, batch_size=12 // world_size, world_size=world_size, drop_last=drop_last)
    }
    together = [np.concatenate([batch.indices for batch in step]) for step in zip(*ranks, strict=True)]
    order = epoch_order(30, seed=5, epoch=1, shuffle=True)
    np.testing.assert_array_equal(np.concatenate(together), order[: 24 if drop_last else 30])
    assert [len(step) for step in together] == ([12, 12] if drop_last else [12, 12, 6])


def test_training_ranks_stay_in_step_and_evaluating_ranks_see_everything_once(classes):
    options = {"batch_size": 2, "world_size": 4}
    training = [stream(make(classes), rank=rank, **options) for rank in range(4)]
    assert {len(rank) for rank in training} == {4}
    assert count_batches(25, batch_size=2, world_size=4) == 3  # one sample is left for four ranks
    chosen = make(classes, indices=np.arange(25))
    assert {len(stream(chosen, rank=rank, **options)) for rank in range(4)} == {3}
    evaluating = [stream(chosen, rank=rank, shuffle=False, **options) for rank in range(4)]
    assert [len(rank) for rank in evaluating] == [4, 3, 3, 3]
    seen = np.concatenate([batch.indices for rank in evaluating for batch in rank])
    np.testing.assert_array_equal(np.sort(seen), np.arange(25))


def test_plans_of_nothing_are_empty(classes):
    assert batch_positions(np.arange(0), batch_size=3) == []
    assert count_batches(0, batch_size=3) == 0
    assert stream(make(classes, indices=np.arange(0), cache="auto")) == []


def test_label_maps_come_with_their_pictures(masks):
    data = make(masks, crop=(24, 20), augment="cells", cache="memory")
    for batch in stream(data, batch_size=8, workers=0):
        assert batch.images.shape == (8, 3, 24, 20)
        assert batch.targets.dtype == torch.uint8
        assert batch.targets.shape == (8, 24, 20)
    exact = make(masks, crop=(24, 20), augment=Augment(flip_horizontal=0.5, quarter_turns=True))
    for batch in stream(exact):
        torch.testing.assert_close(batch.images[:, 0], batch.targets * 100)


def test_evaluation_takes_the_centre_crop(masks):
    data = make(masks, crop=(16, 50), augment=None)
    image, labels = data.sample(0, 0)
    whole, whole_labels = data.stored(0)
    assert whole.shape == (32, 40, 3)
    np.testing.assert_array_equal(image, np.pad(whole, ((0, 0), (5, 5), (0, 0)), mode="reflect")[8:24])
    np.testing.assert_array_equal(labels, np.pad(whole_labels, ((0, 0), (5, 5)), mode="reflect")[8:24])


def test_whole_label_maps_are_gathered_from_the_cache(masks):
    data = make(masks, TO_16, augment=None, cache="memory")
    assert_equal(stream(data), stream(make(masks, TO_16, augment=None)))
    same = make(masks, indices=np.array([0, 2, 4]), augment=None, cache="memory")
    assert stream(same)[0].targets.shape == (3, 32, 40)


def test_the_augmentation_gets_the_range_and_the_mean_colour(classes):
    far = Preprocess(channels=3, low=0.0, high=255.0, mean=(0.0, 0.5, 1.0), std=(1.0,) * 3)
    data = make(classes, far, augment=Augment(shift_px=9, border="fill"))
    images = torch.cat([batch.images for batch in stream(data)])
    corner = images[:, :, 0, 0]
    assert (corner == torch.tensor([0, 127, 255])).all(dim=1).float().mean() > 0.3
    sample = data.sample(4, 1)[0]
    again, _ = data.augment.apply(data.stored(4)[0], None, sample_generator(5, 1, 4), fill=far.raw_mean)
    np.testing.assert_array_equal(sample, again)


def test_pictures_of_different_size_in_one_batch_are_refused(masks):
    for options in ({}, {"workers": 1}, {"cache": "memory"}):
        data = make(masks, augment=None, cache=options.pop("cache", "none"))
        with pytest.raises(DataError) as caught:
            stream(data, shuffle=False, **options)
        assert str(caught.value) == (
            "Pictures of different size in one batch: images/0.png with 32 x 40 and images/1.png with 32 x 48 pixels. "
            "Expected one size. Set crop (random crops of one size), or resize and size (all pictures to one size), "
            "or batch_size=1."
        )
    assert len(stream(make(masks, augment=None), batch_size=1)) == 8


def test_a_mask_of_another_size_is_refused(masks, monkeypatch):
    data = make(masks, augment=None)
    monkeypatch.setattr(data._reader, "label_map", lambda index: np.zeros((3, 4), np.uint8))
    with pytest.raises(MaskError) as caught:
        data.stored(0)
    assert str(caught.value) == (
        "The mask of images/0.png has 3 x 4 pixels. Expected 32 x 40, as the image. "
        "Correct the pair; run `pixelwise check` for all of them."
    )


def test_pictures_of_different_type_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(4):
        write(
            tmp_path / "ab"[k % 2] / f"{k}.png", rng.integers(0, 256, (9, 9)).astype(np.uint8 if k < 3 else np.uint16)
        )
    with pytest.raises(DataError) as caught:
        make((tmp_path, build_manifest(tmp_path, use_cache=False)))
    assert str(caught.value) == (
        "The pictures are of different types: uint8, uint16. Expected one type, so that their values mean the same. "
        "Convert the pictures to one type."
    )


def test_sixteen_bit_pictures_stay_sixteen_bit_through_workers(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(4):
        write(tmp_path / "ab"[k % 2] / f"{k}.png", rng.integers(0, 2**16, (9, 9)).astype(np.uint16))
    data = (tmp_path, build_manifest(tmp_path, use_cache=False))
    frame = Preprocess(channels=1, low=0.0, high=65_535.0, mean=(0.5,), std=(0.3,))
    found = stream(make(data, frame, cache="memory"), workers=1)
    assert found[0].images.dtype == torch.uint16
    assert_equal(found, stream(make(data, frame)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0. Expected at least 1. Correct the number."),
        ({"workers": -1}, "workers=-1. Expected at least 0. Correct the number."),
        ({"start_batch": -2}, "start_batch=-2. Expected at least 0. Correct the number."),
        ({"rank": 2, "world_size": 2}, "rank=2 of 2. Expected 0 <= rank < world_size. Correct the numbers."),
    ],
)
def test_impossible_numbers_are_refused(classes, options, message):
    with pytest.raises(UsageError) as caught:
        stream(make(classes), **options)
    assert str(caught.value) == message


def test_impossible_choices_are_refused(classes):
    with pytest.raises(
        UsageError, match=r"crop=\(0, 4\)\. Expected height and width of at least 1\. Correct the crop\."
    ):
        make(classes, crop=(0, 4))
    with pytest.raises(UsageError, match=r"cache='disk'\. Expected auto, memory or none\. Choose one of them\."):
        make(classes, cache="disk")


def test_auto_caches_what_fits_into_a_quarter_of_the_free_memory(classes, monkeypatch):
    needed = 30 * 20 * 18 * 3
    monkeypatch.setattr(dataset_module, "free_memory_bytes", lambda: needed * 4)
    assert make(classes, cache="auto").cached
    monkeypatch.setattr(dataset_module, "free_memory_bytes", lambda: needed * 4 - 1)
    assert not make(classes, cache="auto").cached
    assert make(classes, TO_16, cache="auto").cached  # smaller once resized
    assert not make(classes, TO_16, cache="auto", augment="imagenet").cached  # kept in full resolution


def test_free_memory_is_what_the_machine_and_the_control_group_leave(tmp_path, monkeypatch):
    assert 1 << 20 < sample_cache.free_memory_bytes() < 1 << 46
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(sample_cache, "_LIMITS", (str(limit), str(used)))
    machine = sample_cache.free_memory_bytes()
    limit.write_text("max\n")
    used.write_text("5\n")
    assert sample_cache.free_memory_bytes() == pytest.approx(machine, rel=0.2)
    limit.write_text("1000\n")
    assert sample_cache.free_memory_bytes() == 995
    used.write_text("2000\n")
    assert sample_cache.free_memory_bytes() == 0
    monkeypatch.setattr(sample_cache, "_MEMORY_TABLE", str(tmp_path / "none"))
    assert sample_cache._machine_free_bytes() > 1 << 20


def test_a_process_started_afresh_begins_with_an_empty_cache(classes):
    data = make(classes, cache="memory")
    expected = stream(data)
    content = pickle.dumps(data)
    assert len(content) < 20_000
    copy = pickle.loads(content)
    assert not copy._cache._filled.any()
    assert_equal(stream(copy), expected)


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_killed_worker_gives_one_clear_error_and_no_hang(classes, monkeypatch, when):
    """The worker kills itself, as the system does when memory runs out."""
    data = make(classes, cache="none")
    parent, read = os.getpid(), data.arrays

    def die(positions, epoch):
        if os.getpid() != parent and (when == "before" or 7 in positions):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(positions, epoch)

    monkeypatch.setattr(data, "arrays", die)
    start = time.monotonic()
    with pytest.raises(TrainingError) as caught:
        stream(data, workers=2)
    assert time.monotonic() - start < 30
    assert str(caught.value) == (
        "A process that loads data died (killed by SIGKILL). Expected all 2 of them to live as long as the epoch. "
        "Often memory ran out: use fewer workers or none (workers=0), or smaller batches."
    )
    assert not multiprocessing.active_children()


def test_a_worker_that_leaves_is_noticed(classes, monkeypatch):
    data = make(classes)
    monkeypatch.setattr(data, "arrays", lambda positions, epoch: os._exit(3))
    with pytest.raises(TrainingError, match=r"A process that loads data died \(exit code 3\)"):
        stream(data, workers=1)


def test_an_abandoned_epoch_ends_its_workers(classes):
    batches = load_batches(make(classes), batch_size=2, epoch=0, shuffle=True, workers=2)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    del batches
    assert not multiprocessing.active_children()


def test_workers_end_when_their_parent_is_killed(classes, monkeypatch):
    """Each holds its siblings' pipes, so none of them sees its own close."""
    monkeypatch.setattr(workers, "_ORPHAN_SECONDS", 0.2)

    def parent(pipe):
        batches = load_batches(make(classes), batch_size=2, epoch=0, shuffle=True, workers=2)
        next(batches)
        pipe.send([child.pid for child in multiprocessing.active_children()])
        time.sleep(60)

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=parent, args=(there,))
    process.start()
    children = here.recv()
    process.kill()
    process.join()
    deadline = time.monotonic() + 20
    while any(running(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(running(pid) for pid in children)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_processes_started_afresh_give_the_same_stream(classes, monkeypatch):
    """As where processes cannot be forked: nothing is shared but the batches."""
    monkeypatch.setattr(workers, "_FORKS", False)
    assert_equal(stream(make(classes, cache="memory"), workers=1), stream(make(classes)))


@pytest.fixture
def handlers():
    """A worker's own signal handlers do not outlive the test that runs it in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_worker_answers_every_request_and_leaves_with_its_parent(classes, monkeypatch):
    data = make(classes)
    read = data.arrays

    def arrays(positions, epoch):
        if 5 in positions:
            raise DataError("five")
        if 6 in positions:
            raise RuntimeError("six")
        return read(positions, epoch)

    monkeypatch.setattr(data, "arrays", arrays)
    size = workers._batch_bytes(data, 2)
    memory = bytearray(workers._AHEAD * size)
    here, there = multiprocessing.Pipe()
    for request in ((0, [3, 4]), (1, [5]), (0, [6]), (1, [1, 2])):
        here.send((request[0], np.array(request[1])))
    answers = []
    send = there.send
    monkeypatch.setattr(
        there, "send", lambda answer: (answers.append(answer), here.close() if len(answers) == 4 else send(answer))
    )
    workers._work(data, 2, there, memory, os.getppid())
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert answers[0] == (((2, 20, 18, 3), "|u1"), ((2,), "<i8"))
    assert str(answers[1]) == "five."
    assert "RuntimeError: six" in answers[2]
    slots = np.frombuffer(memory, np.uint8).reshape(workers._AHEAD, size)
    images, targets = workers._views(slots[1], *answers[3])
    expected = read(np.array([1, 2]), 2)
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(targets, expected[1])


@pytest.mark.usefixtures("handlers")
def test_a_worker_leaves_when_it_has_another_parent(classes, monkeypatch):
    monkeypatch.setattr(workers, "_ORPHAN_SECONDS", 0.01)
    _, there = pipes = multiprocessing.Pipe()
    workers._work(make(classes), 0, there, bytearray(16), os.getppid() + 1)
    assert len(pipes) == 2


class Unresponsive:
    """A process that is there and does not end."""

    exitcode = None

    def __init__(self):
        self.sentinel, self._other = os.pipe()

    def join(self, timeout=None):
        pass


def test_a_closed_pipe_is_a_death_as_well():
    here, there = multiprocessing.Pipe()
    there.close()
    team = [workers._Worker(Unresponsive(), here, np.zeros((2, 16), np.uint8))]
    message = r"A process that loads data died \(its pipe closed\)"
    with pytest.raises(TrainingError, match=message):
        workers._ask(team, 0, np.arange(2))
    with pytest.raises(TrainingError, match=message):
        workers._take(team, 0)


def test_programming_errors_in_workers_are_not_dressed_up(classes, monkeypatch):
    data = make(classes)

    def fail(positions, epoch):
        raise RuntimeError("bug")

    monkeypatch.setattr(data, "arrays", fail)
    with pytest.raises(RuntimeError, match=r"A process that loads data failed:(.|\n)*bug"):
        list(workers.read_ahead(data, [np.arange(2)], 0, 1))

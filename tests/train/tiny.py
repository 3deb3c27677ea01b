"""Small training set-ups that need no files: a data set in memory, and a job around it."""

import dataclasses

import numpy as np
import torch

from pixelwise import catalogue
from pixelwise.data.preprocess import Preprocess
from pixelwise.runs.journal import Journal
from pixelwise.tasks import make_task
from pixelwise.training.checkpoint import TrainState
from pixelwise.training.ema import MovingAverage
from pixelwise.training.job import Job
from pixelwise.training.loop import fit
from pixelwise.training.optim import make_optimiser
from pixelwise.training.progress import Silent
from pixelwise.training.recipe import Recipe
from pixelwise.training.signals import StopRequest

PREPROCESS = Preprocess(channels=1, low=0, high=255, mean=(0.5,), std=(0.25,))


class MemoryDataset:
    """What the loop and ``load_batches`` ask of a data set."""

    numbers = None

    def __init__(self, images, targets, seed=0):
        self.images, self.targets, self.seed = images, targets, seed

    def __len__(self):
        return len(self.images)

    def arrays(self, positions, epoch):
        return self.images[positions], self.targets[positions], positions


def digits(count, classes=4, size=28, seed=0):
    """Noise with a bright quarter that tells the class."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (count, size, size, 1), dtype=np.uint8)
    labels = np.arange(count) % classes
    half = size // 2
    for image, label in zip(images, labels, strict=True):
        image[label // 2 * half :, label % 2 * half :][:half, :half] += 100
    return MemoryDataset(images, labels.astype(np.int64), seed)


def blobs(count, size=32, seed=0):
    """Noise with a bright square, and its label map."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (count, size, size, 1), dtype=np.uint8)
    maps = np.zeros((count, size, size), np.uint8)
    for image, label_map in zip(images, maps, strict=True):
        top, left = rng.integers(2, size - 14, 2)
        image[top : top + 12, left : left + 12] += 120
        label_map[top : top + 12, left : left + 12] = 1
    return MemoryDataset(images, maps, seed)


def lenet():
    return catalogue.spec("lenet5_relu")


def small_unet(**changes):
    return catalogue.spec("unet16").replace(**{"widths": (4, 8, 16), **changes})


def make_state(spec, num_outputs, recipe, seed=0):
    torch.manual_seed(seed)
    network = spec.build(1, num_outputs).to(memory_format=torch.channels_last)
    average = MovingAverage(network, recipe.ema_decay) if recipe.ema_decay else None
    return TrainState(network, make_optimiser(recipe, network), average, torch.zeros((), dtype=torch.float64))


def make_job(folder, task, recipe, train_set, val_set=None, **changes):
    folder.mkdir(exist_ok=True)
    job = Job(
        folder=folder, task=task, recipe=recipe, epochs=recipe.epochs or 1, train_set=train_set, val_set=val_set,
        val_batch_size=16, preprocess=PREPROCESS, device=torch.device("cpu"), dtype=torch.float32, seed=0, workers=0,
        identity={"seed": 0}, journal=Journal(folder), progress=Silent(), stop=StopRequest(),
        describe_batch=lambda indices: [f"picture-{index}.png" for index in indices], save_best=lambda state: None,
        checkpoint_seconds=1e9,
    )  # fmt: skip
    return dataclasses.replace(job, **changes)


def classifier(folder, recipe, *, count=16, spec=None, val=False, **changes):
    """Return a job and a fresh state of a small LeNet on four classes."""
    task = make_task("classification", ("a", "b", "c", "d"), loss=recipe.loss)
    job = make_job(folder, task, recipe, digits(count), digits(16, seed=9) if val else None, **changes)
    return job, make_state(spec or lenet(), 4, recipe)


def train_classifier(folder, recipe, **arguments):
    job, state = classifier(folder, recipe, **arguments)
    fit(job, state)
    return state


def tiny_recipe(**changes):
    fields = {
        "epochs": 2, "batch_size": 8, "optimiser": "sgd", "learning_rate": 0.02, "schedule": "constant",
    }  # fmt: skip
    return Recipe(**{**fields, **changes})

"""Untrained models, small enough for every test that needs one."""

import json
from pathlib import Path

import torch

from pixelwise import catalogue
from pixelwise.data.preprocess import Preprocess
from pixelwise.runs.model import RECORD_FILE, Model
from pixelwise.tasks import make_task


def preprocess(channels: int = 1, **changes: object) -> Preprocess:
    fields = {"channels": channels, "low": 0.0, "high": 255.0, "mean": (0.4,) * channels, "std": (0.2,) * channels}
    return Preprocess(**(fields | changes))  # type: ignore[arg-type]


def segmenter(
    seed: int = 0, classes: tuple[str, ...] = ("background", "cell"), channels: int = 1, **changes: object
) -> Model:
    """A two-level U-Net; ``changes`` are columns of its spec."""
    torch.manual_seed(seed)
    spec = catalogue.spec("unet16").replace(**({"widths": (4, 8)} | changes))
    task = make_task("segmentation", classes)
    network = spec.build(channels, task.num_outputs)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.2, 0.2)  # not the initial 0, so that losing it shows
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return Model(network, spec, task, preprocess(channels), {"created": "2026-01-01T00:00:00Z", "licence": "CC0-1.0"})


def classifier(seed: int = 0, channels: int = 1, classes: tuple[str, ...] = ("cat", "dog", "owl")) -> Model:
    torch.manual_seed(seed)
    spec = catalogue.spec("lenet5_relu")
    task = make_task("classification", classes)
    network = spec.build(channels, task.num_outputs)
    return Model(network, spec, task, preprocess(channels, resize="stretch", size=(28, 28)))


def rewrite(folder: Path, **changes: object) -> None:
    """Change fields of a saved model's record; ``None`` takes a field away."""
    path = folder / RECORD_FILE
    record = {key: value for key, value in (json.loads(path.read_text()) | changes).items() if value is not None}
    path.write_text(json.dumps(record))

"""Small labelled data sets, and runs that were never trained."""

import cv2
import numpy as np

from pixelwise.runs.folder import Run, RunConfig
from pixelwise.runs.model import save_model

CLASSES = ("cat", "dog", "owl")


def write_picture(path, seed, size=(28, 28)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (5, 5), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))


def class_folders(root, classes=CLASSES, each=6, first_seed=0):
    for place, name in enumerate(classes):
        for index in range(each):
            write_picture(root / name / f"{index}.png", first_seed + 100 * place + index)
    return root


def mask_folder(root, count=4, size=(40, 56), names="background\ncell\n", swap=False):
    for index in range(count):
        write_picture(root / "images" / f"{index}.png", index, size)
        mask = np.zeros(size, np.uint8)
        mask[5 : 20 + index, 8:30] = 1
        mask[:, 50:] = 255
        if swap:
            mask = np.where(mask == 255, mask, 1 - mask)
        (root / "masks").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "masks" / f"{index}.png"), mask)
    if names:
        (root / "classes.txt").write_text(names)
    return root


def make_run(path, model, root, manifest):
    config = RunConfig(
        name="r", created="2030-01-01T00:00:00+00:00", status="finished", pixelwise="0", torch="2", python="3",
        machine={}, command=[], spec=model.spec.to_json(), in_channels=1, num_classes=model.task.num_outputs,
        task=model.task.to_json(), recipe={}, preprocess=model.preprocess.to_json(), seed=0, workers=0, device="cpu",
        threads=1, precision="float32", deterministic=False, checkpoint_seconds=1.0, checkpoint_steps=None,
        data={"root": str(root)}, init_weights=None,
    )  # fmt: skip
    run = Run.create(path, config, manifest)
    save_model(path / "model", model)
    return run

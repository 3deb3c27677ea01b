"""Training on data with pictures whose headers are sound and whose pixels are not."""

import cv2
import numpy as np
import pytest
import tifffile

from pixelwise.errors import DataError, Interrupted
from pixelwise.runs.folder import Run
from pixelwise.training import loop
from pixelwise.training.session import resume, train

SETTINGS = {"epochs": "2", "batch_size": "8", "hidden": "8,8", "schedule": "constant", "augment": "none"}
BAD = ["left/3.png", "right/nan.tif"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root, rng = tmp_path / "sides", np.random.default_rng(1)
    for label, name in enumerate(("left", "right")):
        (root / name).mkdir(parents=True)
        for number in range(10):
            image = rng.integers(0, 120, (28, 28), dtype=np.uint8)
            image[:, label * 14 :][:, :14] += 100
            cv2.imwrite(str(root / name / f"{number}.png"), image)
    content = bytearray((root / "left" / "3.png").read_bytes())
    content[len(content) // 2] ^= 255  # a wrong checksum amid the pixels
    (root / "left" / "3.png").write_bytes(content)
    tifffile.imwrite(root / "right" / "nan.tif", np.full((28, 28), np.nan, np.float32))
    return root


def start(data, out, **changes):
    return train(data, "mlp_784_300_10", settings=SETTINGS, out=out, quiet=True, **changes)


def test_refused(data, tmp_path):
    with pytest.raises(DataError) as caught:
        start(data, tmp_path / "run")
    assert "Files with sound headers that cannot be decoded (2): left/3.png is damaged" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_skipped_and_recorded(data, tmp_path):
    run = start(data, tmp_path / "run", bad_images="skip")
    assert run.status == "finished"
    skipped = dict(map(tuple, run.config.data["skipped"]))
    assert sorted(skipped) == BAD
    assert skipped["right/nan.tif"] == "holds 784 values of 784 that are NaN or infinite"
    assert run.config.data["num_samples"] == 19
    assert {"undecodable"} <= {finding["code"] for finding in run.config.data["findings"]}


def test_resuming_leaves_out_the_same(data, tmp_path, monkeypatch):
    whole = start(data, tmp_path / "whole", bad_images="skip")
    with monkeypatch.context() as patch:

        def stop(job, network, val_set):
            raise Interrupted(15)

        patch.setattr(loop, "validate", stop)
        with pytest.raises(Interrupted):
            start(data, tmp_path / "run", bad_images="skip")
    run = resume(tmp_path / "run", quiet=True)
    assert run.status == "finished"
    assert Run.open(run.path).manifest.digest() == whole.manifest.digest()

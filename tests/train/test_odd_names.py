"""Folders and files whose names hold quotes, markup, line breaks and bytes that are no UTF-8, from end to end."""

import os

import numpy as np
from PIL import Image

from pixelwise.predict.files import predict_files
from pixelwise.predict.predictor import Predictor
from pixelwise.reporting.write import write_report
from pixelwise.training.session import resume, train

SETTINGS = {"epochs": "1", "batch_size": "8", "hidden": "8,8", "schedule": "constant", "augment": "none"}
FILES = [b"new\nline.jpg", b"bad\xff\xfe.jpg", b"q\"u'ote.jpg", b"<b>bold.jpg", *(b"%d.jpg" % k for k in range(8))]


def test_train_predict_and_report(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / os.fsdecode(b"data \xff\n")
    rng = np.random.default_rng(0)
    for label, name in enumerate(('a"b', "<x>")):
        (root / name).mkdir(parents=True)
        for file in FILES:
            pixels = rng.integers(0, 90, (28, 28), np.uint8)
            pixels[:, 14 * label :][:, :14] += 120
            with (root / name / os.fsdecode(file)).open("wb") as stream:
                Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    out = tmp_path / "run"
    run = train(root, "mlp_784_300_10", settings=SETTINGS, out=out, quiet=True, class_weights="balanced")
    assert run.config.data["root"] == str(root)
    assert resume(out, quiet=True).status == "finished"
    page = write_report(out).read_text(encoding="utf-8")
    assert "<x>" not in page
    assert "&lt;x&gt;" in page
    assert "\nline.jpg" not in page
    summary = predict_files(Predictor.load(out), [root], tmp_path / "predictions")
    assert (summary.predicted, len(summary.failures)) == (24, 0)
    table = summary.table.read_text(encoding="utf-8")
    assert r"new\nline.jpg" in table
    assert r"bad\xff\xfe.jpg" in table

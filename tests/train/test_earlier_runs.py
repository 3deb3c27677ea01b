"""Runs that an earlier version began go on: what changed since is told from what is another run."""

import cv2
import numpy as np
import pytest

from pixelwise.data import mask_classes
from pixelwise.data.manifest import build_manifest
from pixelwise.errors import RunError
from pixelwise.training import session
from pixelwise.training.checkpoint import Counters
from pixelwise.training.continuation import begin_comparison
from pixelwise.training.identity import check_same_data
from pixelwise.training.source import DataOptions

CLASSES = ("background", "cell", "void")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number in range(6):
        cv2.imwrite(str(root / "images" / f"{number}.png"), rng.integers(0, 256, (16, 16), dtype=np.uint8))
        cv2.imwrite(str(root / "masks" / f"{number}.png"), rng.integers(0, 3, (16, 16), dtype=np.uint8))
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


def keeping_ignored(patch):
    """As classes that are ignored were indexed once."""
    patch.setattr(mask_classes, "_without_ignored", lambda names, _options: (names, ""))


def test_a_run_whose_last_class_is_ignored_goes_on_with_it(data, tmp_path):
    arguments = {"settings": {"widths": "4,8", "epochs": "2", "augment": "none"}, "options": DataOptions(ignore=2)}
    with pytest.MonkeyPatch.context() as patch:
        keeping_ignored(patch)
        patch.setattr(session, "fit", lambda _job, _state: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            session.train(data, "unet16", **arguments, out=tmp_path / "run", quiet=True, should_check=False)
    run = session.resume(tmp_path / "run", quiet=True)
    assert (run.status, run.manifest.classes) == ("finished", CLASSES)
    assert session.train(data, "unet16", **arguments, out=tmp_path / "run", on_existing="resume", quiet=True)


def test_other_classes_are_other_data(data):
    with pytest.MonkeyPatch.context() as patch:
        keeping_ignored(patch)
        then = build_manifest(data, ignore=2, use_cache=False)
    (data / "classes.txt").write_text("background\nnucleus\nvoid")
    with pytest.raises(RunError, match="classes background, cell, void -> background, nucleus"):
        check_same_data(then, build_manifest(data, ignore=2, use_cache=False), data)
    (data / "classes.txt").write_text("background\ncell")
    (data / "masks" / "0.png").unlink()
    (data / "images" / "0.png").unlink()
    with pytest.raises(RunError, match=r"1 removed \(images/0.png\)"):
        check_same_data(then, build_manifest(data, ignore=2, use_cache=False), data)


def test_the_value_of_another_score_is_not_compared():
    events = [{"event": "best", "metric": "mean_dice", "value": 0.93}, {"event": "epoch", "val": {"mean_dice": 0.9}}]
    counters = Counters(epoch=2, best=0.93, best_loss=0.2, best_epoch=1)
    assert begin_comparison(counters, events, "mean_dice") == ""
    assert counters.best == 0.93
    assert begin_comparison(counters, events, "foreground_dice").startswith("The best weights so far are those of mean")
    assert counters.is_better(0.4, 0.9)
    assert (counters.best, counters.best_loss) == (None, None)
    later = [*events, {"event": "best", "metric": "foreground_dice", "value": 0.4}]
    again = Counters(best=0.4, best_loss=0.3)
    assert begin_comparison(again, later, "foreground_dice") == ""
    assert again.best == 0.4

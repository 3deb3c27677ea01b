import json
import sys
from datetime import datetime

import pytest
from fake_runs import START, NoData, config, write_journal

from pixelwise.errors import RunError, UsageError
from pixelwise.reporting import write_tensorboard
from pixelwise.runs.folder import CONFIG_NAME


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / CONFIG_NAME).write_text(json.dumps(config(NoData(), tmp_path).to_json()))
    write_journal(folder, epochs=3, steps_per_epoch=10, metric="top1", extra=("top5",))
    return folder


def read_back(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {tag: accumulator.Scalars(tag) for tag in accumulator.Tags()["scalars"]}


def test_every_number_of_the_journal_comes_back(run, tmp_path):
    target = write_tensorboard(run, tmp_path / "logs" / "a")
    assert target.parent == tmp_path / "logs" / "a"
    curves = read_back(target.parent)
    journal = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    steps = [entry for entry in journal if entry["event"] == "step"]
    epochs = [entry for entry in journal if entry["event"] == "epoch"]
    expected = {
        "loss/step": [(e["step"], e["loss"]) for e in steps],
        "learning_rate": [(e["step"], e["lr"]) for e in steps],
        "loss/train": [(e["step"], e["train_loss"]) for e in epochs],
        "loss/val": [(e["step"], e["val_loss"]) for e in epochs],
        "val/top1": [(e["step"], e["val"]["top1"]) for e in epochs],
        "val/top5": [(e["step"], e["val"]["top5"]) for e in epochs],
        "speed/images_per_second": [(e["step"], e["images_per_second"]) for e in epochs],
    }
    assert curves.keys() == expected.keys()
    for tag, points in expected.items():
        assert [(point.step, pytest.approx(point.value, rel=1e-6)) for point in curves[tag]] == points
    assert curves["loss/val"][0].wall_time == datetime.fromisoformat(epochs[0]["time"]).timestamp()


def test_writing_again_replaces_the_file(run, tmp_path):
    first = write_tensorboard(run, tmp_path / "logs")
    write_journal(run, epochs=4, steps_per_epoch=10, metric="top1")
    second = write_tensorboard(run, tmp_path / "logs")
    assert first == second
    assert first.name == f"events.out.tfevents.{int(START.timestamp())}.pixelwise"
    assert len(read_back(tmp_path / "logs")["val/top1"]) == 4
    assert [path.name for path in (tmp_path / "logs").iterdir()] == [first.name]


def test_a_loss_that_was_not_finite_is_left_out(run, tmp_path):
    line = {"event": "step", "time": START.isoformat(), "step": 1, "epoch": 0, "loss": None, "lr": 0.5}
    (run / "journal.jsonl").write_text(json.dumps(line) + "\n")
    write_tensorboard(run, tmp_path / "logs")
    assert list(read_back(tmp_path / "logs")) == ["learning_rate"]


def test_a_run_without_a_journal_has_an_empty_file(run, tmp_path):
    (run / "journal.jsonl").unlink()
    write_tensorboard(run, tmp_path / "logs")
    assert read_back(tmp_path / "logs") == {}


def test_without_tensorboard_the_extra_is_named(run, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError) as caught:
        write_tensorboard(run, tmp_path / "logs")
    assert str(caught.value) == (
        "TensorBoard is not installed. Expected the extra 'tensorboard'. Run: pip install 'pixelwise[tensorboard]'."
    )
    assert not (tmp_path / "logs").exists()


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="is not a run"):
        write_tensorboard(tmp_path, tmp_path / "logs")

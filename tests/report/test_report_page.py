"""The page as a reader's browser gets it: whole, closed to the network, escaped, small, and true to the run's files."""

import json
import re

import numpy as np
import pytest
from fake_runs import classification_scores, make_run, segmentation_scores, write_journal, write_scores
from page_reading import Page, check_closed, read
from PIL import Image

from pixelwise import catalogue
from pixelwise.data.manifest import build_manifest
from pixelwise.errors import OutputError, RunError
from pixelwise.reporting import write_report
from pixelwise.reporting.write import LIMIT_BYTES

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fly")


def write_classes(root, names=CLASSES, per_split=(("train", 4), ("val", 2), ("test", 5)), side=24):
    rng = np.random.default_rng(5)
    for split, n in per_split:
        for name in names:
            folder = root / split / name
            folder.mkdir(parents=True)
            for k in range(n):
                pixels = rng.integers(0, 256, (side, side), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{name}{k}.png")
    return root


@pytest.fixture(scope="module")
def class_data(tmp_path_factory):
    root = write_classes(tmp_path_factory.mktemp("insects"))
    return root, build_manifest(root)


@pytest.fixture
def class_run(tmp_path, class_data):
    root, manifest = class_data
    run = make_run(tmp_path / "run", manifest, root)
    write_journal(run.path, epochs=6, steps_per_epoch=50, metric="top1", extra=("top5",))
    write_scores(run.path, classification_scores(manifest))
    return run.path


@pytest.fixture(scope="module")
def mask_data(tmp_path_factory):
    root = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(5)
    for split, n in (("train", 3), ("val", 1), ("test", 4)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for k in range(n):
            mask = np.zeros((48, 64), np.uint8)
            mask[8 : 20 + k, 10:40] = 255
            pixels = np.where(mask > 0, 180, 60) + rng.integers(-20, 20, mask.shape)
            Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / split / f"{split}{k}.png")
            Image.fromarray(mask).save(root / "masks" / split / f"{split}{k}.png")
    return root, build_manifest(root)


@pytest.fixture
def mask_run(tmp_path, mask_data):
    from pixelwise.data.preprocess import Preprocess
    from pixelwise.runs.model import Model, save_model
    from pixelwise.tasks import make_task

    root, manifest = mask_data
    spec = catalogue.spec("unet").replace(padding="same", widths=(4, 8))
    task = make_task("segmentation", manifest.classes)
    preprocess = Preprocess(channels=1, low=0.0, high=255.0, mean=(0.4,), std=(0.2,), resize="none", size=None)
    outputs = task.num_outputs
    run = make_run(
        tmp_path / "run", manifest, root, spec=spec.to_json(), task=task.to_json(), preprocess=preprocess.to_json(),
        num_classes=outputs, in_channels=1,
    )  # fmt: skip
    save_model(run.path / "model", Model(spec.build(1, outputs), spec, task, preprocess, {}))
    write_journal(run.path, epochs=3, steps_per_epoch=10, metric="mean_iou")
    write_scores(run.path, segmentation_scores(manifest))
    return run.path


def change(run, **fields):
    content = json.loads((run / "run.json").read_text())
    for key, value in fields.items():
        if isinstance(value, dict):
            content[key].update(value)
        else:
            content[key] = value
    (run / "run.json").write_text(json.dumps(content))


def test_a_classification_report_is_whole_and_closed(class_run):
    target = write_report(class_run)
    assert target == class_run / "report.html"
    page = read(target)
    check_closed(page)
    anchors = [a["href"] for a in page.all("a") if a["href"].startswith("#")]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {anchor[1:] for anchor in anchors} <= set(ids)
    expected = ["notes", "scores", "curves", "confusion", "classes", "calibration", "predictions", "data", "method"]
    assert [section["id"] for section in page.all("section")] == [*expected, "reproduce"]
    assert len(page.all("img")) == 18
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert "pixelwise train" in page.text
    assert target.stat().st_size < 400_000


def test_the_numbers_are_those_of_the_files(class_run):
    scores = json.loads((class_run / "scores.json").read_text())
    source = write_report(class_run).read_text(encoding="utf-8")
    page = Page(source)
    values = [data["value"] for data in page.all("data")]
    for entry in scores["scores"]:
        assert repr(entry["value"]) in values
        assert f"{100 * entry['value']:.1f}\u00a0%" in source
        if entry["low"] is not None:
            assert f"{100 * entry['low']:.1f} to {100 * entry['high']:.1f}\u00a0%" in source
    cells = [cell["data-sort"] for cell in page.all("td") if "data-sort" in cell]
    expected = [
        "" if row[key] is None else repr(row[key])
        for row in scores["classes"]
        for key in ("n", "precision", "recall", "f1")
    ]
    assert cells[: len(expected)] == expected
    held = next(
        json.loads(script) for script in page.scripts if script.lstrip().startswith("{") and '"counts"' in script
    )
    assert held["counts"] == scores["confusion"]
    assert held["names"] == list(CLASSES)
    assert repr(scores["calibration"]["ece"]) in values
    by_score = sorted(scores["samples"], key=lambda sample: sample["score"])
    shown = [image["alt"] for image in page.all("img")]
    assert shown[:12] == [sample["path"] for sample in by_score[:12]]
    best = [max((s for s in by_score[12:] if s["truth"] == name), key=lambda s: s["score"]) for name in CLASSES]
    best.sort(key=lambda sample: -sample["score"])
    assert shown[12:] == [sample["path"] for sample in best]


def test_the_facts_of_the_run_are_on_the_page(class_run):
    change(class_run, spec=catalogue.spec("lenet5_relu").to_json())
    text = read(write_report(class_run)).text
    for fact in (
        "24 training · 12 validation · 30 test",
        "Standard deviation 0.353",
        "Batch size 64",
        "2.13.0",
        "Seed 7",
    ):
        assert fact in text
    assert "LeCun" in text


def test_a_segmentation_report_shows_four_panels_for_each_picture(mask_run):
    page = read(write_report(mask_run))
    check_closed(page)
    alts = [image["alt"] for image in page.all("img")]
    assert len(alts) == 16  # of four pictures, three are the worst and one is the best
    assert alts[:4] == [f"{what} of images/test/test0.png" for what in ("Picture", "Truth", "Prediction", "Errors")]
    assert alts[-1] == "Errors of images/test/test3.png"
    assert "error: not found" in page.text
    assert "Parameters" in page.text


def test_without_a_model_the_panels_that_can_be_drawn_remain(mask_run):
    (mask_run / "model" / "weights.safetensors").unlink()
    page = read(write_report(mask_run))
    assert len(page.all("img")) == 8
    assert "Not all could be drawn" in page.text


def test_a_picture_that_vanished_is_named(class_data, tmp_path):
    root = write_classes(tmp_path / "data", per_split=(("test", 3),))
    manifest = build_manifest(root)
    run = make_run(tmp_path / "run", manifest, root)
    write_scores(run.path, classification_scores(manifest))
    (root / "test" / "ant" / "ant0.png").write_bytes(b"")
    page = read(write_report(run.path))
    assert len(page.all("img")) == 17
    assert "The picture cannot be shown" in page.text


EVIL = '<script>alert("1")</script>&amp;'


def test_everything_from_the_data_is_escaped(tmp_path):
    names = ("<b>bold", EVIL.replace("/", "|"), "';--")
    root = write_classes(tmp_path / "data", names, (("test", 7),))
    manifest = build_manifest(root)
    run = make_run(
        tmp_path / "run", manifest, root, name=EVIL, command=["pixelwise", EVIL], device=EVIL,
        recipe={"name": EVIL, EVIL: EVIL}, machine={EVIL: EVIL}, init_weights={"file": EVIL},
    )  # fmt: skip
    finding = {"severity": "warning", "code": "x", "message": EVIL, "paths": [EVIL], "fix": EVIL}
    change(run.path, data={"findings": [finding], "skipped": [[EVIL, EVIL]]})
    scores = classification_scores(manifest)
    scores["empty_class_rule"] = EVIL
    write_scores(run.path, scores)
    write_journal(run.path, epochs=2, steps_per_epoch=5, metric=EVIL)
    page = read(write_report(run.path))
    check_closed(page)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 2  # the counts of the matrix, and the page's own
    assert page.text.count(EVIL) >= 11
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


@pytest.mark.parametrize(
    ("status", "epochs", "sentence"),
    [
        ("interrupted", 4, "The run was interrupted after 4 epochs of 12. What follows is not its final state."),
        ("running", 1, "The run was interrupted after 1 epoch of 12."),  # nobody holds its lock: it was killed
        ("failed", 0, "The run failed after 0 epochs of 12: loss is NaN."),
    ],
)
def test_a_run_that_did_not_end_says_so(class_run, status, epochs, sentence):
    change(class_run, status=status)
    (class_run / "scores.json").unlink()
    write_journal(class_run, epochs=epochs, steps_per_epoch=50, metric="top1")
    if status == "failed":
        with (class_run / "journal.jsonl").open("a") as file:
            stop = {
                "event": "stop",
                "time": "2031-05-04T13:20:00+00:00",
                "step": 9,
                "epoch": 0,
                "reason": "loss is NaN",
            }
            file.write(json.dumps(stop) + "\n")
    page = read(write_report(class_run))
    assert sentence in page.text
    assert "There are no scores yet." in page.text
    assert f"pixelwise resume {class_run}" in page.text
    sections = [section["id"] for section in page.all("section")]
    assert "scores" not in sections
    assert ("curves" in sections) == bool(epochs)


def test_a_running_run_is_not_called_interrupted(class_run):
    from pixelwise.runs.lock import lock_run

    change(class_run, status="running")
    with lock_run(class_run):
        text = read(write_report(class_run)).text
    assert "The run had not ended when this report was written after 6 epochs of 12; its journal was last" in text


def test_a_run_in_its_first_epoch_shows_its_steps(class_run):
    lines = (class_run / "journal.jsonl").read_text().splitlines()[:25]
    (class_run / "journal.jsonl").write_text("\n".join(lines) + '\n{"event":"st')
    page = read(write_report(class_run))
    charts = [svg["aria-label"] for svg in page.all("svg") if svg.get("class") == "chart"]
    assert charts == ["Loss by step", "Learning rate by step"]


def test_damaged_files_are_named_and_the_rest_is_shown(class_run):
    (class_run / "scores.json").write_text("{")
    (class_run / "manifest.safetensors").write_bytes(b"12345678 not safetensors")
    journal = (class_run / "journal.jsonl").read_text()
    (class_run / "journal.jsonl").write_text("no JSON\n" + journal)
    (class_run / "model").mkdir()
    (class_run / "model" / "model.json").write_text("[]")
    text = read(write_report(class_run)).text
    for name in ("scores.json", "manifest.safetensors", "journal.jsonl", "model.json"):
        assert re.search(rf"{name} is damaged", text), name


def test_without_its_data_folder_the_report_has_no_pictures_and_says_why(class_run):
    change(class_run, data={"root": "/nowhere/at/all"})
    page = read(write_report(class_run))
    assert page.all("img") == []
    assert "The data folder /nowhere/at/all is not there any more" in page.text
    assert "The pictures are left out" in page.text
    assert "Worst" in page.text


def test_a_segmentation_without_its_data_folder(mask_run):
    change(mask_run, data={"root": "/nowhere/at/all"})
    page = read(write_report(mask_run))
    assert page.all("img") == []
    assert "The pictures are left out" in page.text


def test_many_large_noisy_pictures_stay_below_the_limit(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "data" / "test" / name).mkdir(parents=True)
        for k in range(10):
            pixels = rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / "test" / name / f"{name}{k}.png", compress_level=0)
    manifest = build_manifest(tmp_path / "data")
    run = make_run(tmp_path / "run", manifest, tmp_path / "data")
    write_scores(run.path, classification_scores(manifest))
    target = write_report(run.path)
    assert len(read(target).all("img")) == 18
    assert 200_000 < target.stat().st_size < LIMIT_BYTES


def test_any_amount_of_text_stays_below_the_limit(class_run):
    """A thousand classes with names of nothing but quotes, dense confusions, and endless findings."""
    long, many = '"' * 3000, 1010
    rng = np.random.default_rng(0)
    row = {"n": 10, "precision": 0.123456789, "recall": 0.5, "f1": 0.3, "interval": {"f1": [0, 1]}}
    scores = json.loads((class_run / "scores.json").read_text())
    scores["classes"] = [{"name": f"{k}{long}", **row} for k in range(many)]
    scores["confusion"] = rng.integers(1, 100_000, (many, many)).tolist()
    scores["empty_class_rule"] = long
    write_scores(class_run, scores)
    finding = {"severity": "error", "code": "x", "message": long, "paths": [long] * 15, "fix": long}
    data = {"findings": [finding] * 70, "skipped": [[long, long]] * 60, "root": long}
    change(class_run, data=data, command=[long] * 50, name=long, machine={str(k): long for k in range(30)})
    target = write_report(class_run)
    page = read(target)
    assert target.stat().st_size < LIMIT_BYTES
    held = next(
        json.loads(script) for script in page.scripts if '"counts"' in script and script.lstrip().startswith("{")
    )
    assert len(held["names"]) == 100
    assert np.sum(held["counts"]) == np.sum(scores["confusion"])


def test_the_file_may_lie_elsewhere(class_run, tmp_path):
    assert write_report(class_run, tmp_path / "new" / "page.html") == tmp_path / "new" / "page.html"
    assert write_report(class_run, tmp_path) == tmp_path / "report.html"
    assert not (class_run / "report.html").exists()


def test_faults_of_the_caller(class_run, tmp_path):
    with pytest.raises(RunError, match="is not a run: there is no such folder"):
        write_report(tmp_path / "none")
    with pytest.raises(OutputError, match="could not be written"):
        write_report(class_run, class_run / "run.json" / "report.html")
    scores = json.loads((class_run / "scores.json").read_text())
    write_scores(class_run, scores | {"format": 2})
    message = f"{class_run / 'scores.json'} has format 2. Expected format 1 or older. "
    with pytest.raises(RunError, match=re.escape(message + "Update pixelwise: a newer version wrote this run.")):
        write_report(class_run)

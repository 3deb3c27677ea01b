"""``pixelwise evaluate``, ``predict``, ``report``, ``nets`` and ``demo``: what they print, write and return."""

import json
import os
import re
import shutil
import signal

import pytest
import torch

from pixelwise import demo
from pixelwise.cli.demo import _show
from pixelwise.cli.scores import print_scores
from pixelwise.errors import OutputError
from pixelwise.evaluation.scores import Scores


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_scores_as_a_table_as_json_and_in_silence(pixelwise, trained):
    done = pixelwise("evaluate", trained / "classes")
    assert done.code == 0
    assert done.out.startswith("Scores on the test split")
    assert "left" in done.out
    content = json.loads(pixelwise("evaluate", trained / "classes", "--split", "all", "--json", "--return-memory").out)
    assert (content["split"], content["num_images"]) == ("all", 24)
    assert pixelwise("evaluate", trained / "classes", "-q").out == ""


def test_scores_of_outlines_on_request(pixelwise, trained):
    done = pixelwise("evaluate", trained / "masks", "--split", "all", "--scores", "hausdorff_95,f2")
    assert done.code == 0, done.err
    line = next(line for line in done.out.splitlines() if line.startswith("mean_hausdorff_95"))
    assert re.search(r"\d\.\d\d px", line)
    assert "mean_f2" in done.out
    refused = pixelwise("evaluate", trained / "classes", "--scores", "boundary_f")
    assert refused.code == 2
    assert "Leave --scores out." in refused.err


def test_damaged_pictures_of_another_folder_are_skipped_when_asked(pixelwise, trained, sides):
    (sides / "left" / "1.png").unlink()  # else these would be the run's own pictures
    (sides / "left" / "broken.png").write_bytes((sides / "left" / "0.png").read_bytes()[:40])
    done = pixelwise("evaluate", trained / "classes", sides)
    assert done.code == 2
    assert "broken.png" in done.err
    skipped = pixelwise("evaluate", trained / "classes", sides, "--bad-images", "skip")
    assert skipped.code == 0, skipped.err
    assert "Note: " in skipped.out


def test_long_tables_of_classes_are_cut_short(capsys, trained):
    content = json.loads((trained / "classes" / "scores.json").read_text())
    content["classes"] = [{**content["classes"][0], "name": f"class {number}"} for number in range(103)]
    content["confusion"] = [[0] * 103 for _ in range(103)]
    print_scores(Scores.from_json(content))
    assert "… and 3 more classes: --json prints all" in capsys.readouterr().out


def test_predicting_goes_past_a_bad_file_with_exit_code_3(pixelwise, trained, tmp_path):
    pictures = shutil.copytree(trained / "squares" / "images", tmp_path / "new")
    done = pixelwise("predict", trained / "masks", pictures, "--out", tmp_path / "good", "--overlays")
    assert done.code == 0
    assert done.out.startswith("8 predicted, 0 failed")
    (pictures / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = pixelwise("predict", trained / "masks", pictures, "--out", tmp_path / "out", "--format", "jsonl")
    assert done.code == 3
    assert done.out.startswith("8 predicted, 1 failed")
    assert done.err.startswith(f"pixelwise: {pictures / 'bad.png'} is damaged")
    again = pixelwise("predict", trained / "masks", pictures, "--out", tmp_path / "out", "--format", "jsonl")
    assert again.code in (2, 4)
    assert "--overwrite" in again.err
    quiet = pixelwise(
        "predict", trained / "masks", pictures / "1.png", "--out", tmp_path / "q", "-q", "--return-memory"
    )
    assert (quiet.code, quiet.out) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_predicting_after_the_pictures_at_hand(pixelwise, trained, tmp_path, monkeypatch, number, code):
    from pixelwise.predict.predictor import Predictor

    attempt_many = Predictor.attempt_many

    def signalled(self, images, **keywords):
        for number_done, outcome in enumerate(attempt_many(self, images, **keywords)):
            if number_done == 0:
                os.kill(os.getpid(), number)
            yield outcome

    monkeypatch.setattr(Predictor, "attempt_many", signalled)
    done = pixelwise("predict", trained / "classes", trained / "sides", "--out", tmp_path / "out")
    assert done.code == code
    rows = (tmp_path / "out" / "predictions.csv").read_text().splitlines()[1:]
    assert done.out.startswith(f"{len(rows)} predicted, 0 failed")
    assert 1 <= len(rows) < 24


def test_report_says_where_it_is(pixelwise, trained, tmp_path):
    done = pixelwise("report", trained / "classes", "--out", tmp_path / "page.html")
    assert (done.code, done.out) == (0, f"Report: {(tmp_path / 'page.html').as_uri()}\n")
    assert pixelwise("report", trained / "classes", "--out", tmp_path / "again.html", "-q").out == ""
    refused = pixelwise("report", trained / "classes", "--out", tmp_path / "page.pdf")
    assert refused.code == 2
    assert refused.err == (
        f"pixelwise: --out {tmp_path}/page.pdf. Expected a file that ends in .html. For example --out"
        f" {tmp_path}/page.pdf.html.\n"
    )


def test_events_for_tensorboard(pixelwise, trained, tmp_path):
    pytest.importorskip("tensorboard")
    done = pixelwise("report", trained / "classes", "--out", tmp_path / "p.html", "--tensorboard", tmp_path / "events")
    assert done.code == 0
    assert list((tmp_path / "events").iterdir())


TINY = demo.DemoSize(train_pictures=60, test_pictures=30, fashion_epochs=1, nuclei_epochs=1)


def test_the_demonstration_from_end_to_end(pixelwise, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "QUICK", TINY)
    out = tmp_path / "demo"
    done = pixelwise("demo", "--quick", "--out", out)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert any(line.startswith("LeNet, held-out accuracy: ") and line.endswith(", 30 pictures") for line in lines)
    assert any(line.startswith("U-Net, held-out mean IoU: ") for line in lines)
    reports = [line.split()[-1] for line in lines if line.startswith("Report: ")]
    assert reports == [(out / "runs" / run / "report.html").as_uri() for run in ("fashion-lenet", "nuclei-unet")]
    assert list((out / "predictions" / "overlays").iterdir())
    again = pixelwise("demo", "--quick", "--out", out)
    assert again.code == 4
    assert again.err == (f"pixelwise: {out} holds an earlier demonstration. Add --overwrite, or give another --out.\n")
    (out / "fashion" / "mine.txt").write_text("x")
    demo._prepare(out, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["made-by-pixelwise-demo"]


def test_a_folder_with_other_files_is_never_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(OutputError) as caught:
        demo.run_demo(tmp_path, overwrite=True)
    assert str(caught.value) == (f"{tmp_path} holds other files. Expected a new or empty folder. Give another --out.")


def test_scores_without_value_or_interval():
    assert _show(None, None, None, 0) == "undefined"
    assert _show(0.5, None, None, 3) == "50.0 %, 3 pictures"
    assert _show(0.5, 0.25, 0.75, 3) == "50.0 % (95 % interval 25.0 to 75.0 %), 3 pictures"

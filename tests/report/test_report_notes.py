from datetime import timedelta
from pathlib import Path

import pytest
from fake_runs import START, NoData, config, score

from pixelwise.reporting.notes import lead, notes
from pixelwise.reporting.record import Record


def record(*, events=(), scores=None, faults=(), **changes):
    run = config(NoData(), Path("/")).to_json() | changes
    return Record(Path("runs/x"), run, tuple(events), scores, None, {}, tuple(faults))


def scored(n=2000, value=0.9, spread=0.01, **more):
    return {"split": "test", "num_images": n, "metric": "top1", "scores": [score("top1", value, n, spread)], **more}


def epochs(*losses, best=None):
    events = [
        {"event": "epoch", "step": 10 * k, "epoch": k - 1, "val_loss": loss} for k, loss in enumerate(losses, start=1)
    ]
    if best is not None:
        events.append({"event": "best", "step": 10 * best, "epoch": best - 1, "metric": "top1", "value": 0.9})
    return events


def texts(given):
    return [note.text for note in notes(given, START + timedelta(minutes=10))]


def test_a_sound_run_needs_no_notes():
    assert texts(record(scores=scored(), events=epochs(1, 0.5, 0.4, 0.4, best=3))) == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (record(scores=scored(split="val")), "Scored on the validation split because there is no test split"),
        (record(scores=scored(split="train")), "Scored on pictures that were trained on"),
        (record(scores=scored(n=99)), "Only 99 images: wide intervals"),
        (record(scores=scored(n=3), task={"name": "volumes"}), "Only 3 volumes: wide intervals"),
        (record(scores=scored(n=1)), "Only 1 image: wide intervals"),
        (record(scores=scored(spread=0.06)), "Only 2,000 images: wide intervals"),
        (record(scores=scored(notes=["3 images are in the training data."])), "3 images are in the training data."),
        (record(scores=scored(classes=[{"name": "ox", "n": 0}])), "Not among the scored pictures: ox."),
        (record(scores=scored(classes=[{"name": "ox", "n": 9}])), "Fewer than 10 scored pictures: ox."),
        (record(scores=scored(), events=epochs(1, 0.5, 0.4, best=3)), "The best epoch (3) is the last one"),
        (record(scores=scored(), events=epochs(1, 0.5, 0.6, 0.9, best=2)), "The validation loss rose from 0.5 to 0.9"),
        (
            record(
                scores=scored(), events=[{"event": "stop", "step": 1, "epoch": 0, "reason": "no better for 5 epochs"}]
            ),
            "Training stopped before its planned end: no better for 5 epochs.",
        ),
        (record(scores=scored(), events=[{"event": "resume"}]), "The run was interrupted and resumed once."),
        (record(scores=scored(), events=[{"event": "resume"}] * 3), "The run was interrupted and resumed 3 times."),
        (record(scores=scored(), data={"skipped": [["a", "b"]]}), "1 file of the data were skipped"),
        (
            record(scores=scored(), data={"findings": [{"severity": "error"}] * 2}),
            "The data check warned of 2 odd spots",
        ),
        (record(scores=scored(), data={"root": "/gone"}), "The data folder /gone is not there any more"),
        (record(scores=scored(), faults=("x is damaged.",)), "x is damaged."),
        (record(status="running"), "The run had not ended when this report was written after 0 epochs of 12."),
        (record(), "There are no scores yet."),
    ],
)
def test_each_reason_for_doubt_is_told(given, text):
    assert [found for found in texts(given) if found.startswith(text)], texts(given)


def test_a_running_run_says_how_old_its_news_are():
    events = [{"event": "start", "time": START.isoformat()}, {"event": "step", "time": "no time"}]
    assert "its journal was last written 10 min 00 s ago" in texts(record(status="running", events=events))[0]


def test_many_absent_classes_are_not_all_named():
    rows = [{"name": f"c{k}", "n": 0} for k in range(9)]
    (note,) = texts(record(scores=scored(classes=rows, empty_class_rule="They count nowhere.")))
    assert note == (
        "Not among the scored pictures: c0, c1, c2, c3, c4 and 4 more. Their scores are undefined. They count nowhere."
    )


def test_the_lead_says_what_was_trained_on_what_and_how_well_it_does():
    data = {"root": "/data/digits/", "splits": {"train": 800}}
    given = record(data=data, events=epochs(1, 0.5), scores=scored())
    assert lead(given).replace("\u00a0", " ") == (
        "made-up trained on 800 images of digits for 2 epochs. Accuracy: 90.00 % (95 % interval 89.00 to 91.00 %) "
        "on 2,000 test images."
    )
    assert lead(record(data={})) == "made-up trained on images."

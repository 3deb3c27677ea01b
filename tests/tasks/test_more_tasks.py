"""Multi-label classification and localisation as tasks: outputs, losses, scores, and the way to a file and back."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pixelwise.data.columns import TextColumn
from pixelwise.data.manifest import Manifest
from pixelwise.data.task_names import TARGET_FORMS, TASK_NAMES
from pixelwise.errors import DataError, SpecError, UsageError
from pixelwise.metrics import average_precision
from pixelwise.tasks import TASKS, Localisation, Multilabel, make_task, task_from_json

THREE = ("a", "b", "c")


def test_every_task_is_in_every_table():
    assert tuple(TASKS) == TASK_NAMES == tuple(TARGET_FORMS)
    for name, kind in TASKS.items():
        assert kind.name == name


def test_the_reference_names_columns_networks_loss_and_metric():
    page = Path(__file__).parents[2] / "docs" / "reference" / "tasks.md"
    rows = [line.strip("|").split("|") for line in page.read_text().splitlines() if line.startswith("| `")]
    written = {cells[0].strip(" `"): [cell.strip() for cell in cells] for cells in rows if len(cells) == 7}
    assert tuple(written) == TASK_NAMES
    for name, cells in written.items():
        task = make_task(name, THREE)
        assert re.findall(r"`(\w+)`", cells[2]) == list(TARGET_FORMS[task.name].columns)
        assert cells[3] == task.network_kind
        assert cells[5].split(",")[0] == f"`{task.objective}`"
        assert cells[6] == f"`{task.metric}`"


@pytest.mark.parametrize(
    ("name", "classes", "choices", "objective", "num_outputs"),
    [
        ("multilabel", THREE, {}, "bce", 3),
        ("multilabel", ("a",), {"loss": "0.5*bce"}, "0.5*bce", 1),
        ("localisation", THREE, {}, "ce+smooth_l1", 7),
        ("localisation", THREE, {"loss": "ce+giou"}, "ce+giou", 7),
        ("localisation", ("a",), {}, "smooth_l1", 5),
    ],
)
def test_what_is_left_open_is_filled_in(name, classes, choices, objective, num_outputs):
    task = make_task(name, classes, **choices)
    assert type(task) is {"multilabel": Multilabel, "localisation": Localisation}[name]
    assert (task.objective, task.num_outputs, task.network_kind) == (objective, num_outputs, "classification")


@pytest.mark.parametrize(
    ("name", "classes", "choices", "fault", "message"),
    [
        ("multilabel", (), {}, DataError, "There are no classes. Expected one or more classes. Name them."),
        (
            "multilabel",
            THREE,
            {"binary": "sigmoid"},
            UsageError,
            "binary='sigmoid' for multilabel. Expected auto. Leave it out: the form is that of the task.",
        ),
        (
            "localisation",
            THREE,
            {"binary": "softmax"},
            UsageError,
            "binary='softmax' for localisation. Expected auto. Leave it out: the form is that of the task.",
        ),
        (
            "localisation",
            THREE,
            {"loss": "ce"},
            UsageError,
            "loss 'ce' says nothing of the box. Expected a term of smooth_l1 or giou. For example ce+smooth_l1.",
        ),
        (
            "multilabel",
            THREE,
            {"loss": "ce"},
            UsageError,
            "loss 'ce': ce is not a loss for this task. Expected a sum of bce. Write for example bce.",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(name, classes, choices, fault, message):
    with pytest.raises(fault) as caught:
        make_task(name, classes, **choices)
    assert str(caught.value) == message


@pytest.mark.parametrize("thresholds", [(0.5, 0.5), (0.5, 0.5, 1.5), (0.1, float("nan"), 0.1)])
def test_thresholds_that_do_not_fit(thresholds):
    shown = ", ".join(f"{one:g}" for one in thresholds)
    with pytest.raises(UsageError) as caught:
        Multilabel(classes=THREE, objective="bce", thresholds=thresholds)
    assert str(caught.value) == (
        f"thresholds {shown}. Expected 3 numbers from 0 to 1, one for each class. Correct them."
    )


@pytest.mark.parametrize(
    "task",
    [
        make_task("multilabel", ("Straße", "日本"), class_weights=(1, 2.5)),
        Multilabel(classes=THREE, objective="bce", thresholds=(0.25, 0.5, 1 / 3)),
        make_task("localisation", THREE, loss="0.5*ce+2*giou", label_smoothing=0.1),
    ],
)
def test_a_task_survives_a_file(task):
    again = task_from_json(json.loads(json.dumps(task.to_json())))
    assert again == task
    assert type(again) is type(task)


def test_a_set_has_a_sigmoid_for_each_class():
    task = make_task("multilabel", THREE, auxiliary_weight=0.25)
    logits, other, target = torch.randn(4, 3), torch.randn(4, 3), torch.randint(0, 2, (4, 3)).float()
    expected = F.binary_cross_entropy_with_logits(logits, target)
    expected = expected + 0.25 * F.binary_cross_entropy_with_logits(other, target)
    torch.testing.assert_close(task.loss((logits, other), target), expected)
    torch.testing.assert_close(task.probabilities(logits.bfloat16()), torch.sigmoid(logits.bfloat16().float()))
    assert torch.equal(task.answers(logits), task.probabilities(logits))
    assert task.cutoffs == (0.5, 0.5, 0.5)


def test_a_box_lies_between_0_and_1_beside_probabilities_that_sum_to_1():
    task = make_task("localisation", THREE)
    logits = torch.randn(5, 7) * 9
    answers = task.answers(logits)
    torch.testing.assert_close(answers[:, :3], logits[:, :3].softmax(1))
    torch.testing.assert_close(answers[:, 3:], torch.sigmoid(logits[:, 3:]))
    assert torch.equal(task.probabilities(logits), answers[:, :3])


@pytest.mark.parametrize(
    ("name", "logits", "target", "message"),
    [
        (
            "multilabel",
            (2, 4),
            (2, 3),
            "Logits of shape (2, 4) for (2, 3) labels. Expected (2, 3) of both. Use a classification network for these "
            "classes.",
        ),
        (
            "multilabel",
            (2, 3),
            (2, 4),
            "Logits of shape (2, 3) for (2, 4) labels. Expected (2, 3) of both. Use a classification network for these "
            "classes.",
        ),
        (
            "localisation",
            (2, 3),
            (2, 5),
            "Logits of shape (2, 3) for 2 boxes. Expected (2, 7). Use a classification network with four outputs more "
            "than classes.",
        ),
    ],
)
def test_logits_of_another_shape_are_refused(name, logits, target, message):
    with pytest.raises(SpecError) as caught:
        make_task(name, THREE).loss((torch.zeros(logits),), torch.zeros(target))
    assert str(caught.value) == message


# --- running scores -------------------------------------------------------------------------------------------------


def in_parts(task, logits, target, parts=3):
    """Scores from the sum of the states of several meters, as of several processes."""
    meters = []
    for share in np.array_split(np.arange(len(logits)), parts):
        meter = task.meter()
        meter.update(logits[share], target[share])
        meters.append(meter)
    total = task.meter()
    total.load_state({name: sum(meter.state()[name] for meter in meters) for name in meters[0].state()})
    return total.scores()


def test_scores_of_sets():
    rng = np.random.default_rng(4)
    target = (rng.random((60, 4)) < (0.5, 0.1, 0.9, 0.0)).astype(np.float32)
    logits = (rng.normal(size=(60, 4)) * 2 + 2 * target).round(1)  # steps wider than the meter's
    task = Multilabel(classes=tuple("abcd"), objective="bce", thresholds=(0.3, 0.5, 0.7, 0.5))
    expected_ap = [average_precision(logits[:, k], target[:, k])[0] for k in range(3)]
    shown = 1 / (1 + np.exp(-logits)) >= np.array(task.cutoffs)
    f1 = [2 * (shown[:, k] * target[:, k]).sum() / (shown[:, k].sum() + target[:, k].sum()) for k in range(4)]
    scores = in_parts(task, torch.from_numpy(logits), torch.from_numpy(target))
    assert scores == pytest.approx({
        "map": np.mean(expected_ap), "macro_f1": np.mean(f1), "exact_match": (shown == target).all(1).mean()
    })  # fmt: skip
    assert task.metric in scores


def test_sets_without_any_class_have_no_average_precision():
    task = make_task("multilabel", THREE)
    meter = task.meter()
    with pytest.raises(DataError, match="Nothing was counted"):
        meter.scores()
    meter.update(-torch.ones(4, 3), torch.zeros(4, 3))
    assert meter.scores() == {"exact_match": 1.0}


def test_scores_of_boxes():
    task = make_task("localisation", THREE)
    big, half = (0.5, 0.5, 0.8, 0.8), (0.5, 0.31, 0.8, 0.42)  # a good half of the big one
    thin = (0.5, 0.17, 0.8, 0.14)
    truth = torch.tensor([[0, *big], [1, *big], [2, *big], [1, 0, 0, 0, 0], [0, *big]])
    boxes = torch.tensor([big, half, big, big, thin])
    logits = torch.cat([F.one_hot(torch.tensor([0, 1, 0, 1, 0]), 3).float(), torch.logit(boxes)], 1)
    scores = in_parts(task, logits, truth)
    assert scores == pytest.approx({
        "top1": 4 / 5, "localisation_accuracy": 2 / 5, "box_iou": (1 + 0.525 + 1 + 0.175) / 5,
    }, abs=1e-5)  # fmt: skip
    meter = task.meter()
    meter.update(logits[3:4], truth[3:4])
    assert meter.scores() == {"top1": 1.0, "localisation_accuracy": 0.0, "box_iou": 0.0}


def test_of_one_class_there_is_no_share_that_is_right():
    task = make_task("localisation", ("a",))
    box = torch.tensor([[0.5, 0.5, 0.8, 0.8]])
    meter = task.meter()
    meter.update(torch.cat([torch.zeros(1, 1), torch.logit(box)], 1), torch.cat([torch.zeros(1, 1), box], 1))
    assert meter.scores() == pytest.approx({"localisation_accuracy": 1.0, "box_iou": 1.0}, abs=1e-5)


# --- weights --------------------------------------------------------------------------------------------------------


def manifest_of(task, classes, labels=None, presence=None):
    count = len(labels if presence is None else presence)
    bits = np.zeros((count, 0), np.uint8) if presence is None else np.packbits(presence, 1, bitorder="little")
    empty = TextColumn.of([""] * count)
    columns = {
        "label": np.array([-1] * count if labels is None else labels, np.int32),
        "split": np.ones(count, np.uint8),
        "presence": bits,
    }
    return Manifest("table", task, classes, None, (), (), empty, empty, empty, empty, (), empty, columns)


def test_balanced_weights_of_sets_are_the_absent_over_the_present():
    presence = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 1, 1]], bool)
    weights = Multilabel.balanced_weights(manifest_of("multilabel", THREE, presence=presence))
    assert weights == (3, 1 / 4, 1)
    with pytest.raises(DataError, match="The class 'b' has no training pictures"):
        Multilabel.balanced_weights(manifest_of("multilabel", THREE, presence=presence[:, [0, 0, 2]] * [1, 0, 1]))


def test_balanced_weights_of_boxes_are_those_of_classes():
    assert Localisation.balanced_weights(manifest_of("localisation", ("a", "b"), [0, 0, 0, 1])) == (4 / 6, 2)

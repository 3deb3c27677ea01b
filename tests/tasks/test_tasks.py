"""Tasks: what fits together, the loss of heads and crops, probabilities, and the way to a file and back."""

import json

import pytest
import torch
from torch.nn import functional as F

from pixelwise.errors import DataError, RunError, SpecError, UsageError
from pixelwise.tasks import Classification, Segmentation, crop_to_logits, make_task, task_from_json

TWO, THREE = ("cell", "edge"), ("a", "b", "c")


@pytest.mark.parametrize(
    ("name", "classes", "choices", "form", "objective", "num_outputs"),
    [
        ("segmentation", TWO, {}, "sigmoid", "bce", 1),
        ("segmentation", TWO, {"loss": "dice"}, "sigmoid", "dice", 1),
        ("segmentation", TWO, {"loss": "ce+dice"}, "softmax", "ce+dice", 2),
        ("segmentation", TWO, {"binary": "softmax"}, "softmax", "ce", 2),
        ("segmentation", THREE, {}, "softmax", "ce", 3),
        ("segmentation", THREE, {"loss": "0.5*ce+dice"}, "softmax", "0.5*ce+dice", 3),
        ("classification", TWO, {}, "softmax", "ce", 2),
        ("classification", TWO, {"loss": "bce"}, "sigmoid", "bce", 1),
        ("classification", TWO, {"binary": "sigmoid"}, "sigmoid", "bce", 1),
        ("classification", THREE, {}, "softmax", "ce", 3),
    ],
)
def test_what_is_left_open_is_filled_in(name, classes, choices, form, objective, num_outputs):
    task = make_task(name, classes, **choices)
    assert isinstance(task, Segmentation if name == "segmentation" else Classification)
    assert (task.name, task.form, task.objective, task.num_outputs) == (name, form, objective, num_outputs)
    assert task.classes == classes
    assert task.metric == ("mean_iou" if name == "segmentation" else "top1")


ONE_LOGIT = (
    "loss 'ce' cannot use ce with num_outputs=1: the softmax of a single logit is always 1 and its gradient always 0, "
    "so nothing would be learned. Expected a sum of dice, bce, topk, focal, squared_dice, generalised_dice, tversky, "
    "focal_tversky, fbeta, jaccard, lovasz_hinge, lovasz_softmax{}. Change the loss, or the form of the output "
    "(binary=sigmoid or softmax)."
)


@pytest.mark.parametrize(
    ("name", "classes", "choices", "fault", "message"),
    [
        (
            "segmentation",
            TWO,
            {"loss": "ce", "binary": "sigmoid"},
            UsageError,
            ONE_LOGIT.format(", boundary, hausdorff, cldice"),
        ),
        ("classification", TWO, {"loss": "ce", "binary": "sigmoid"}, UsageError, ONE_LOGIT.format("")),
        (
            "classification",
            TWO,
            {"loss": "0.5*boundary+bce"},
            UsageError,
            "loss '0.5*boundary+bce': boundary is not a loss for this task. Expected a sum of ce, dice, bce, topk, "
            "focal, squared_dice, generalised_dice, tversky, focal_tversky, fbeta, jaccard, lovasz_hinge, "
            "lovasz_softmax. Write for example ce+dice or 0.5*ce+dice.",
        ),
        (
            "segmentation",
            THREE,
            {"binary": "sigmoid"},
            UsageError,
            "binary=sigmoid with 3 classes. Expected two classes, of which one logit tells the second from the first. "
            "Leave binary at auto, or use softmax.",
        ),
        (
            "classification",
            ("cat",),
            {},
            DataError,
            "There is only one class: cat. Expected two or more classes. Add images of another class.",
        ),
        (
            "classification",
            (),
            {},
            DataError,
            "There are no classes. Expected two or more classes. Add images of another class.",
        ),
        (
            "classification",
            ("cat", "dog", "cat"),
            {},
            DataError,
            "The class 'cat' stands twice in the class table. Give each class one name.",
        ),
        (
            "segmentation",
            tuple(map(str, range(256))),
            {},
            DataError,
            "256 classes. Expected at most 255, as label maps are bytes and 255 means not counted. Join classes.",
        ),
        (
            "classification",
            THREE,
            {"class_weights": (1.0, 2.0)},
            UsageError,
            "2 class weights for 3 classes. Expected one for each class. Give them in this order: a, b, c.",
        ),
        (
            "classification",
            TWO,
            {"class_weights": (1.0, -2.0)},
            UsageError,
            "class weights 1, -2. Expected numbers of 0 or more, not all 0. Correct them.",
        ),
        (
            "classification",
            TWO,
            {"class_weights": (0, 0)},
            UsageError,
            "class weights 0, 0. Expected numbers of 0 or more, not all 0. Correct them.",
        ),
        (
            "classification",
            TWO,
            {"label_smoothing": 1.0},
            UsageError,
            "label_smoothing=1. Expected 0 or more and less than 1. 0.1 is usual.",
        ),
        (
            "classification",
            TWO,
            {"auxiliary_weight": float("nan")},
            UsageError,
            "auxiliary_weight=nan. Expected a number of 0 or more. 0.3 is usual.",
        ),
        (
            "segmentation",
            TWO,
            {"loss": "dice", "label_smoothing": 0.1},
            UsageError,
            "loss 'dice' makes no use of label_smoothing. Expected a sum with one of ce, bce. Add such a term, or "
            "leave label_smoothing out.",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(name, classes, choices, fault, message):
    with pytest.raises(fault) as caught:
        make_task(name, classes, **choices)
    assert str(caught.value) == message


def test_near_misses_are_named():
    for call, came, do in (
        (lambda: make_task("segmentations", TWO), "'segmentations' is not a task", "Did you mean segmentation?"),
        (lambda: make_task("segmentation", TWO, binary="softmaxx"), "binary='softmaxx'", "Did you mean softmax?"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert (caught.value.came, caught.value.do) == (came, do)


@pytest.mark.parametrize(
    "task",
    [
        make_task("segmentation", TWO),
        make_task("segmentation", THREE, loss="0.5*ce+dice", class_weights=(1, 2, 3.5), label_smoothing=0.1),
        make_task("classification", ("Straße", "日本"), binary="sigmoid", auxiliary_weight=0.4),
    ],
)
def test_a_task_survives_a_file(task):
    again = task_from_json(json.loads(json.dumps(task.to_json())))
    assert again == task
    assert type(again) is type(task)


def test_damaged_records_are_refused():
    good = make_task("segmentation", TWO).to_json()
    for change, words in (
        ({"loss": 3}, "loss: Input should be a valid string"),
        ({"binary": "auto"}, "binary: Input should be 'sigmoid' or 'softmax'"),
        ({"classes": "ab"}, "classes: Input should be a valid list"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"class_weights": [True, 1]}, "class_weights.0: Input should be a valid number"),
    ):
        with pytest.raises(RunError) as caught:
            task_from_json(good | change)
        assert str(caught.value) == (
            f"The record of the task cannot be used: {words}. Expected what pixelwise wrote. Use the version of "
            "pixelwise that wrote it, or restore the file from a copy."
        )
    with pytest.raises(RunError, match="name: Field required"):
        task_from_json({key: value for key, value in good.items() if key != "name"})
    with pytest.raises(UsageError, match="softmax of a single logit"):
        task_from_json(good | {"loss": "ce"})


def test_auxiliary_heads_count_with_their_weight():
    task = make_task("classification", THREE, auxiliary_weight=0.25)
    main, first, second = torch.randn(3, 8, 3)
    target = torch.randint(0, 3, (8,))
    expected = F.cross_entropy(main, target) + 0.25 * (F.cross_entropy(first, target) + F.cross_entropy(second, target))
    torch.testing.assert_close(task.loss((main, first, second), target), expected)


def test_the_label_map_is_cropped_to_the_centre():
    target = torch.arange(2 * 572 * 572).view(2, 572, 572)
    cropped = crop_to_logits(target, torch.empty(2, 2, 388, 388))
    assert torch.equal(cropped, target[:, 92:480, 92:480])
    odd = crop_to_logits(target, torch.empty(2, 2, 571, 569))
    assert torch.equal(odd, target[:, 0:571, 1:570])


def test_the_loss_of_a_valid_network_is_that_of_the_central_part():
    task = make_task("segmentation", THREE)
    target = torch.randint(0, 3, (2, 12, 14), dtype=torch.uint8)
    logits = torch.randn(2, 3, 8, 8)
    expected = F.cross_entropy(logits, target[:, 2:10, 3:11].long())
    torch.testing.assert_close(task.loss((logits,), target), expected)
    meter = task.meter()
    meter.update(logits, target)
    assert meter.state()["confusion"].sum() == 2 * 64


@pytest.mark.parametrize(
    ("name", "logits", "target", "message"),
    [
        (
            "segmentation",
            (2, 3, 9, 8),
            (2, 8, 8),
            "The network's output of 9 x 8 is larger than the label map of 8 x 8. Expected an output of the label "
            "map's size, or its central part. Check the network's last layers.",
        ),
        (
            "segmentation",
            (2, 1, 8, 8),
            (2, 8, 8),
            "Logits of shape (2, 1, 8, 8) for 2 label maps. Expected (2, 3, height, width). Use a segmentation network "
            "for these classes.",
        ),
        (
            "classification",
            (2, 4),
            (2,),
            "Logits of shape (2, 4) for 2 labels. Expected (2, 3). Use a classification network for these classes.",
        ),
    ],
)
def test_logits_of_another_shape_are_refused(name, logits, target, message):
    task = make_task(name, THREE)
    with pytest.raises(SpecError) as caught:
        task.loss((torch.zeros(logits),), torch.zeros(target, dtype=torch.uint8))
    assert str(caught.value) == message


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_probabilities_sum_to_one_in_either_form(dtype):
    one, two = make_task("segmentation", TWO), make_task("segmentation", TWO, binary="softmax")
    logits = (torch.randn(2, 1, 4, 5, dtype=torch.float64) * 8).to(dtype)
    from_one = one.probabilities(logits)
    from_two = two.probabilities(torch.cat([torch.zeros_like(logits), logits], dim=1))
    assert from_one.shape == (2, 2, 4, 5)
    assert from_one.dtype is (torch.float64 if dtype is torch.float64 else torch.float32)
    torch.testing.assert_close(from_one, from_two)
    torch.testing.assert_close(from_one.sum(1), torch.ones_like(from_one[:, 0]))
    assert torch.equal(one.predictions(logits), (logits[:, 0] > 0).to(torch.uint8))


def test_one_logit_learns_what_a_softmax_of_it_could_not():
    logit = torch.zeros(4, 1, 2, 2, requires_grad=True)
    make_task("segmentation", TWO).loss((logit,), torch.ones(4, 2, 2, dtype=torch.uint8)).backward()
    assert (logit.grad < 0).all()


def test_class_255_of_a_classifier_is_a_class_and_not_ignored():
    task = make_task("classification", tuple(map(str, range(1000))))
    logits = torch.zeros(1, 1000)
    assert task.loss((logits,), torch.tensor([255])).item() == pytest.approx(6.9077, abs=1e-3)
    meter = task.meter()
    logits[0, 255] = 1
    meter.update(logits, torch.tensor([255]))
    assert meter.scores() == {"top1": 1.0, "top5": 1.0, "macro_f1": 1.0}

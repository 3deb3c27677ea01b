"""Strings as a task: outputs, loss, both ways of reading, scores, and what is refused."""

import itertools

import pytest
import torch

from pixelwise import catalogue
from pixelwise.errors import DataError, SpecError, UsageError
from pixelwise.losses import string_log_probability
from pixelwise.predict.answers import Answered, make_prediction
from pixelwise.predict.ensemble import match_classes
from pixelwise.predict.protocols import Protocol
from pixelwise.predict.text_prediction import TextPrediction
from pixelwise.runs.model import Model
from pixelwise.tasks import Sequence, make_task, task_from_json

DIGITS = tuple("0123456789")
BLANK = 10


def digits() -> Sequence:
    task = make_task("sequence", DIGITS)
    assert isinstance(task, Sequence)
    return task


def peaked(labels, transitions=None, height=8.0):
    """Log-potentials whose emissions stand out at these labels, one for each window."""
    emissions = torch.zeros(1, len(labels), 11)
    emissions[0, torch.arange(len(labels)), list(labels)] = height
    scores = torch.zeros(11, 11) if transitions is None else transitions
    return torch.cat([emissions[:, :, None] + scores, emissions[:, :, None]], dim=2)


def test_a_task_of_strings_and_its_way_to_a_file():
    task = digits()
    assert (task.num_outputs, task.objective, task.metric) == (11, "crf", "exact_string")
    assert task.network_kind == catalogue.spec(task.default_networks[0]).task == "sequence"
    assert task_from_json(task.to_json()) == task
    assert make_task("sequence", ("a",)).num_outputs == 2


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"loss": "ce"}, "loss 'ce' for sequence. Expected crf. Leave it out: strings have one loss."),
        (
            {"label_smoothing": 0.1},
            "loss 'crf' makes no use of label_smoothing=0.1. Expected neither weights nor smoothing. Leave it out.",
        ),
        (
            {"class_weights": [1.0] * 10},
            "loss 'crf' makes no use of class weights. Expected neither weights nor smoothing. Leave it out.",
        ),
        ({"binary": "sigmoid"}, "binary='sigmoid' for sequence. Expected auto. Leave it out: the form is that of the"),
    ],
)
def test_options_of_other_losses_are_refused(choices, message):
    with pytest.raises(UsageError) as caught:
        make_task("sequence", DIGITS, **choices)
    assert str(caught.value).startswith(message)


def test_class_weights_by_frequency_are_refused():
    with pytest.raises(UsageError, match="makes no use of class weights for the 2 characters"):
        Sequence.balanced_weights(type("Data", (), {"classes": ("a", "b")})())
    with pytest.raises(DataError):
        make_task("sequence", ())


def test_both_readings_collapse_repeats_and_drop_blanks():
    logits = peaked([BLANK, 3, 3, BLANK, 3, 0, 0, BLANK])
    assert digits().read(logits) == digits().read_greedily(logits) == [[3, 3, 0]]


def test_transitions_overrule_a_weak_window_that_greedy_decoding_believes():
    """A character that may not follow itself across one blank: a window of doubt is read as the blank."""
    logits = peaked([BLANK, 7, 7, 1, 7, BLANK], height=2.0)
    forbidden = torch.zeros(11, 11)
    forbidden[7, 1] = forbidden[1, 7] = -50.0
    assert digits().read_greedily(logits) == [[7, 1, 7]]
    chained = peaked([BLANK, 7, 7, 1, 7, BLANK], forbidden, height=2.0)
    assert digits().read_greedily(chained) == [[7, 1, 7]]
    assert digits().read(chained) != [[7, 1, 7]]


def test_loss_is_the_strings_surprise_and_the_shapes_are_checked():
    task, logits = digits(), peaked([BLANK, 3, BLANK, 0])
    target = torch.tensor([[3, 0, -1]])
    expected = -string_log_probability(logits, target).mean()
    assert task.loss((logits,), target) == task.head_loss(logits, target) == expected
    with pytest.raises(SpecError) as caught:
        task.head_loss(torch.zeros(2, 5, 11, 10), target)
    assert str(caught.value) == (
        "Logits of shape (2, 5, 11, 10) for 1 strings. Expected (1, windows, 12, 11). Use a network for sequences of "
        "these characters."
    )


def test_probabilities_are_marginals_of_each_window():
    found = digits().probabilities(torch.randn(2, 6, 12, 11).bfloat16())
    assert found.shape == (2, 11, 6)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(1), torch.ones(2, 6))


def test_scores_count_whole_strings_and_corrections():
    meter = digits().meter()
    for labels, string in (([3, BLANK, 0], [3, 0]), ([5, BLANK, BLANK], [5, 6]), ([BLANK, 1, 2], [1, 2, -1])):
        meter.update(peaked(labels), torch.tensor([string]))
    assert meter.scores() == {
        "exact_string": pytest.approx(2 / 3),
        "character_accuracy": pytest.approx(5 / 6),
        "exact_string_greedy": pytest.approx(2 / 3),
    }
    with pytest.raises(DataError, match="Nothing was counted"):
        digits().meter().scores()


def prediction_of(logits) -> TextPrediction:
    answered = Answered(
        task=digits(), values=logits[0].numpy(), size=(28, 160), notes=("grey",), is_cut_off=False, keep=False
    )
    prediction = make_prediction(answered)
    assert isinstance(prediction, TextPrediction)
    return prediction


def test_a_prediction_says_text_and_probability():
    prediction = prediction_of(peaked([BLANK, 3, 3, BLANK, 3, 0]))
    assert (prediction.text, prediction.greedy_text, prediction.notes) == ("330", "330", ("grey",))
    assert prediction.probabilities.shape == (11, 6)
    assert prediction.counts() == {"3": 2, "0": 1}
    assert prediction.columns(DIGITS) == ["text", "probability"]
    assert prediction.cells() == ["330", f"{prediction.probability:.6g}"]
    assert prediction.to_json() == {"text": "330", "probability": prediction.probability, "greedy_text": "330"}
    assert str(prediction) == f"330 {prediction.probability:.1%}"
    assert str(prediction_of(peaked([BLANK] * 3))).startswith("nothing ")
    with pytest.raises(UsageError):
        prediction.overlay("x.png")


def test_the_probability_is_summed_over_all_places():
    """Two windows, two characters and the blank: written out."""
    logits = torch.randn(1, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    task = make_task("sequence", ("a", "b"))
    assert isinstance(task, Sequence)
    scores = {
        pair: float((logits[0, 0, 3, pair[0]] + logits[0, 1, pair[0], pair[1]]).exp())
        for pair in itertools.product(range(3), repeat=2)
    }
    total = sum(scores.values())
    assert task.string_probability(logits, [0]) == pytest.approx((scores[0, 0] + scores[0, 2] + scores[2, 0]) / total)
    assert task.string_probability(logits, []) == pytest.approx(scores[2, 2] / total)
    assert task.string_probability(logits, [1, 0]) == pytest.approx(scores[1, 0] / total)


@pytest.mark.parametrize("protocol", ["10-crop", "flip", "dense:28"])
def test_other_views_show_other_strings(protocol):
    with pytest.raises(UsageError, match="other views show other strings"):
        Protocol.parse(protocol).check_task("sequence")
    Protocol.parse("centre").check_task("sequence")


def test_chains_are_not_averaged():
    model = Model(network=None, spec=None, task=digits(), preprocess=None)  # type: ignore[arg-type]
    assert len(match_classes([model])) == 1
    with pytest.raises(UsageError) as caught:
        match_classes([model, model])
    assert str(caught.value) == (
        "An ensemble of 2 models for sequence. Expected one model: chains of windows have no average that is a chain "
        "again. Name one run."
    )

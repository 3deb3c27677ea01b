"""Messages: whole sentences, and advice that helps."""

import pickle

import pytest

from pixelwise.errors import Interrupted, PixelwiseError, RecipeError, suggest


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RecipeError("epochs=0", expected="at least 1", do="Correct it"), "epochs=0. Expected at least 1. Correct it."),
        (RecipeError("No such field.", do="Did you mean epochs?"), "No such field. Did you mean epochs?"),
        (PixelwiseError("Only this"), "Only this."),
    ],
)
def test_messages_are_sentences(error: PixelwiseError, message: str) -> None:
    assert str(error) == message


def test_errors_cross_processes_unharmed() -> None:
    error = RecipeError("came", expected="this", do="Do that")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is RecipeError
    assert str(again) == str(error)


def test_interruptions_carry_the_shells_exit_code() -> None:
    assert [Interrupted(number).exit_code for number in (2, 15)] == [130, 143]


@pytest.mark.parametrize(
    ("word", "options", "answer"),
    [
        ("lr", ["learning_rate", "epochs"], "Did you mean learning_rate?"),
        ("wd", ["weight_decay", "widths"], "Did you mean weight_decay?"),
        ("epohcs", ["learning_rate", "epochs"], "Did you mean epochs?"),
        (
            "net5",
            ["net50", "net56_small", "net50_v1", "net51_large", "net"],
            "Did you mean net50 or net50_v1 or net51_large?",
        ),
        ("warm", ["epochs", "warmup_schedule_epochs"], "Did you mean warmup_schedule_epochs?"),
        ("z", ["zebra_crossing"], "Known are: zebra_crossing"),
        ("zzz", ["b", "a"], "Known are: a, b"),
        ("zzz", [f"name{number}" for number in range(26)], ""),
    ],
)
def test_suggestions(word: str, options: list[str], answer: str) -> None:
    assert suggest(word, options) == answer

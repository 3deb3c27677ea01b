"""The sums of losses: how they are written, and what is refused with which words."""

import re
from pathlib import Path

import pytest
import torch

from pixelwise.errors import UsageError
from pixelwise.losses import (
    CLASS_LOSSES,
    LOSSES,
    LossSettings,
    LossTerm,
    Tversky,
    make_loss,
    parameters_of,
    parse_loss,
)
from pixelwise.tasks.loss_text import check_loss_text


def settings(num_outputs=3, **options):
    return LossSettings(num_outputs=num_outputs, ignore_index=255, **options)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("ce", [(1.0, "ce")]),
        ("ce+dice", [(1.0, "ce"), (1.0, "dice")]),
        (" 0.5 * ce + 2e-1*dice ", [(0.5, "ce"), (0.2, "dice")]),
        ("focal(gamma=2)", [(1.0, "focal", (("gamma", 2.0),))]),
        (
            "0.5*bce + 2 * tversky ( alpha = 0.3 , beta=1e-1 )+hausdorff(sides=1)",
            [
                (0.5, "bce"),
                (2.0, "tversky", (("alpha", 0.3), ("beta", 0.1))),
                (1.0, "hausdorff", (("sides", 1),)),
            ],
        ),
    ],
)
def test_sums_are_read(text, terms):
    assert parse_loss(text) == tuple(LossTerm(*term) for term in terms)


def test_a_sum_is_the_sum():
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    parts = {name: make_loss(name, settings())(logits, target) for name in ("ce", "dice")}
    both = make_loss("0.25*ce+3*dice", settings())(logits, target)
    torch.testing.assert_close(both, 0.25 * parts["ce"] + 3 * parts["dice"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ce+focl",
            "loss 'ce+focl': 'focl' is not a loss. Expected a sum such as ce+dice or 0.5*ce+dice. Did you mean focal?",
        ),
        (
            "ce+",
            "loss 'ce+' has an empty term. Expected a sum such as ce+dice or 0.5*ce+dice. Known are: bce, boundary, "
            "ce, cldice, dice, fbeta, focal, focal_tversky, generalised_dice, hausdorff, jaccard, lovasz_hinge, "
            "lovasz_softmax, squared_dice, topk, tversky.",
        ),
        (
            "two*ce",
            "loss 'two*ce': 'two' is not a factor. Expected a positive number. Write for example 0.5*ce.",
        ),
        ("-1*ce", "loss '-1*ce': '-1' is not a factor. Expected a positive number. Write for example 0.5*ce."),
        ("inf*ce", "loss 'inf*ce': 'inf' is not a factor. Expected a positive number. Write for example 0.5*ce."),
        ("ce*2", "loss 'ce*2': 'ce*2' is not a term. Expected 2*ce. Write the factor first."),
        ("*ce", "loss '*ce': '' is not a factor. Expected a positive number. Write for example 0.5*ce."),
        (
            "ce+0.5*ce",
            "loss 'ce+0.5*ce' names ce more than once. Expected each loss once. Use one term with one factor.",
        ),
        (
            "focal(gama=2)",
            "loss 'focal(gama=2)': focal has no parameter 'gama'. Expected for example focal(gamma=2). Did you mean "
            "gamma?",
        ),
        (
            "tversky(0.3,0.7)",
            "loss 'tversky(0.3,0.7)': '0.3' is not a parameter. Expected for example tversky(alpha=0.3,beta=0.7). "
            "Known are: alpha, beta.",
        ),
        (
            "focal()",
            "loss 'focal()': '' is not a parameter. Expected for example focal(gamma=2). Known are: gamma.",
        ),
        (
            "ce(gamma=2)",
            "loss 'ce(gamma=2)': ce has no parameters. Expected ce. Leave the parentheses out.",
        ),
        (
            "focal(gamma=2,gamma=3)",
            "loss 'focal(gamma=2,gamma=3)' gives gamma of focal more than once. Give it once.",
        ),
        (
            "focal(gamma=-1)",
            "loss 'focal(gamma=-1)': gamma=-1. Expected a number of at least 0. gamma=2 is usual.",
        ),
        (
            "topk(share=x)",
            "loss 'topk(share=x)': share=x. Expected a number of more than 0 and at most 1. share=0.1 is usual.",
        ),
        (
            "topk(share=nan)",
            "loss 'topk(share=nan)': share=nan. Expected a number of more than 0 and at most 1. share=0.1 is usual.",
        ),
        (
            "hausdorff(sides=1.5)",
            "loss 'hausdorff(sides=1.5)': sides=1.5. Expected a whole number of at least 1 and at most 2. sides=2 is "
            "usual.",
        ),
        (
            "cldice(iterations=inf)",
            "loss 'cldice(iterations=inf)': iterations=inf. Expected a whole number of at least 1. iterations=3 is "
            "usual.",
        ),
        (
            "focal(gamma=2)*0.5",
            "loss 'focal(gamma=2)*0.5': 'focal(gamma=2)*0.5' is not a term. Expected NAME, FACTOR*NAME or "
            "NAME(PARAMETER=NUMBER,...). For example 0.5*ce or focal(gamma=2).",
        ),
        (
            "dice+focal(gamma=2",
            "loss 'dice+focal(gamma=2': 'focal(gamma=2' is not a term. Expected NAME, FACTOR*NAME or "
            "NAME(PARAMETER=NUMBER,...). For example 0.5*ce or focal(gamma=2).",
        ),
        (
            "smooth_l1",
            "loss 'smooth_l1': smooth_l1 is not a loss for this task. Expected a sum of ce, dice, bce, topk, focal, "
            "squared_dice, generalised_dice, tversky, focal_tversky, fbeta, jaccard, lovasz_hinge, lovasz_softmax, "
            "boundary, hausdorff, cldice. Write for example ce+dice or 0.5*ce+dice.",
        ),
    ],
)
def test_misspelt_sums_are_refused(text, message):
    with pytest.raises(UsageError) as caught:
        parse_loss(text)
    assert str(caught.value) == message


def test_parameters_reach_the_loss_and_are_checked_wherever_it_is_made():
    ((factor, loss),) = make_loss("3*tversky(beta=0.9)", settings()).terms
    assert (factor, loss) == (3.0, Tversky(settings(), alpha=0.3, beta=0.9))
    with pytest.raises(UsageError) as caught:
        Tversky(settings(), alpha=0)
    assert str(caught.value) == "loss parameter alpha=0. Expected a number of more than 0. 0.3 is usual."


def test_a_near_miss_is_named():
    with pytest.raises(UsageError) as caught:
        parse_loss("ce+dise")
    assert caught.value.came == "loss 'ce+dise': 'dise' is not a loss"
    assert caught.value.do == "Did you mean dice or cldice?"


def test_one_logit_never_goes_through_a_softmax():
    with pytest.raises(UsageError) as caught:
        make_loss("ce", settings(num_outputs=1))
    assert str(caught.value) == (
        "loss 'ce' cannot use ce with num_outputs=1: the softmax of a single logit is always 1 and its gradient always "
        "0, so nothing would be learned. Expected a sum of dice, bce, topk, focal, squared_dice, generalised_dice, "
        "tversky, focal_tversky, fbeta, jaccard, lovasz_hinge, lovasz_softmax, boundary, hausdorff, cldice. Change the "
        "loss, or the form of the output (binary=sigmoid or softmax)."
    )


def test_several_logits_never_go_through_a_sigmoid_each():
    with pytest.raises(UsageError) as caught:
        make_loss("dice+bce", settings(num_outputs=4))
    assert str(caught.value) == (
        "loss 'dice+bce' cannot use bce with num_outputs=4: it takes one sigmoid logit for two classes, and here are 4 "
        "logits of classes that exclude each other. Expected a sum of ce, dice, topk, focal, squared_dice, "
        "generalised_dice, tversky, focal_tversky, fbeta, jaccard, lovasz_softmax, boundary, hausdorff, cldice. Change "
        "the loss, or the form of the output (binary=sigmoid or softmax)."
    )


def test_an_option_that_no_term_heeds_is_refused():
    with pytest.raises(UsageError) as caught:
        make_loss("dice", settings(label_smoothing=0.1))
    assert str(caught.value) == (
        "loss 'dice' makes no use of label_smoothing. Expected a sum with one of ce, bce. Add such a term, or leave "
        "label_smoothing out."
    )
    make_loss("ce+dice", settings(label_smoothing=0.1, class_weights=(1.0, 2.0, 3.0)))


def test_every_loss_fits_some_output_form_and_has_a_source():
    for name, loss in LOSSES.items():
        assert any(not loss.refusal(count) for count in (1, 2)), name
        module = __import__(loss.__module__, fromlist=["_"])
        assert "Source:" in (module.__doc__ or ""), name


def test_the_reference_names_parameters_and_what_each_loss_heeds():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "losses.md").read_text(encoding="utf-8")
    lines = [line.strip("|") for line in page.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    told = {row[0].strip("`"): row for row in rows if len(row) == 6}
    assert told.keys() == LOSSES.keys()
    words = {"class_weights": "weights", "weight_map": "map", "label_smoothing": "smoothing"}
    for name, loss in LOSSES.items():
        _, _, parameters, of_pictures, heeds, _ = told[name]
        expected = ", ".join(f"`{key}={value.default:.4g}`" for key, value in parameters_of(loss).items())
        assert parameters == expected, name
        assert of_pictures == ("yes" if name in CLASS_LOSSES else "no"), name
        assert heeds == ", ".join(word for option, word in words.items() if option in loss.heeds), name


@pytest.mark.parametrize("text", ["nonsense", "ce+dize", "+dice"])
def test_examples_are_those_of_masks_while_the_task_is_unknown(text):
    with pytest.raises(UsageError, match=r"Expected a sum such as ce\+dice or 0\.5\*ce\+dice\."):
        check_loss_text(text)
    check_loss_text("smooth_l1+giou")

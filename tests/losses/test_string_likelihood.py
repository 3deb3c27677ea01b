"""Chains of labels and probabilities of strings, against the sum over all sequences written out."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from pixelwise.errors import SpecError
from pixelwise.layers.chain import (
    best_sequence,
    label_marginals,
    log_partition,
    pair_marginals,
    sequence_score,
)
from pixelwise.losses.string_likelihood import (
    StringLikelihood,
    collapse,
    string_log_probability,
    windows_needed,
)


def drawn(count, places, labels, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(count, places, labels + 1, labels, generator=generator, dtype=dtype)


def every_sequence(places, labels):
    return list(itertools.product(range(labels), repeat=places))


def written_out(potentials, sequence):
    """The score of one sequence under (T, C + 1, C), term by term."""
    score = potentials[0, -1, sequence[0]]
    for place in range(1, len(sequence)):
        score = score + potentials[place, sequence[place - 1], sequence[place]]
    return score


def collapsed(sequence, blank):
    return tuple(label for label, _ in itertools.groupby(sequence) if label != blank)


@pytest.mark.parametrize(("places", "labels"), [(1, 2), (1, 4), (2, 3), (5, 3), (4, 4), (7, 2)])
def test_partition_marginals_and_best_sequence_equal_enumeration(places, labels):
    potentials = drawn(3, places, labels)
    sequences = every_sequence(places, labels)
    for row in range(3):
        scores = torch.stack([written_out(potentials[row], sequence) for sequence in sequences])
        torch.testing.assert_close(log_partition(potentials)[row], scores.logsumexp(0))
        shares = scores.softmax(0)
        expected = torch.zeros(places, labels, dtype=torch.float64)
        for sequence, share in zip(sequences, shares, strict=True):
            expected[torch.arange(places), list(sequence)] += share
        torch.testing.assert_close(label_marginals(potentials)[row], expected)
        best = sequences[int(scores.argmax())]
        assert best_sequence(potentials)[row].tolist() == list(best)
        own = sequence_score(potentials, best_sequence(potentials))[row]
        torch.testing.assert_close(own, scores.max())


def test_forward_backward_agrees_with_automatic_differentiation():
    potentials = drawn(2, 5, 3).requires_grad_()

    def recursion(p):
        ahead = p[:, 0, -1]
        for place in range(1, p.shape[1]):
            ahead = (ahead[:, :, None] + p[:, place, :-1]).logsumexp(1)
        return ahead.logsumexp(1)

    (automatic,) = torch.autograd.grad(recursion(potentials).sum(), potentials)
    torch.testing.assert_close(pair_marginals(potentials.detach()), automatic)
    assert torch.autograd.gradcheck(log_partition, (potentials,))


STRINGS = [[], [0], [1], [0, 1], [1, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]]


def padded(strings):
    longest = max(map(len, strings))
    return torch.tensor([[*string, *[-1] * (longest - len(string))] for string in strings], dtype=torch.int64)


@pytest.mark.parametrize("places", [4, 5, 6])
def test_string_probability_equals_the_sum_over_all_sequences_that_collapse_to_it(places):
    blank = 2
    potentials = drawn(len(STRINGS), places, blank + 1, seed=places)
    found = string_log_probability(potentials, padded(STRINGS)).exp()
    for row, string in enumerate(STRINGS):
        total = torch.zeros((), dtype=torch.float64)
        whole = torch.zeros((), dtype=torch.float64)
        for sequence in every_sequence(places, blank + 1):
            weight = written_out(potentials[row], sequence).exp()
            whole += weight
            if collapsed(sequence, blank) == tuple(string):
                total += weight
        torch.testing.assert_close(found[row], total / whole)


def test_probabilities_of_all_strings_add_up_to_one():
    potentials = drawn(1, 4, 3)
    strings = sorted({collapsed(sequence, 2) for sequence in every_sequence(4, 3)})
    total = string_log_probability(potentials.expand(len(strings), -1, -1, -1), padded(strings)).exp().sum()
    assert total.item() == pytest.approx(1)


def test_gradient_equals_that_of_the_sum_written_out_and_numerical_differences():
    blank, places = 2, 4
    potentials = drawn(1, places, blank + 1, seed=3).requires_grad_()
    strings = padded([[1, 0]])
    scores = torch.stack([written_out(potentials[0], sequence) for sequence in every_sequence(places, blank + 1)])
    fitting = [collapsed(sequence, blank) == (1, 0) for sequence in every_sequence(places, blank + 1)]
    direct = scores.logsumexp(0) - scores[torch.tensor(fitting)].logsumexp(0)
    (expected,) = torch.autograd.grad(direct, potentials)
    loss = StringLikelihood()(potentials, strings)
    assert loss.item() == pytest.approx(direct.item())
    (found,) = torch.autograd.grad(loss, potentials)
    torch.testing.assert_close(found, expected)
    batch = drawn(4, 5, blank + 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: StringLikelihood()(p, padded([[1, 1], [0], [], [1, 0]])), (batch,))


def test_without_transitions_it_is_ctc():
    logits = 3 * torch.randn(6, 12, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    strings = [[0], [3, 3, 1], [2, 1, 0, 0, 0], [], [1, 2], [3]]
    potentials = logits[:, :, None].expand(-1, -1, 6, -1)
    expected = F.ctc_loss(
        logits.log_softmax(2).transpose(0, 1),
        torch.tensor([label for string in strings for label in string]),
        torch.full((6,), 12),
        torch.tensor([len(string) for string in strings]),
        blank=4,
        reduction="none",
    )
    torch.testing.assert_close(-string_log_probability(potentials, padded(strings)), expected)


def test_half_precision_is_summed_in_float32():
    potentials = drawn(3, 40, 11, dtype=torch.float32).bfloat16()
    strings = padded([[1, 2, 3], [4], [5, 5]])
    found = string_log_probability(potentials, strings)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, string_log_probability(potentials.float(), strings))


def test_long_chains_stay_finite_with_extreme_scores():
    potentials = (1e4 * drawn(2, 300, 11, dtype=torch.float32)).requires_grad_()
    loss = StringLikelihood()(potentials, padded([[1, 2, 3, 3], [4]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(potentials.grad).all()


def test_windows_needed_counts_a_blank_between_equal_neighbours():
    strings = padded([[], [1], [1, 1], [1, 2, 1], [2, 2, 2]])
    assert windows_needed(strings).tolist() == [0, 1, 3, 3, 5]
    for string in ([1, 1], [0, 1, 0]):
        fitting = [
            places
            for places in range(1, 6)
            if any(collapsed(sequence, 2) == tuple(string) for sequence in every_sequence(places, 3))
        ]
        assert fitting[0] == windows_needed(padded([string])).item()


def test_a_string_that_the_windows_cannot_hold_is_refused():
    with pytest.raises(SpecError) as caught:
        StringLikelihood()(drawn(2, 2, 3), padded([[1], [1, 1]]))
    assert str(caught.value) == (
        "The string in row 1 of the batch needs 3 windows, and the picture has 2. Expected a window for each "
        "character, and one more between equal neighbours. Widen the pictures: --set size=HEIGHT,WIDTH."
    )


def test_collapsing_drops_repeats_before_blanks():
    labels = torch.tensor([[2, 0, 0, 2, 0, 1, 1], [2, 2, 2, 2, 2, 2, 2], [0, 0, 1, 0, 2, 2, 0]])
    assert collapse(labels, 2) == [[0, 0, 1], [], [0, 1, 0, 0]]


def test_the_gradient_of_the_gradient_is_right_as_well():
    potentials = torch.randn(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(log_partition, (potentials,))

"""How probable a string is, when nobody says where in the picture its characters are.

A chain of windows gives every window one of K characters or the blank, which stands between characters. Labels
*collapse* to a string: equal neighbours count once, then blanks are dropped (Graves et al., "Connectionist temporal
classification", ICML 2006, section 3.1). The probability of a string is the sum over all sequences of labels that
collapse to it, under the conditional random field of :mod:`pixelwise.layers.chain`::

    -log p(string) = log Z - log sum exp s(y)   over the y that collapse to the string

Both terms are forward scores; their difference is what LeCun et al. 1998 call discriminative forward training (section
VI.D, over a space displacement neural network: section VII.C). Without scores of transitions it is Graves' CTC.

The blank is the last of the K + 1 labels. Strings are class indices (N, L), filled up with -1 at the end.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelwise.errors import SpecError
from pixelwise.layers.chain import log_partition
from pixelwise.losses.base import at_least_float32

NO_CHARACTER = -1
"""Fills strings up at the end."""

_IMPOSSIBLE = -1e30
"""A log score so low that its exponential is 0, and finite, so that gradients are."""


class StringLikelihood:
    """Mean over pictures of the negative log probability of their strings, in float32 or better."""

    def __call__(self, potentials: Tensor, strings: Tensor) -> Tensor:
        """Return the cost as a scalar.

        Args:
            potentials: (N, T, K + 2, K + 1), see :mod:`pixelwise.layers.chain`.
            strings: (N, L) int64.

        Raises:
            SpecError: a string needs more windows than there are.

        """
        return -string_log_probability(potentials, strings).mean()


def string_log_probability(potentials: Tensor, strings: Tensor) -> Tensor:
    """Return the log probability of each string, (N,), at least float32; shapes as in :class:`StringLikelihood`.

    Raises:
        SpecError: a string needs more windows than there are.

    """
    needed, windows = windows_needed(strings), potentials.shape[1]
    if bool((needed > windows).any()):
        row = int((needed > windows).nonzero()[0])
        raise SpecError(
            f"The string in row {row} of the batch needs {int(needed[row])} windows, and the picture has {windows}",
            expected="a window for each character, and one more between equal neighbours",
            do="Widen the pictures: --set size=HEIGHT,WIDTH",
        )
    potentials = at_least_float32(potentials)
    return _string_score(potentials, strings) - log_partition(potentials)


def windows_needed(strings: Tensor) -> Tensor:
    """Return (N,) int64: a window for each character of strings (N, L), and a blank between equal neighbours."""
    is_character = strings != NO_CHARACTER
    repeats = (strings[:, 1:] == strings[:, :-1]) & is_character[:, 1:]
    return is_character.sum(1) + repeats.sum(1)


def collapse(labels: Tensor, blank: int) -> list[list[int]]:
    """Return the string of each row of labels (N, T): equal neighbours once, then without blanks."""
    kept = F.pad(labels[:, 1:] != labels[:, :-1], (1, 0), value=True) & (labels != blank)
    return [row[keep].tolist() for row, keep in zip(labels, kept, strict=True)]


def _string_score(potentials: Tensor, strings: Tensor) -> Tensor:
    """Return (N,): log of the sum of exp s(y) over the labels y that collapse to each string.

    The states are Graves' (section 4.1): the string with a blank before, between and after its characters. From one
    state the path stays, steps to the next, or skips a blank between characters that differ.
    """
    count, length = strings.shape
    blank = potentials.shape[3] - 1
    states = torch.full((count, 2 * length + 1), blank, dtype=torch.int64, device=strings.device)
    states[:, 1::2] = torch.where(strings == NO_CHARACTER, blank, strings)
    one_back, two_back = (F.pad(states, (back, 0), value=blank)[:, : states.shape[1]] for back in (1, 2))
    may_skip = (states != blank) & (states != two_back)
    may_skip[:, :2] = False
    rows = torch.arange(count, device=strings.device)[:, None]
    # (N, S, T - 1) each: to every state from itself, from the one before it, and from the one before that.
    after = potentials[:, 1:]
    stay, step, skip = (after[rows, :, before, states] for before in (states, one_back, two_back))
    skip = skip.masked_fill(~may_skip[..., None], _IMPOSSIBLE)
    begins = torch.arange(states.shape[1], device=strings.device) < 2
    score = potentials[rows, 0, -1, states].masked_fill(~begins, _IMPOSSIBLE)
    for place in range(after.shape[1]):
        from_before = F.pad(score, (2, 0), value=_IMPOSSIBLE)
        ways = [
            score + stay[..., place],
            from_before[:, 1:-1] + step[..., place],
            from_before[:, :-2] + skip[..., place],
        ]
        score = torch.stack(ways).logsumexp(0)
    last = 2 * (strings != NO_CHARACTER).sum(1, keepdim=True)
    without_blank = score.gather(1, (last - 1).clamp(min=0)).masked_fill(last == 0, _IMPOSSIBLE)
    return torch.cat([score.gather(1, last), without_blank], dim=1).logsumexp(1)

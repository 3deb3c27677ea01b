"""Linear-chain conditional random fields: a score of every sequence of labels, and sums and maxima over all of them.

Sources: Lafferty, McCallum, Pereira, "Conditional random fields: probabilistic models for segmenting and labeling
sequence data", ICML 2001: the matrices M_t(x) whose product is the partition function (section 3), and the forward and
backward vectors (section 4). LeCun et al., "Gradient-based learning applied to document recognition", 1998, names the
same things on graphs: the Viterbi transformer (section V) and forward scoring (section VI.C).

``potentials`` (N, T, C + 1, C) hold everything, in log space: ``[n, t, i, j]`` is what the label j at place t adds to
the score of a sequence whose label before it is i. The last row, i = C, is for a label without a predecessor: that of
the first place. So the score of labels y is ::

    s(y) = p[0, C, y_0] + p[1, y_0, y_1] + ... + p[T-1, y_{T-2}, y_{T-1}]

and the probability of y is exp(s(y) - log Z), with log Z = log sum over all C^T sequences of exp(s). Other rows at the
first place, and the last row at later places, are not read here.
"""

from typing import Any

import torch
from torch import Tensor


def log_partition(potentials: Tensor) -> Tensor:
    """Return log Z, (N,), of potentials (N, T, C + 1, C); its gradient is :func:`pair_marginals`."""
    log_z: Tensor = _LogPartition.apply(potentials)  # type: ignore[no-untyped-call] # PyTorch does not type it
    return log_z


def pair_marginals(potentials: Tensor) -> Tensor:
    """Return the probability of each pair of neighbouring labels, by the forward and the backward recursion.

    Args:
        potentials: (N, T, C + 1, C).

    Returns:
        (N, T, C + 1, C): at place 0 the last row holds the probabilities of the first label, and the others are 0; at
        later places, the last row is 0.

    """
    return _pairs(potentials, _forward(potentials))


def label_marginals(potentials: Tensor) -> Tensor:
    """Return the probability of each label at each place, (N, T, C), of potentials (N, T, C + 1, C)."""
    return pair_marginals(potentials).sum(2)


def best_sequence(potentials: Tensor) -> Tensor:
    """Return the labels (N, T) int64 with the highest score: Viterbi's algorithm; of equals, the lowest label's.

    Args:
        potentials: (N, T, C + 1, C).

    """
    best, came_from = potentials[:, 0, -1], []
    for place in range(1, potentials.shape[1]):
        best, previous = (best[:, :, None] + potentials[:, place, :-1]).max(1)  # (N, C)
        came_from.append(previous)
    labels = [best.argmax(1)]
    for previous in reversed(came_from):
        labels.append(previous.gather(1, labels[-1][:, None])[:, 0])
    return torch.stack(labels[::-1], dim=1)


def sequence_score(potentials: Tensor, labels: Tensor) -> Tensor:
    """Return the score s(y), (N,), of labels (N, T) int64 under potentials (N, T, C + 1, C)."""
    first = torch.full_like(labels[:, :1], potentials.shape[3])
    before = torch.cat([first, labels[:, :-1]], dim=1)
    count, places = labels.shape
    rows = torch.arange(count, device=labels.device)[:, None]
    return potentials[rows, torch.arange(places, device=labels.device), before, labels].sum(1)


class _LogPartition(torch.autograd.Function):
    """The forward recursion; its gradient is the expectation of the potentials' places: the pairs' probabilities.

    Keeping the T forward vectors instead of every step's graph saves memory, and a long Python loop of the backward
    pass.
    """

    @staticmethod
    def forward(ctx: Any, potentials: Tensor) -> Tensor:
        ahead = _forward(potentials)
        ctx.save_for_backward(potentials, ahead)
        return ahead[:, -1].logsumexp(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        potentials, ahead = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient will be differentiated: what was kept remembers no operation
            ahead = _forward(potentials)
        return gradients[0][:, None, None, None] * _pairs(potentials, ahead)


def _forward(potentials: Tensor) -> Tensor:
    """Return (N, T, C): log of the sum over all beginnings that end in each label."""
    ahead = [potentials[:, 0, -1]]
    for place in range(1, potentials.shape[1]):
        ahead.append((ahead[-1][:, :, None] + potentials[:, place, :-1]).logsumexp(1))
    return torch.stack(ahead, dim=1)


def _pairs(potentials: Tensor, ahead: Tensor) -> Tensor:
    behind = [torch.zeros_like(ahead[:, 0])]  # log of the sum over all ends that follow each label
    for place in range(potentials.shape[1] - 1, 0, -1):
        behind.append((potentials[:, place, :-1] + behind[-1][:, None]).logsumexp(2))
    after = torch.stack(behind[::-1], dim=1)  # (N, T, C)
    total = ahead[:, -1].logsumexp(1)[:, None, None]
    pairs = torch.zeros_like(potentials)
    pairs[:, 0, -1] = (ahead[:, 0] + after[:, 0] - total[:, 0]).exp()
    joined = ahead[:, :-1, :, None] + potentials[:, 1:, :-1] + after[:, 1:, None]
    pairs[:, 1:, :-1] = (joined - total[..., None]).exp()
    return pairs
